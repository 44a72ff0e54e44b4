//! The id of a call.

/// A call accepted by [`ClientSession::send`](crate::client::ClientSession::send), until it ends.
///
/// Ids are never used twice in the life of a session.
// One number, slot above generation: ids are handed through several layers for each message, and two halves that
// are written singly and read together would stall every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

impl CallId {
    pub(in crate::client) const fn new(slot: u32, generation: u32) -> Self {
        Self((slot as u64) << 32 | generation as u64)
    }

    pub(in crate::client) const fn slot(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(in crate::client) const fn generation(self) -> u32 {
        self.0 as u32
    }
}
