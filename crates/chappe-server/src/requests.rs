//! The requests of one frame, kept until the handler has seen them.

use core::ops::Range;

use chappe_framing::MsgId;

/// Requests of one frame, in order.
///
/// The session is locked while it reads a frame, and the handler is called without that lock. The bodies are copied in
/// between, into memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    bodies: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    Query { msg_id: MsgId, body: Range<usize> },
    Dropped { req_msg_id: MsgId },
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
    pub(crate) fn push_query(&mut self, msg_id: MsgId, body: &[u8]) {
        let start = self.bodies.len();
        self.bodies.extend_from_slice(body);
        self.entries.push(Entry::Query { msg_id, body: start..self.bodies.len() });
    }

    pub(crate) fn push_dropped(&mut self, req_msg_id: MsgId) {
        self.entries.push(Entry::Dropped { req_msg_id });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Request<'_>> {
        self.entries.iter().map(|entry| match entry {
            Entry::Query { msg_id, body } => {
                Request::Query { msg_id: *msg_id, body: &self.bodies[body.clone()] }
            }
            Entry::Dropped { req_msg_id } => Request::Dropped { req_msg_id: *req_msg_id },
        })
    }

    /// Removes all requests, and gives back memory that a large frame needed.
    pub(crate) fn clear(&mut self) {
        self.bodies.clear();
        self.bodies.shrink_to(KEPT_BYTES);
        self.entries.clear();
        self.entries.shrink_to(KEPT_ENTRIES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_out_in_order_and_large_ones_leave_no_memory() {
        let mut requests = Requests::default();
        let ids = [4, 8, 12].map(MsgId::from_raw);
        for round in 1..3 {
            requests.push_query(ids[0], b"first");
            requests.push_dropped(ids[1]);
            requests.push_query(ids[2], &vec![7; round * KEPT_BYTES]);
            let seen: Vec<_> = requests.iter().collect();
            assert_eq!(seen[0], Request::Query { msg_id: ids[0], body: b"first" });
            assert_eq!(seen[1], Request::Dropped { req_msg_id: ids[1] });
            assert_eq!(seen[2], Request::Query { msg_id: ids[2], body: &vec![7; round * KEPT_BYTES] });
            requests.clear();
            assert_eq!(requests.iter().count(), 0);
            assert!(requests.bodies.capacity() <= KEPT_BYTES);
        }
    }
}
