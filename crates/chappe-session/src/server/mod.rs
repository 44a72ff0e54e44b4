//! The session of a server: everything between encrypted frames and queries.
//!
//! [`ServerSession`] does no I/O. It checks what a client sends, answers its service messages, shows its queries to the
//! owner, and sends answers and updates until they are acknowledged. Its methods are of four kinds:
//!
//! - **getters**;
//! - **input**: [`handle_connected`](ServerSession::handle_connected),
//!   [`handle_frame`](ServerSession::handle_frame) or [`handle_opened`](ServerSession::handle_opened),
//!   [`handle_disconnected`](ServerSession::handle_disconnected),
//!   [`handle_timeout`](ServerSession::handle_timeout);
//! - **commands**: [`respond`](ServerSession::respond), [`push`](ServerSession::push), …;
//! - **output**: [`poll_transmit`](ServerSession::poll_transmit) until it returns `None`,
//!   [`poll_timeout`](ServerSession::poll_timeout), [`should_close`](ServerSession::should_close).
//!
//! After each input or command the owner drains the output, in that order. A session belongs to a key and a run of the
//! client's application, not to a connection: connections come and go beneath it.
//!
//! | Part | What it knows |
//! |---|---|
//! | `reception` | the frame being handled |
//! | `session_state` | what each message changes; it joins the parts below |
//! | `inbox` | messages received, queries that run, acknowledgements owed |
//! | `outbox` | numbering, replies, and the packet being made |
//! | `outgoing` | answers and updates until they are acknowledged |
//! | `salts` | which salts are valid |
//! | `link` | the connection beneath |
//!
//! The owner keeps the keys and finds the session of a frame by key and `session_id`: [`chappe_framing::open`] returns
//! both.

mod config;
mod error;
mod event;
mod inbox;
mod link;
mod outbox;
mod outgoing;
mod parity;
mod quota;
mod rate_limit;
mod reception;
mod salts;
mod session_state;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    AcceptedFormat, EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, MsgOrigin, Opened,
    ServerSalt, SessionId, TransportTail, UnixTime, constructor_id, open,
};
use chappe_tl::Serializable;
use chappe_tl_mtproto::types;
use chappe_types::{BadMsgCode, Rule, TransportErrorCode};
use rand_core::CryptoRng;

pub use config::{Policy, ServerConfig};
pub use error::{RespondError, ServerError};
pub use event::{ServerEvent, ServerEvents, Unacked};
pub use inbox::MessageCheck;
pub use quota::{OverQuota, Quota};
pub use salts::SaltSchedule;
pub use session_state::QUERY_SETTLED;

use crate::counters::Counters;
use crate::event_log::EventLog;
use crate::gzip::Gzip;
use crate::service::{KeyDestruction, encode};
use crate::time::{MonoTime, Now};
use crate::{QUIET, Transmit};
use inbox::Inbox;
use link::Link;
use outbox::{Outbox, PacketContext};
use outgoing::Content;
use rate_limit::RateLimit;
use reception::Reception;
use salts::SessionSalts;
use session_state::SessionState;

/// Places of a list that a quiet session may keep.
const KEPT_PLACES: usize = 4;

/// A server's session, sans I/O. See the [module](self) for the order of calls.
///
/// ```
/// use chappe_crypto::AuthKey;
/// use chappe_session::server::{SaltSchedule, ServerConfig, ServerEvent, ServerSession};
/// use chappe_session::{Now, SessionId, TransportTail};
///
/// # fn serve(now: Now, frame: &mut [u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let key = AuthKey::from_bytes([7; 256]);
/// let salts = SaltSchedule::new([1; 32]);
/// let mut session = ServerSession::new(ServerConfig::default(), key, SessionId::from_raw(5), salts, 77);
/// session.handle_connected(now, TransportTail::None);
/// let mut queries = Vec::new();
/// for event in session.handle_frame(now, frame)? {
///     if let ServerEvent::Query { msg_id, body, .. } = event {
///         queries.push((msg_id, body.to_vec()));
///     }
/// }
/// for (msg_id, _) in queries {
///     session.respond_error(msg_id, 400, "METHOD_NOT_FOUND")?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct ServerSession {
    key: AuthKey,
    session_id: SessionId,
    state: SessionState,
    gzip: Gzip,
    last_input: MonoTime,
}

