//! Sequence numbers of messages.
//!
//! Not here: the session's check that a peer's numbers follow the order of its ids.
//!
//! Spec: <https://core.telegram.org/mtproto/description#message-sequence-number-msg-seqno>.

/// Sequence number of a message: twice the number of content-related messages that the sender wrote before it in this
/// session, plus one if the message itself is content-related.
///
/// On the wire: 4 bytes, little endian.
/// <https://core.telegram.org/mtproto/description#message-sequence-number-msg-seqno>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqNo(i32);

impl SeqNo {
    /// Takes the `int` of the wire.
    pub const fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// Returns the `int` of the wire.
    pub const fn to_raw(self) -> i32 {
        self.0
    }

    /// Returns whether the message requires an acknowledgement.
    pub const fn is_content_related(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Counts the content-related messages of one direction of one session.
#[derive(Clone, Debug, Default)]
pub struct SeqNoCounter {
    content_related: u32,
}

impl SeqNoCounter {
    /// Starts a session at zero.
    pub const fn new() -> Self {
        Self { content_related: 0 }
    }

    /// Numbers a content-related message: an RPC query, an `rpc_result`, an update.
    pub const fn next_content_related(&mut self) -> SeqNo {
        // A message does not count itself: the first content-related one has number 1, the next 3.
        let seq_no = self.content_related.wrapping_mul(2).wrapping_add(1);
        self.content_related = self.content_related.wrapping_add(1);
        SeqNo(seq_no as i32)
    }

    /// Numbers a message that needs no acknowledgement: `msgs_ack`, `msg_container`, `pong`.
    pub const fn next_unrelated(&self) -> SeqNo {
        // Even, and equal for all service messages between two content-related ones.
        SeqNo(self.content_related.wrapping_mul(2) as i32)
    }
}
