//! The session of a server: the other half of what a client does.
//!
//! [`ServerSession`] checks what a client sends, answers its service messages, shows its queries to the
//! owner and sends answers and updates until they are acknowledged. It does no I/O. Its methods are of four kinds:
//!
//! - **getters**;
//! - **input**: [`handle_connected`](ServerSession::handle_connected),
//!   [`handle_frame`](ServerSession::handle_frame) or [`handle_opened`](ServerSession::handle_opened),
//!   [`handle_timeout`](ServerSession::handle_timeout);
//! - **commands**: [`respond`](ServerSession::respond), [`push`](ServerSession::push), …;
//! - **output**: [`poll_transmit`](ServerSession::poll_transmit) until it gives `None`,
//!   [`poll_timeout`](ServerSession::poll_timeout), [`should_close`](ServerSession::should_close).
//!
//! The owner keeps the keys ([`KeyTable`]) and finds the session of a frame by key and `session_id`:
//! [`chappe_framing::open`] tells both.

mod checks;
mod event;
mod hold;
mod keys;
mod outgoing;
mod quota;
mod receive;
mod salts;
mod transmit;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use chappe_crypto::AuthKey;
use chappe_framing::{
    Deflater, FrameError, Inflater, MsgId, MsgIdGenerator, Padding, SeqNo, SeqNoCounter, ServerSalt,
    SessionId, UnixTime, write_rpc_result_header,
};
use chappe_tl::{EncodeError, Identifiable, Serializable, Sink};
use chappe_tl_mtproto::types;

pub use event::{ServerEvent, ServerEvents};
pub use keys::{BindError, KeyEntry, KeyKind, KeyTable};
pub use quota::{OverQuota, Quota};
pub use salts::SaltSchedule;

use crate::acks::AckQueue;
use crate::counters::Counters;
use crate::service::{KeyDestruction, Status};
use crate::time::{MonoTime, Now};
use crate::window::{AgeLimits, DuplicateWindow};
use event::Log;
use hold::Hold;
use outgoing::OutgoingQueue;

/// How strict a server is with what clients in the world do wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Every rule is enforced: codes 19 and 32 to 35 are sent, and only gzip is unpacked.
    Strict,
    /// Sequence numbers are not checked, since widespread clients get the parity of service messages
    /// wrong and leave when told so; a container under a used id is taken for a repetition; zlib is
    /// unpacked like gzip.
    #[default]
    Lenient,
}

/// Every bound of a server's session, and how it behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// How strict the session is.
    pub policy: Policy,
    /// How much random padding goes behind a message.
    pub padding: Padding,
    /// Ids of received messages remembered (SEC-78). Default 416.
    pub received_ids: usize,
    /// How old and how far in the future a message may be (SEC-79).
    pub age: AgeLimits,
    /// Queries that may run at once; beyond it the client is told to slow down. Default 1024.
    pub running_queries: usize,
    /// Messages that wait to be sent or acknowledged. Default 8192.
    pub unacked_messages: usize,
    /// Bytes of these. Default 32 MiB (SEC-175).
    pub unacked_bytes: usize,
    /// Most bytes that the packed queries of one frame may unpack to. Default 16 MiB (SEC-97).
    pub unpacked_bytes: usize,
    /// Messages put into one container. Default 100.
    pub container_messages: usize,
    /// Bytes after which no further message is put into a container. Default 512 KiB.
    pub container_bytes: usize,
    /// Smallest answer that is packed with gzip, if it becomes clearly smaller. Default 4096; 0 for never.
    pub gzip_from: usize,
    /// Answers larger than this are announced with `msg_detailed_info` instead of being sent again when a
    /// query is repeated. Default 4096.
    pub large_answer: usize,
    /// How long a query may run until it is acknowledged. Default 1.5 s.
    pub ack_delay: Duration,
    /// How long a message waits for its acknowledgement until it is sent again. Default 30 s.
    pub resend_after: Duration,
    /// The longest time a client may set with `ping_delay_disconnect` (SEC-109). Default 512 s.
    pub disconnect_delay: Duration,
    /// Complaints (`bad_msg_notification`) per ten seconds. Default 100.
    pub complaints: u16,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Lenient,
            padding: Padding::Random,
            received_ids: 416,
            age: AgeLimits::SPEC,
            running_queries: 1024,
            unacked_messages: 8192,
            unacked_bytes: 32 << 20,
            unpacked_bytes: 16 << 20,
            container_messages: 100,
            container_bytes: 512 << 10,
            gzip_from: 4096,
            large_answer: 4096,
            ack_delay: Duration::from_millis(1500),
            resend_after: Duration::from_secs(30),
            disconnect_delay: Duration::from_secs(512),
            complaints: 100,
        }
    }
}