/// Creation and getters.
impl ServerSession {
    /// Creates the session that a client has begun. It waits for [`handle_connected`](Self::handle_connected).
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
        let accepted = match config.policy {
            Policy::Strict => AcceptedFormat::Gzip,
            Policy::Lenient => AcceptedFormat::GzipOrZlib,
        };
        let state = SessionState {
            inbox: Inbox::new(config.received_ids),
            config,
            unique_id,
            salts: SessionSalts::new(salts, key.id()),
            link: Link::Down { since: MonoTime::ZERO },
            outbox: Outbox::default(),
            complaints: RateLimit::default(),
            salt_lists: RateLimit::default(),
            log: EventLog::new(),
            counters: Counters::default(),
        };
        Self { key, session_id, state, gzip: Gzip::new(accepted), last_input: MonoTime::ZERO }
    }

    /// Also accepts the salt that follows from the handshake, until `until`.
    #[must_use]
    pub fn with_first_salt(mut self, salt: ServerSalt, until: UnixTime) -> Self {
        self.state.salts = self.state.salts.with_first(salt, until);
        self
    }

    /// Makes the ids of all messages of the server greater than `last`, for an owner that has sent messages of the session
    /// before: complaints in a session that it did not keep (SEC-83).
    #[must_use]
    pub fn with_ids_after(mut self, last: MsgId) -> Self {
        self.state.outbox.set_ids_after(last);
        self
    }

    /// Continues a session that another process began, and leaves all messages up to `floor` to that process.
    ///
    /// The client is not told of a new session: it would send queries again under new ids that were executed already. A
    /// query up to `floor` that comes again is not shown. It gets the answer of the other process, if
    /// [`respond_tagged`](Self::respond_tagged) is called with it, and otherwise the error [`QUERY_SETTLED`].
    #[must_use]
    pub fn continued_after(mut self, floor: MsgId) -> Self {
        self.state.inbox.set_floor(floor);
        self.state.outbox.skip_announcement();
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
        &self.state.counters
    }

    /// Returns how many messages wait to be sent or acknowledged.
    pub fn unacked(&self) -> usize {
        self.state.outbox.queue.len()
    }

    /// Returns how many bytes these messages have.
    pub fn unacked_bytes(&self) -> usize {
        self.state.outbox.queue.bytes()
    }

    /// Returns how many queries were shown and not answered.
    pub fn running_queries(&self) -> usize {
        self.state.inbox.running()
    }

    /// Checks a frame without handling it.
    ///
    /// An owner asks this before a frame changes anything outside of the session: before it keeps a session that it
    /// has just created, before it removes another session to make room, and before it moves the session to the
    /// connection that the frame came over. Only a [fresh](MessageCheck::Fresh) frame proves that the client sent it now.
    pub fn check(&self, now: Now, opened: &Opened<'_>) -> MessageCheck {
        // A body too short for a constructor id is refused when it is handled.
        let constructor = constructor_id(opened.body()).unwrap_or_default();
        self.state.check_outer(now.unix, opened.salt(), opened.msg_id(), constructor)
    }

    /// Returns the highest id of a message that was received.
    pub fn last_received(&self) -> Option<MsgId> {
        self.state.inbox.last_received()
    }

    /// Returns whether a connection is up.
    pub const fn is_connected(&self) -> bool {
        self.state.link.is_up()
    }

    /// Returns since when no connection is up; `None` while one is.
    pub const fn disconnected_since(&self) -> Option<MonoTime> {
        match self.state.link {
            Link::Down { since } => Some(since),
            Link::Up { .. } => None,
        }
    }
}

