//! Encrypted messages, step by step: pack one, unpack one.
//!
//! [`EncryptedSession`] is for callers who run their own loop. It numbers and seals what goes out, opens
//! and checks what comes in, follows the server's salt and time, and remembers what it has seen. It does
//! not wait, repeat or match answers: a whole session does that.
//!
//! Spec: <https://core.telegram.org/mtproto/description>.

mod pack;
#[cfg(all(feature = "std", feature = "getrandom"))]
mod system;
mod unpack;

use alloc::collections::VecDeque;

use chappe_crypto::AuthKey;
use chappe_framing::{
    Inflater, MsgId, MsgIdGenerator, Padding, SeqNo, SeqNoCounter, ServerSalt, SessionId, TransportTail,
    UnixTime,
};
use rand_core::CryptoRng;

use crate::SessionLimits;
use crate::message::Message;
use crate::window::{AgeLimits, DuplicateWindow};

/// Ids of own messages remembered, so that a complaint about them is believed.
const SENT_IDS: usize = 512;

/// An encrypted session whose caller packs and unpacks each message himself.
///
/// ```
/// use chappe_crypto::rng::Drbg;
/// use chappe_framing::FrameBuf;
/// use chappe_session::{EncryptedSession, UnixTime};
/// use chappe_tl_mtproto::functions::Ping;
///
/// let mut rng = Drbg::from_seed([1; 32]);
/// let mut session = EncryptedSession::with_rng([7; 256], 42, 0, &mut rng);
/// let mut frame = FrameBuf::new();
/// let now = UnixTime::from_secs(1_707_425_104);
/// let msg_id = session.pack_into(&Ping { ping_id: 1 }, now, &mut rng, &mut frame)?;
/// assert_eq!(msg_id.unix_seconds(), 1_707_425_104);
/// // frame.as_slice() goes to the transport.
/// # Ok::<(), chappe_session::WriteError>(())
/// ```
#[derive(Debug)]
pub struct EncryptedSession {
    /// Server salt that messages are sent with. Follows `bad_server_salt` and `new_session_created`.
    pub salt: i64,
    /// What is added to the local clock to get the server's time, in seconds. Follows the server.
    pub time_offset: i32,
    key: AuthKey,
    session_id: SessionId,
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
    window: DuplicateWindow,
    age: AgeLimits,
    unpacked_bytes: usize,
    padding: Padding,
    tail: TransportTail,
    /// Ascending.
    sent: VecDeque<MsgId>,
    acks: VecDeque<MsgId>,
    inflater: Option<Inflater>,
    #[cfg(all(feature = "std", feature = "getrandom"))]
    rng: Option<chappe_crypto::rng::Drbg>,
}

/// A message as a view of the frame it came in, or of the memory it was unpacked to.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    /// Salt that the server used.
    pub salt: ServerSalt,
    /// Identifier of the message.
    pub msg_id: MsgId,
    /// Its sequence number.
    pub seq_no: SeqNo,
    /// The TL object, constructor id first.
    pub body: &'a [u8],
}

impl MessageView<'_> {
    /// Copies the message out of the frame.
    pub fn to_message(self) -> Message {
        Message {
            salt: self.salt.to_raw(),
            msg_id: self.msg_id.to_raw(),
            seq_no: self.seq_no.to_raw(),
            body: self.body.to_vec(),
        }
    }
}

impl EncryptedSession {
    /// Starts a session under an `auth_key`; its `session_id` is drawn from `rng`.
    ///
    /// `first_salt` and `time_offset` (seconds) are what the handshake gave.
    pub fn with_rng(
        auth_key: impl Into<AuthKey>,
        first_salt: i64,
        time_offset: i32,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let limits = SessionLimits::default();
        Self {
            salt: first_salt,
            time_offset,
            key: auth_key.into(),
            session_id: SessionId::random(rng),
            ids: MsgIdGenerator::new(),
            seq: SeqNoCounter::new(),
            window: DuplicateWindow::new(limits.received_ids),
            age: limits.age,
            unpacked_bytes: limits.unpacked_bytes,
            padding: Padding::Random,
            tail: TransportTail::None,
            sent: VecDeque::new(),
            acks: VecDeque::new(),
            inflater: None,
            #[cfg(all(feature = "std", feature = "getrandom"))]
            rng: None,
        }
    }

    /// Returns the `auth_key`.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key
    }

    /// Returns the `session_id`.
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Sets how much random padding goes behind a message. [`Padding::Random`] unless set.
    pub const fn set_padding(&mut self, padding: Padding) {
        self.padding = padding;
    }

    /// Says whether the transport leaves padding of its own behind a frame (padded intermediate).
    pub const fn set_transport_tail(&mut self, tail: TransportTail) {
        self.tail = tail;
    }

    fn server_time(&self, now: UnixTime) -> UnixTime {
        now.saturating_offset(i64::from(self.time_offset) * 1_000_000_000)
    }
}