/// What is kept of a received message.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    seq_no: SeqNo,
    status: Status,
}

/// A server's session, sans I/O. See the [module](self) for the order of calls.
///
/// ```
/// use chappe_crypto::AuthKey;
/// use chappe_session::server::{SaltSchedule, ServerConfig, ServerEvent, ServerSession};
/// use chappe_session::{Now, SessionId};
///
/// # fn serve(now: Now, frame: &mut [u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let key = AuthKey::from_bytes([7; 256]);
/// let salts = SaltSchedule::new([1; 32]);
/// let mut session = ServerSession::new(ServerConfig::default(), key, SessionId::from_raw(5), salts, 77);
/// let mut queries = Vec::new();
/// for event in session.handle_frame(now, frame)? {
///     if let ServerEvent::Query { msg_id, body, .. } = event {
///         queries.push((msg_id, body.to_vec()));
///     }
/// }
/// for (msg_id, _) in queries {
///     session.respond_error(now, msg_id, 400, "METHOD_NOT_FOUND")?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct ServerSession {
    config: Arc<ServerConfig>,
    key: AuthKey,
    session_id: SessionId,
    unique_id: i64,
    salts: SaltSchedule,
    /// The salt that follows from the handshake, and until when it is taken.
    first_salt: Option<(ServerSalt, UnixTime)>,
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
    received: DuplicateWindow<Received>,
    acks: AckQueue,
    outgoing: OutgoingQueue,
    /// Answers that are not acknowledged: `pong`, `bad_msg_notification`, …
    replies: VecDeque<Vec<u8>>,
    running: usize,
    was_announced: bool,
    is_connected: bool,
    disconnect_at: Option<MonoTime>,
    is_http: bool,
    /// Over HTTP: the request whose answer is held back.
    hold: Option<Hold>,
    /// Complaints in the current ten seconds, and when these began.
    complained: (u16, MonoTime),
    log: Log,
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
    counters: Counters,
}

/// Most answers to service messages that wait.
const MAX_REPLIES: usize = 256;

/// Why a frame of a client was refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerError {
    /// The frame is not in order; close the connection.
    Frame(FrameError),
    /// Answer with this transport error: -404 for session zero or an unknown key, -429 for a flood.
    Transport(i32),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Transport(code) => write!(f, "the client is to be told transport error {code}"),
        }
    }
}

impl core::error::Error for ServerError {}

impl From<FrameError> for ServerError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// Why a message of the server was not accepted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RespondError {
    /// The object cannot be encoded.
    Encode(EncodeError),
    /// The body is empty or not a multiple of four bytes.
    BodyLength {
        /// Its length in bytes.
        len: usize,
    },
    /// The client has not acknowledged enough of what it was sent: close the session (SEC-175).
    TooMuchUnacked {
        /// Messages that wait.
        messages: usize,
        /// Their bytes.
        bytes: usize,
    },
}

