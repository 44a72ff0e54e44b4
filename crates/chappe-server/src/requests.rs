//! The requests of one frame, kept until the handler has seen them.

use core::ops::Range;

use chappe_framing::MsgId;

/// Requests of one frame, in order.
///
/// The session is locked while it reads a frame, and the handler is called without that lock. In between, bodies stay
/// where they are in the frame. Only a packed body is copied, since the session needs the memory it unpacked to.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    unpacked: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    Query { msg_id: MsgId, body: Body },
    Dropped { req_msg_id: MsgId },
}

/// Where the body of a query is.
#[derive(Debug)]
enum Body {
    InFrame(Range<usize>),
    Unpacked(Range<usize>),
}

/// A request, for the handler.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// A query to be answered.
    Query { msg_id: MsgId, body: &'a [u8] },
    /// The client no longer wants the answer to this query.
    Dropped { req_msg_id: MsgId },
}

/// Memory that an idle connection keeps. Most queries are shorter.
const KEPT_BYTES: usize = 512;

/// Entries that an idle connection keeps room for.
const KEPT_ENTRIES: usize = 4;

impl Requests {
    /// Adds a query of the frame with the body `frame`.
    pub(crate) fn push_query(&mut self, msg_id: MsgId, body: &[u8], frame: &[u8]) {
        let body = if let Some(range) = range_within(frame, body) {
            Body::InFrame(range)
        } else {
            let start = self.unpacked.len();
            self.unpacked.extend_from_slice(body);
            Body::Unpacked(start..self.unpacked.len())
        };
        self.entries.push(Entry::Query { msg_id, body });
    }

    pub(crate) fn push_dropped(&mut self, req_msg_id: MsgId) {
        self.entries.push(Entry::Dropped { req_msg_id });
    }

    /// Returns the requests of the frame with the body `frame`, in order.
    pub(crate) fn iter<'a>(&'a self, frame: &'a [u8]) -> impl Iterator<Item = Request<'a>> {
        self.entries.iter().map(|entry| match entry {
            Entry::Query { msg_id, body } => {
                let body = match body {
                    Body::InFrame(range) => &frame[range.clone()],
                    Body::Unpacked(range) => &self.unpacked[range.clone()],
                };
                Request::Query { msg_id: *msg_id, body }
            }
            Entry::Dropped { req_msg_id } => Request::Dropped { req_msg_id: *req_msg_id },
        })
    }

    /// Removes all requests, and gives back memory that a large frame needed.
    pub(crate) fn clear(&mut self) {
        self.unpacked.clear();
        self.unpacked.shrink_to(KEPT_BYTES);
        self.entries.clear();
        self.entries.shrink_to(KEPT_ENTRIES);
    }
}

/// Returns where in `outer` the memory of `part` is, if it is part of it.
fn range_within(outer: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(outer.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= outer.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_of_the_frame_is_part_of_it() {
        let memory = [0; 24];
        let (before, frame, after) = (&memory[..8], &memory[8..16], &memory[16..]);
        assert_eq!(range_within(frame, &memory[8..16]), Some(0..8));
        assert_eq!(range_within(frame, &memory[12..16]), Some(4..8));
        for part in [before, after, &memory[4..12], &memory[12..20], &memory] {
            assert_eq!(range_within(frame, part), None);
        }
    }

    #[test]
    fn requests_come_out_in_order_and_large_ones_leave_no_memory() {
        let mut requests = Requests::default();
        let ids = [4, 8, 12].map(MsgId::from_raw);
        let frame = *b"before first after";
        for round in 1..3 {
            requests.push_query(ids[0], &frame[7..12], &frame);
            requests.push_dropped(ids[1]);
            requests.push_query(ids[2], &vec![7; round * KEPT_BYTES], &frame);
            let seen: Vec<_> = requests.iter(&frame).collect();
            assert_eq!(seen[0], Request::Query { msg_id: ids[0], body: b"first" });
            assert_eq!(seen[1], Request::Dropped { req_msg_id: ids[1] });
            assert_eq!(seen[2], Request::Query { msg_id: ids[2], body: &vec![7; round * KEPT_BYTES] });
            requests.clear();
            assert_eq!(requests.iter(&frame).count(), 0);
            assert!(requests.unpacked.capacity() <= KEPT_BYTES);
        }
    }
}
