//! Plain messages, for the handshake.
//!
//! Spec: <https://core.telegram.org/mtproto/description#unencrypted-message>.

use chappe_framing::{MsgId, MsgIdGenerator, MsgOrigin, SeqNoCounter, UnixTime};
use chappe_tl::Serializable;

use crate::message::Message;

/// Numbers the plain messages of the handshake, before there is an `auth_key`.
///
/// ```
/// use chappe_session::{Session, UnixTime};
/// use chappe_tl_mtproto::functions::ReqPqMulti;
///
/// let mut session = Session::new();
/// let message = session.pack_at(&ReqPqMulti { nonce: [7; 16] }, UnixTime::from_secs(1_707_425_104));
/// let bytes = message.to_plaintext_bytes();
/// assert_eq!(bytes[..8], [0; 8], "there is no key yet");
/// assert_eq!(bytes.len(), 20 + 20);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Session {
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
}

impl Session {
    /// Creates a session that has sent nothing.
    pub const fn new() -> Self {
        Self { ids: MsgIdGenerator::new(), seq: SeqNoCounter::new() }
    }

    /// Returns the next message id for a given time.
    pub const fn next_msg_id_at(&mut self, now: UnixTime) -> MsgId {
        self.ids.next(now, MsgOrigin::Client)
    }

    /// Returns the next sequence number of a content-related message.
    pub const fn next_seq_no(&mut self) -> i32 {
        self.seq.next_content_related().to_raw()
    }

    /// Returns the next sequence number of a message that needs no acknowledgement.
    pub const fn next_seq_no_unrelated(&mut self) -> i32 {
        self.seq.next_unrelated().to_raw()
    }

    /// Encodes a call as a message, at a given time.
    ///
    /// A call that cannot be encoded (a string of 16 MiB or more) gives an empty body.
    pub fn pack_at<R: Serializable>(&mut self, call: &R, now: UnixTime) -> Message {
        let body = call.to_bytes();
        Message::plaintext(self.next_msg_id_at(now), self.next_seq_no(), body)
    }

    /// Returns the next message id by the clock of the operating system.
    #[cfg(feature = "std")]
    pub fn next_msg_id(&mut self) -> MsgId {
        self.next_msg_id_at(UnixTime::now())
    }

    /// Encodes a call as a message, by the clock of the operating system.
    ///
    /// A call that cannot be encoded (a string of 16 MiB or more) gives an empty body.
    #[cfg(feature = "std")]
    pub fn pack<R: chappe_tl::RemoteCall>(&mut self, call: &R) -> Message {
        self.pack_at(call, UnixTime::now())
    }
}