impl fmt::Display for RespondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => write!(f, "the object cannot be encoded: {error}"),
            Self::BodyLength { len } => write!(f, "a body of {len} bytes cannot be sent"),
            Self::TooMuchUnacked { messages, bytes } => {
                write!(f, "the client has not acknowledged {messages} messages of {bytes} bytes")
            }
        }
    }
}

impl core::error::Error for RespondError {}

impl From<EncodeError> for RespondError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// Making a session, and getters.
impl ServerSession {
    /// Makes the session that a client has begun.
    ///
    /// `unique_id` should be random; the client recognises the session by it (SEC-91).
    /// The configuration may be shared: sessions that are given clones of one `Arc` keep it once.
    pub fn new(
        config: impl Into<Arc<ServerConfig>>,
        key: AuthKey,
        session_id: SessionId,
        salts: SaltSchedule,
        unique_id: i64,
    ) -> Self {
        let config = config.into();
        Self {
            received: DuplicateWindow::new(config.received_ids),
            config,
            key,
            session_id,
            unique_id,
            salts,
            first_salt: None,
            ids: MsgIdGenerator::new(),
            seq: SeqNoCounter::new(),
            acks: AckQueue::new(),
            outgoing: OutgoingQueue::default(),
            replies: VecDeque::new(),
            running: 0,
            was_announced: false,
            is_connected: true,
            disconnect_at: None,
            is_http: false,
            hold: None,
            complained: (0, MonoTime::ZERO),
            log: Log::default(),
            inflater: None,
            deflater: None,
            counters: Counters::default(),
        }
    }

    /// Also takes the salt that follows from the handshake, until `until`.
    #[must_use]
    pub const fn with_first_salt(mut self, salt: ServerSalt, until: UnixTime) -> Self {
        self.first_salt = Some((salt, until));
        self
    }

    /// Returns the key.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key
    }

    /// Returns the `session_id`.
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Returns the counters.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Tells whether the answer to an HTTP request is held back, as `http_wait` in it asked: the driver keeps the request
    /// open and polls again when something comes up or [`poll_timeout`](Self::poll_timeout) says so. An answer that is
    /// due although there is nothing to say is an empty container.
    pub const fn holds_request(&self) -> bool {
        self.hold.is_some()
    }

    /// Returns how many messages wait to be sent or acknowledged.
    pub fn unacked(&self) -> usize {
        self.outgoing.len()
    }

    /// Returns how many queries were shown and not answered.
    pub const fn running_queries(&self) -> usize {
        self.running
    }

    /// Tells whether a connection is up.
    pub const fn is_connected(&self) -> bool {
        self.is_connected
    }
}

/// Input: connections and time. Frames are in `receive`.
impl ServerSession {
    /// The client is there again on a new connection: what it has not acknowledged is sent again.
    pub fn handle_connected(&mut self, _now: Now) {
        self.is_connected = true;
        self.disconnect_at = None;
        self.outgoing.repeat_all();
    }

    /// The connection is gone.
    pub fn handle_disconnected(&mut self) {
        self.is_connected = false;
        self.disconnect_at = None;
        self.hold = None;
        self.replies.clear();
        self.log.clear();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        let since = now.mono.as_duration().checked_sub(self.config.resend_after);
        if let Some(since) = since.filter(|_| self.is_connected) {
            self.outgoing.repeat_since(MonoTime::from_duration(since));
        }
    }
}

/// Commands.
impl ServerSession {
    /// Answers a query.
    ///
    /// # Errors
    ///
    /// Fails if the object cannot be encoded, or if the client has not acknowledged enough.
    pub fn respond<S: Serializable + ?Sized>(
        &mut self,
        now: Now,
        req_msg_id: MsgId,
        result: &S,
    ) -> Result<(), RespondError> {
        let mut bytes = Vec::with_capacity(result.serialized_len());
        result.serialize(&mut bytes)?;
        self.respond_bytes(now, req_msg_id, &bytes)
    }