/// Input.
impl ServerSession {
    /// A connection is up. `tail` tells whether its transport leaves padding behind frames.
    ///
    /// Schedules everything for sending again that the client has not acknowledged.
    pub fn handle_connected(&mut self, now: Now, tail: TransportTail) {
        self.state.link = Link::Up { tail, close_at: None };
        self.last_input = now.mono;
        self.state.outbox.queue.repeat_all();
    }

    /// The connection is gone. Queries keep running, and their answers wait for the next connection.
    pub fn handle_disconnected(&mut self, now: Now) {
        self.state.link = Link::Down { since: now.mono };
        self.state.outbox.forget_replies();
        self.release_memory();
    }

    /// Takes a frame of the client: decrypts it in place, checks it, and returns what it asks for.
    ///
    /// # Errors
    ///
    /// Fails if the connection should be closed, or answered with a transport error.
    pub fn handle_frame<'a>(
        &'a mut self,
        now: Now,
        frame: &'a mut [u8],
    ) -> Result<ServerEvents<'a>, ServerError> {
        let Link::Up { tail, .. } = self.state.link else {
            // The frame is of a connection that is gone.
            self.state.log.clear();
            return Ok(ServerEvents { records: self.state.log.take(&[]), quick_ack: None });
        };
        let opened = open(&self.key, Side::Client, tail, frame)?;
        self.handle_opened(now, &opened)
    }

    /// Takes a frame that the owner has opened to find out which session it is for.
    ///
    /// # Errors
    ///
    /// As for [`handle_frame`](Self::handle_frame).
    pub fn handle_opened<'a>(
        &'a mut self,
        now: Now,
        opened: &Opened<'a>,
    ) -> Result<ServerEvents<'a>, ServerError> {
        self.state.log.clear();
        self.last_input = now.mono;
        if opened.require_named_session().is_err() {
            self.state.counters.refused.count(Rule::new(69));
            return Err(ServerError::Transport(TransportErrorCode::UnknownAuthKey));
        }
        opened.require_session(self.session_id)?;
        self.state.counters.frames_received += 1;
        let reception = Reception { now, state: &mut self.state, gzip: &mut self.gzip };
        let accepted = reception.on_frame(opened).inspect_err(|_| self.state.withdraw_queries())?;
        let quick_ack = accepted.then(|| opened.quick_ack());
        Ok(ServerEvents { records: self.state.log.take(opened.body()), quick_ack })
    }

    /// Time has passed: call it when [`poll_timeout`](Self::poll_timeout) is due, or at any time.
    pub fn handle_timeout(&mut self, now: Now) {
        let since = now.mono.as_duration().checked_sub(self.state.config.resend_after);
        if let Some(since) = since.filter(|_| self.is_connected()) {
            self.state.outbox.queue.repeat_since(MonoTime::from_duration(since));
        }
        if self.quiet_at().is_some_and(|at| at <= now.mono) {
            self.release_memory();
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
        req_msg_id: MsgId,
        result: &S,
    ) -> Result<(), RespondError> {
        self.respond_vec(req_msg_id, result.try_to_bytes()?)
    }

    /// Answers a query with an object that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_bytes(&mut self, req_msg_id: MsgId, result: &[u8]) -> Result<(), RespondError> {
        let object = self.pack(result).unwrap_or_else(|| result.to_vec());
        self.enqueue_answer(req_msg_id, object)
    }

    /// Answers a query with an object in memory that is given away: the answer stays in it until it goes into a packet.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_vec(&mut self, req_msg_id: MsgId, result: Vec<u8>) -> Result<(), RespondError> {
        let object = self.pack(&result).unwrap_or(result);
        self.enqueue_answer(req_msg_id, object)
    }

    /// Answers a query with an `rpc_error`.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_error(&mut self, req_msg_id: MsgId, code: i32, message: &str) -> Result<(), RespondError> {
        let error = types::RpcError { error_code: code, error_message: message.into() };
        self.respond_vec(req_msg_id, encode(&error))
    }

    /// Sends an update.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn push<S: Serializable + ?Sized>(&mut self, update: &S) -> Result<(), RespondError> {
        let object = update.try_to_bytes()?;
        self.require_room(&object)?;
        self.state.outbox.queue.push(Content::Update { object, tag: None });
        Ok(())
    }

    /// Sends an update that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn push_bytes(&mut self, update: &[u8]) -> Result<(), RespondError> {
        self.require_room(update)?;
        self.state.outbox.queue.push(Content::Update { object: update.to_vec(), tag: None });
        Ok(())
    }

    /// Sends an update that is serialized already, constructor id first. [`ServerEvent::Acked`] returns the tag once the
    /// client has received it.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn push_tagged(&mut self, update: &[u8], tag: u64) -> Result<(), RespondError> {
        self.require_room(update)?;
        self.state.outbox.queue.push(Content::Update { object: update.to_vec(), tag: Some(tag) });
        Ok(())
    }

    /// Answers a query with an object that is serialized already. [`ServerEvent::Acked`] returns the tag once the client has
    /// received it.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_tagged(&mut self, query: MsgId, object: Vec<u8>, tag: u64) -> Result<(), RespondError> {
        self.require_room(&object)?;
        self.state.outbox.queue.push(Content::Answer { query, object, tag: Some(tag) });
        self.state.inbox.end_query(query);
        Ok(())
    }

    /// Takes out everything that the client has not acknowledged, in the order in which it was queued: another process is
    /// to send it.
    pub fn take_unacked(&mut self) -> Vec<Unacked> {
        let unacked = |content| match content {
            Content::NewSession { .. } => None,
            Content::Answer { query, object, tag } => Some(Unacked::Answer { query, object, tag }),
            Content::Update { object, tag } => Some(Unacked::Update { object, tag }),
        };
        self.state.outbox.queue.take_all().into_iter().filter_map(unacked).collect()
    }

    /// Answers [`ServerEvent::DestroySession`].
    pub fn respond_session_destroyed(&mut self, session_id: SessionId, existed: bool) {
        let session_id = session_id.to_raw();
        if existed {
            self.state.outbox.reply(&types::DestroySessionOk { session_id });
        } else {
            self.state.outbox.reply(&types::DestroySessionNone { session_id });
        }
    }

    /// Answers [`ServerEvent::DestroyAuthKey`]. Send the answer before the key is forgotten.
    pub fn respond_key_destroyed(&mut self, destruction: KeyDestruction) {
        match destruction {
            KeyDestruction::Destroyed => self.state.outbox.reply(&types::DestroyAuthKeyOk {}),
            KeyDestruction::Unknown => self.state.outbox.reply(&types::DestroyAuthKeyNone {}),
            KeyDestruction::Failed => self.state.outbox.reply(&types::DestroyAuthKeyFail {}),
        }
    }

    /// Writes the complaint about a frame that [`check`](Self::check) refused into `out`; returns `None` if the client
    /// has been told too often.
    ///
    /// It goes to the connection that the frame came over, which need not be the one the session is connected by.
    pub fn refuse(
        &mut self,
        now: Now,
        message: MessageHeader,
        code: BadMsgCode,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Option<Transmit> {
        let complaint = self.state.complaint(now, message, code)?;
        let mut writer = EncryptedWriter::begin(out);
        writer.body().append(&complaint);
        let message = self.state.outbox.unrelated(now, MsgOrigin::Response);
        self.seal(self.state.salts.current(now.unix), message, writer, rng)
    }

    /// Packs an answer if it is large enough and becomes clearly smaller.
    fn pack(&mut self, result: &[u8]) -> Option<Vec<u8>> {
        let gzip_from = self.state.config.gzip_from;
        if gzip_from == 0 || result.len() < gzip_from.max(64) {
            return None;
        }
        self.gzip.pack(result, &mut self.state.counters).map(<[u8]>::to_vec)
    }

    fn enqueue_answer(&mut self, query: MsgId, object: Vec<u8>) -> Result<(), RespondError> {
        self.require_room(&object)?;
        self.state.outbox.queue.push(Content::Answer { query, object, tag: None });
        self.state.inbox.end_query(query);
        Ok(())
    }

    fn require_room(&self, object: &[u8]) -> Result<(), RespondError> {
        let len = object.len();
        if len < 4 || !len.is_multiple_of(4) {
            return Err(RespondError::BodyLength { len });
        }
        let (messages, bytes) = (self.state.outbox.queue.len(), self.state.outbox.queue.bytes());
        if messages >= self.state.config.unacked_messages || bytes + len > self.state.config.unacked_bytes {
            return Err(RespondError::TooMuchUnacked { messages, bytes });
        }
        Ok(())
    }
}

