//! Finding the beginning of a frame in the middle of a stream.
//!
//! An encrypted envelope begins with the id of its key. Eight bytes that are a known id, behind the header of a frame that
//! an envelope can have, do not occur by chance.

use alloc::vec::Vec;

use chappe_crypto::{AuthKeyId, Side};
use chappe_transport::{ConnectionLimits, Framing};

/// Length of an `auth_key_id`.
const ID: usize = 8;

/// Longest header of a frame.
const MAX_HEAD: usize = 8;

/// Length of `auth_key_id` and `msg_key` in front of the encrypted blocks.
const OUTER_HEADER: usize = 24;

/// Length of the shortest envelope.
const MIN_ENVELOPE: usize = 72;

/// Bytes that are searched on a connection that is known to carry MTProto: twice the longest frame.
const PATIENCE: u64 = 32 << 20;

/// Bytes that are searched on a connection of which only the middle was seen, and which may be anything.
const STRANGER_PATIENCE: u64 = 1 << 20;

/// A search in one direction of a connection.
#[derive(Debug)]
pub(crate) struct Search {
    /// The framings that are tried; none of them for HTTP.
    framings: Vec<Framing>,
    /// Bytes after which it is given up.
    pub(crate) patience: u64,
}

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Bytes to drop.
    pub(crate) skipped: usize,
    /// What is behind them.
    pub(crate) found: FoundAgain,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundAgain {
    Nothing,
    /// A frame.
    Frame(Framing),
    /// The head of a request or response.
    Head,
}

impl Search {
    /// Searches for frames.
    pub(crate) fn framing(framing: Framing) -> Self {
        Self { framings: Vec::from([framing]), patience: PATIENCE }
    }

    /// Searches for frames of any framing that is not obfuscated.
    pub(crate) fn any() -> Self {
        Self { framings: Framing::ALL.to_vec(), patience: STRANGER_PATIENCE }
    }

    /// Searches for the head of a request or a response.
    pub(crate) const fn http() -> Self {
        Self { framings: Vec::new(), patience: PATIENCE }
    }

    /// Searches the bytes that have arrived. What it does not drop it wants to see again, with more behind it.
    pub(crate) fn find(
        &self,
        from: Side,
        input: &[u8],
        limits: &ConnectionLimits,
        is_known: &dyn Fn(AuthKeyId) -> bool,
    ) -> Hit {
        if self.framings.is_empty() {
            return find_head(from, input);
        }
        for (at, id) in input.windows(ID).enumerate().skip(1) {
            let Some(id) = id.first_chunk() else { break };
            if !is_known(AuthKeyId::from_bytes(*id)) {
                continue;
            }
            let head = |framing: &Framing| head_len(*framing, from, &input[..at], limits.max_frame);
            let found = self.framings.iter().find_map(|framing| Some((*framing, head(framing)?)));
            if let Some((framing, head)) = found {
                return Hit { skipped: at - head, found: FoundAgain::Frame(framing) };
            }
        }
        Hit { skipped: input.len().saturating_sub(MAX_HEAD + ID - 1), found: FoundAgain::Nothing }
    }
}

fn find_head(from: Side, input: &[u8]) -> Hit {
    let start: &[u8] = match from {
        Side::Client => b"POST ",
        Side::Server => b"HTTP/1.",
    };
    match input.windows(start.len()).position(|bytes| bytes == start) {
        Some(skipped) => Hit { skipped, found: FoundAgain::Head },
        None => Hit { skipped: input.len().saturating_sub(start.len() - 1), found: FoundAgain::Nothing },
    }
}

/// Returns the length of the header of a frame at the end of `before` whose payload can be an envelope.
fn head_len(framing: Framing, from: Side, before: &[u8], max: usize) -> Option<usize> {
    let is_envelope = |len: usize| {
        let over = (len.wrapping_sub(OUTER_HEADER)) % 16;
        (MIN_ENVELOPE..=max).contains(&len) && (over == 0 || framing == Framing::PaddedIntermediate)
    };
    match framing {
        Framing::Abridged => {
            let short = usize::from(ack_removed(*before.last()?, from)?);
            if short != 0x7f && is_envelope(short * 4) {
                return Some(1);
            }
            let [first, low, middle, high] = *before.last_chunk()?;
            let words = u32::from_le_bytes([low, middle, high, 0]) as usize;
            let is_long = ack_removed(first, from)? == 0x7f && words >= 0x7f && is_envelope(words * 4);
            is_long.then_some(4)
        }
        Framing::Intermediate | Framing::PaddedIntermediate => {
            let [low, middle, high, top] = *before.last_chunk()?;
            let len = u32::from_le_bytes([low, middle, high, ack_removed(top, from)?]) as usize;
            is_envelope(len).then_some(4)
        }
        Framing::Full => {
            let [a, b, c, d, ..] = *before.last_chunk::<8>()?;
            let len = (u32::from_le_bytes([a, b, c, d]) as usize).checked_sub(12)?;
            is_envelope(len).then_some(8)
        }
    }
}

/// Removes the bit with which a client requests a quick acknowledgement. A server's frames do not have it.
fn ack_removed(byte: u8, from: Side) -> Option<u8> {
    (from == Side::Client || byte & 0x80 == 0).then_some(byte & 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 8] = *b"auth key";

    fn find(search: &Search, from: Side, input: &[u8]) -> Hit {
        search.find(from, input, &ConnectionLimits::DEFAULT, &|id| *id.as_bytes() == KEY)
    }

    fn stream(head: &[u8]) -> Vec<u8> {
        [b"rest of something lost", head, &KEY, &[0; 64]].concat()
    }

    #[test]
    fn a_frame_of_each_framing_is_found() {
        let cases: [(Framing, &[u8]); 5] = [
            (Framing::Abridged, &[88 / 4]),
            (Framing::Abridged, &[0x7f, 0x82, 0, 0]),
            (Framing::Intermediate, &[88, 0, 0, 0x80]),
            (Framing::PaddedIntermediate, &[93, 0, 0, 0]),
            (Framing::Full, &[100, 0, 0, 0, 7, 0, 0, 0]),
        ];
        for (framing, head) in cases {
            let found = find(&Search::framing(framing), Side::Client, &stream(head));
            assert_eq!(found, Hit { skipped: 22, found: FoundAgain::Frame(framing) }, "{framing:?}");
        }
    }

    #[test]
    fn an_id_behind_no_header_is_no_frame() {
        let found = find(&Search::any(), Side::Server, &stream(&[1, 2, 3, 200]));
        assert_eq!(found.found, FoundAgain::Nothing);
    }

    #[test]
    fn a_frame_is_found_wherever_the_bytes_are_split() {
        let whole = stream(&[88, 0, 0, 0]);
        for split in 0..whole.len() {
            let search = Search::framing(Framing::Intermediate);
            let first = find(&search, Side::Client, &whole[..split]);
            let rest = &whole[first.skipped..];
            let found = find(&search, Side::Client, rest);
            assert_eq!(first.skipped + found.skipped, 22, "split at {split}");
            assert_ne!(found.found, FoundAgain::Nothing);
        }
    }
}