    /// Answers a query with an object that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_bytes(&mut self, now: Now, req_msg_id: MsgId, result: &[u8]) -> Result<(), RespondError> {
        let gzip_from = self.config.gzip_from;
        let mut body = Vec::with_capacity(12 + result.len());
        write_rpc_result_header(&mut body, req_msg_id);
        match self.pack(result).filter(|_| gzip_from > 0) {
            Some(packed) => body.extend_from_slice(packed),
            None => body.extend_from_slice(result),
        }
        self.enqueue(now, Some(req_msg_id), body)?;
        if let Some(received) = self.received.note_mut(req_msg_id)
            && received.status.0 & Status::ANSWERED == 0
        {
            received.status.0 |= Status::ANSWERED;
            self.running = self.running.saturating_sub(1);
        }
        Ok(())
    }

    /// Answers a query with an `rpc_error`.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_error(
        &mut self,
        now: Now,
        req_msg_id: MsgId,
        code: i32,
        message: &str,
    ) -> Result<(), RespondError> {
        let mut body = Vec::with_capacity(16 + message.len());
        body.put_u32(types::RpcError::CONSTRUCTOR_ID);
        types::RpcError { error_code: code, error_message: message.into() }.serialize(&mut body)?;
        self.respond_bytes(now, req_msg_id, &body)
    }

    /// Sends an update, unasked.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn push<S: Serializable + ?Sized>(&mut self, now: Now, update: &S) -> Result<(), RespondError> {
        let mut body = Vec::with_capacity(update.serialized_len());
        update.serialize(&mut body)?;
        self.enqueue(now, None, body)
    }

    /// Sends an update that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn push_bytes(&mut self, now: Now, update: &[u8]) -> Result<(), RespondError> {
        self.enqueue(now, None, update.to_vec())
    }

    /// Says that connections carry HTTP requests, whose answers `http_wait` may hold back.
    pub const fn use_http_wait(&mut self) {
        self.is_http = true;
    }

    /// Answers [`ServerEvent::DestroySession`].
    pub fn respond_session_destroyed(&mut self, session_id: SessionId, existed: bool) {
        let id = if existed {
            types::DestroySessionOk::CONSTRUCTOR_ID
        } else {
            types::DestroySessionNone::CONSTRUCTOR_ID
        };
        self.reply(|out| {
            out.put_u32(id);
            out.put(&session_id.to_raw().to_le_bytes());
        });
    }

    /// Answers [`ServerEvent::DestroyAuthKey`]. Send it before the key is forgotten.
    pub fn respond_key_destroyed(&mut self, destruction: KeyDestruction) {
        self.reply(|out| out.put_u32(destruction.constructor_id()));
    }

    /// Has a service message sent that the session would not send by itself, for tests of clients:
    /// the object goes out as it is, in a message that needs no acknowledgement.
    pub fn send_raw(&mut self, body: &[u8]) {
        self.reply(|out| out.extend_from_slice(body));
    }

    fn enqueue(&mut self, now: Now, answers: Option<MsgId>, body: Vec<u8>) -> Result<(), RespondError> {
        if body.len() < 4 || !body.len().is_multiple_of(4) {
            return Err(RespondError::BodyLength { len: body.len() });
        }
        let (messages, bytes) = (self.outgoing.len(), self.outgoing.bytes());
        if messages >= self.config.unacked_messages || bytes + body.len() > self.config.unacked_bytes {
            return Err(RespondError::TooMuchUnacked { messages, bytes });
        }
        self.outgoing.push(answers, body);
        if let Some(hold) = self.hold.as_mut() {
            hold.on_message(now.mono);
        }
        Ok(())
    }

    fn reply(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.replies.len() < MAX_REPLIES {
            let mut reply = Vec::new();
            write(&mut reply);
            self.replies.push_back(reply);
        }
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession")
            .field("auth_key_id", &self.key.id())
            .field("session_id", &self.session_id)
            .field("unacked", &self.outgoing.len())
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}