/// Output.
impl ServerSession {
    /// Writes the next frame into `out`; returns `None` if there is nothing to send now.
    ///
    /// Poll it until it returns `None`: after each input, after each command, and when
    /// [`poll_timeout`](Self::poll_timeout) is due. It returns `None` while no connection is up.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Option<Transmit> {
        // The owner has seen the events of the last frame, and what its packed objects unpacked to is not kept: many
        // sessions could hold much memory by one small frame each (SEC-175).
        self.state.log.begin();
        if !self.is_connected() || !self.state.outbox.is_due(now, &self.state.inbox.acks) {
            return None;
        }
        let (config, salt) = (&*self.state.config, self.state.salts.current(now.unix));
        let mut writer = EncryptedWriter::begin(out);
        let context = PacketContext { now, salt, config, counters: &mut self.state.counters };
        let message =
            self.state.outbox.write_packet(context, &mut self.state.inbox.acks, writer.body()).ok()?;
        self.seal(salt, message, writer, rng)
    }

    fn seal(
        &mut self,
        salt: ServerSalt,
        message: MessageHeader,
        writer: EncryptedWriter<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Option<Transmit> {
        let header = EncryptedHeader { salt, session_id: self.session_id, message };
        writer.seal(&self.key, Side::Server, header, self.state.config.padding, rng).ok()?;
        self.state.counters.frames_sent += 1;
        Some(Transmit { quick_ack: None })
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout) and then to poll
    /// [`poll_transmit`](Self::poll_transmit) and [`should_close`](Self::should_close).
    ///
    /// Ask again after each input, after each command, and after `poll_transmit` returned `None`.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        if !self.is_connected() {
            return None;
        }
        let resend =
            self.state.outbox.queue.waiting_since().map(|since| since + self.state.config.resend_after);
        let timers = [resend, self.state.inbox.acks.deadline(), self.state.link.close_at(), self.quiet_at()];
        timers.into_iter().flatten().min()
    }

    /// Returns whether the client wants the connection closed by now (`ping_delay_disconnect`).
    ///
    /// Ask when [`poll_timeout`](Self::poll_timeout) is due.
    pub fn should_close(&self, now: Now) -> bool {
        self.state.link.close_at().is_some_and(|at| at <= now.mono)
    }
}

/// Memory: a server has many sessions, and most of them are quiet.
impl ServerSession {
    /// Returns when to free memory that only frames need, if there is any.
    fn quiet_at(&self) -> Option<MonoTime> {
        let is_large = !self.gzip.is_released()
            || self.state.log.keeps_more_than(KEPT_PLACES)
            || self.state.inbox.acks.keeps_more_than(KEPT_PLACES)
            || self.state.outbox.keeps_more_than(KEPT_PLACES);
        is_large.then(|| self.last_input + QUIET)
    }

    fn release_memory(&mut self) {
        self.gzip.release();
        self.state.log = EventLog::new();
        self.state.inbox.acks.release();
        self.state.outbox.release();
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession")
            .field("auth_key_id", &self.key.id())
            .field("session_id", &self.session_id)
            .field("unacked", &self.unacked())
            .field("running", &self.running_queries())
            .finish_non_exhaustive()
    }
}
