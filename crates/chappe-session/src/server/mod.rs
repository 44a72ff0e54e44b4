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
mod salts;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    AcceptedFormat, CONTAINER_HEADER_LEN, Container, EncryptedHeader, EncryptedWriter, FrameBuf, FrameError,
    GZIP_PACKED, GzipPacked, MSG_CONTAINER, MessageHeader, MsgId, MsgOrigin, Opened, PeerMisbehaved,
    ServerSalt, SessionId, TransportTail, UnixTime, constructor_id, open,
};
use chappe_tl::Serializable;
use chappe_tl_mtproto::types;
use chappe_types::{BadMsgCode, Rule, TransportErrorCode};
use rand_core::CryptoRng;

pub use config::{Policy, ServerConfig};
pub use error::{RespondError, ServerError};
pub use event::{ServerEvent, ServerEvents};
pub use quota::{OverQuota, Quota};
pub use salts::SaltSchedule;

use crate::counters::Counters;
use crate::event_log::{EventLog, Span};
use crate::gzip::Gzip;
use crate::service::{Ids, KeyDestruction, Service, Status, encode};
use crate::time::{MonoTime, Now};
use crate::{MAX_IDS_PER_LIST, QUIET, Transmit};
use event::Record;
use inbox::{Check, Inbox};
use link::Link;
use outbox::{Outbox, PacketContext};
use outgoing::{Content, DroppedAnswer};
use rate_limit::RateLimit;
use salts::SessionSalts;

/// Lists of salts that a client may ask for in ten seconds. One lasts for hours; of more, each answer has one salt.
const MAX_SALT_LISTS: u16 = 16;

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
    config: Arc<ServerConfig>,
    key: AuthKey,
    session_id: SessionId,
    unique_id: i64,
    salts: SessionSalts,
    link: Link,
    inbox: Inbox,
    outbox: Outbox,
    complaints: RateLimit,
    salt_lists: RateLimit,
    gzip: Gzip,
    log: EventLog<Record>,
    last_input: MonoTime,
    counters: Counters,
}

/// What a session makes of a frame, by its outer message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameCheck {
    /// It was not received before, and its age and salt are right.
    Fresh,
    /// It was received before. Anyone on the path can record a frame and send it again.
    Duplicate,
    /// It is ignored, and the client is told why.
    Refused(BadMsgCode),
}

/// A message of a frame, and where its body is.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    header: MessageHeader,
    body: &'a [u8],
    span: Span,
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
        Self {
            inbox: Inbox::new(config.received_ids),
            config,
            salts: SessionSalts::new(salts, key.id()),
            key,
            session_id,
            unique_id,
            link: Link::Down { since: MonoTime::ZERO },
            outbox: Outbox::default(),
            complaints: RateLimit::default(),
            salt_lists: RateLimit::default(),
            gzip: Gzip::new(accepted),
            log: EventLog::new(),
            last_input: MonoTime::ZERO,
            counters: Counters::default(),
        }
    }

    /// Also accepts the salt that follows from the handshake, until `until`.
    #[must_use]
    pub fn with_first_salt(self, salt: ServerSalt, until: UnixTime) -> Self {
        Self { salts: self.salts.with_first(salt, until), ..self }
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

    /// Returns how many messages wait to be sent or acknowledged.
    pub fn unacked(&self) -> usize {
        self.outbox.queue.len()
    }

    /// Returns how many bytes these messages have.
    pub fn unacked_bytes(&self) -> usize {
        self.outbox.queue.bytes()
    }

    /// Returns how many queries were shown and not answered.
    pub fn running_queries(&self) -> usize {
        self.inbox.running()
    }

    /// Checks a frame without handling it.
    ///
    /// An owner asks this before a frame changes anything outside of the session: before it keeps a session that it
    /// has just created, before it removes another session to make room, and before it moves the session to the
    /// connection that the frame came over. Only a [fresh](FrameCheck::Fresh) frame proves that the client sent it now.
    pub fn check(&self, now: Now, opened: &Opened<'_>) -> FrameCheck {
        // A body too short for a constructor id is refused when it is handled.
        let constructor = constructor_id(opened.body()).unwrap_or_default();
        match self.check_outer(now, opened.salt(), opened.msg_id(), constructor) {
            Check::Fresh => FrameCheck::Fresh,
            Check::Duplicate => FrameCheck::Duplicate,
            Check::Refused(code) => FrameCheck::Refused(code),
        }
    }

    /// Returns the highest id of a message that was received.
    pub fn last_received(&self) -> Option<MsgId> {
        self.inbox.last_received()
    }

    /// Returns whether a connection is up.
    pub const fn is_connected(&self) -> bool {
        self.link.is_up()
    }

    /// Returns since when no connection is up; `None` while one is.
    pub const fn disconnected_since(&self) -> Option<MonoTime> {
        match self.link {
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
        self.link = Link::Up { tail, close_at: None };
        self.last_input = now.mono;
        self.outbox.queue.repeat_all();
    }

    /// The connection is gone. Queries keep running, and their answers wait for the next connection.
    pub fn handle_disconnected(&mut self, now: Now) {
        self.link = Link::Down { since: now.mono };
        self.outbox.forget_replies();
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
        let Link::Up { tail, .. } = self.link else {
            // The frame is of a connection that is gone.
            self.log.clear();
            return Ok(ServerEvents { records: self.log.take(&[]), quick_ack: None });
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
        self.log.clear();
        self.last_input = now.mono;
        if opened.require_named_session().is_err() {
            self.counters.refused.count(Rule::new(69));
            return Err(ServerError::Transport(TransportErrorCode::UnknownAuthKey));
        }
        opened.require_session(self.session_id)?;
        self.counters.frames_received += 1;
        let accepted = self.on_frame(now, opened).inspect_err(|_| self.withdraw_queries())?;
        let quick_ack = accepted.then(|| opened.quick_ack());
        Ok(ServerEvents { records: self.log.take(opened.body()), quick_ack })
    }

    /// Time has passed: call it when [`poll_timeout`](Self::poll_timeout) is due, or at any time.
    pub fn handle_timeout(&mut self, now: Now) {
        let since = now.mono.as_duration().checked_sub(self.config.resend_after);
        if let Some(since) = since.filter(|_| self.is_connected()) {
            self.outbox.queue.repeat_since(MonoTime::from_duration(since));
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
        self.outbox.queue.push(Content::Update { object });
        Ok(())
    }

    /// Sends an update that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn push_bytes(&mut self, update: &[u8]) -> Result<(), RespondError> {
        self.require_room(update)?;
        self.outbox.queue.push(Content::Update { object: update.to_vec() });
        Ok(())
    }

    /// Answers [`ServerEvent::DestroySession`].
    pub fn respond_session_destroyed(&mut self, session_id: SessionId, existed: bool) {
        let session_id = session_id.to_raw();
        if existed {
            self.outbox.reply(&types::DestroySessionOk { session_id });
        } else {
            self.outbox.reply(&types::DestroySessionNone { session_id });
        }
    }

    /// Answers [`ServerEvent::DestroyAuthKey`]. Send the answer before the key is forgotten.
    pub fn respond_key_destroyed(&mut self, destruction: KeyDestruction) {
        match destruction {
            KeyDestruction::Destroyed => self.outbox.reply(&types::DestroyAuthKeyOk {}),
            KeyDestruction::Unknown => self.outbox.reply(&types::DestroyAuthKeyNone {}),
            KeyDestruction::Failed => self.outbox.reply(&types::DestroyAuthKeyFail {}),
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
        let complaint = self.complaint(now, message, code)?;
        let mut writer = EncryptedWriter::begin(out);
        writer.body().append(&complaint);
        let message = self.outbox.unrelated(now, MsgOrigin::Response);
        self.seal(self.salts.current(now.unix), message, writer, rng)
    }

    /// Packs an answer if it is large enough and becomes clearly smaller.
    fn pack(&mut self, result: &[u8]) -> Option<Vec<u8>> {
        let gzip_from = self.config.gzip_from;
        if gzip_from == 0 || result.len() < gzip_from.max(64) {
            return None;
        }
        self.gzip.pack(result, &mut self.counters).map(<[u8]>::to_vec)
    }

    fn enqueue_answer(&mut self, query: MsgId, object: Vec<u8>) -> Result<(), RespondError> {
        self.require_room(&object)?;
        self.outbox.queue.push(Content::Answer { query, object });
        self.inbox.end_query(query);
        Ok(())
    }

    fn require_room(&self, object: &[u8]) -> Result<(), RespondError> {
        let len = object.len();
        if len < 4 || !len.is_multiple_of(4) {
            return Err(RespondError::BodyLength { len });
        }
        let (messages, bytes) = (self.outbox.queue.len(), self.outbox.queue.bytes());
        if messages >= self.config.unacked_messages || bytes + len > self.config.unacked_bytes {
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
        self.log.begin();
        if !self.is_connected() || !self.outbox.is_due(now, &self.inbox.acks) {
            return None;
        }
        let (config, salt) = (&*self.config, self.salts.current(now.unix));
        let mut writer = EncryptedWriter::begin(out);
        let context = PacketContext { now, salt, config, counters: &mut self.counters };
        let message = self.outbox.write_packet(context, &mut self.inbox.acks, writer.body()).ok()?;
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
        writer.seal(&self.key, Side::Server, header, self.config.padding, rng).ok()?;
        self.counters.frames_sent += 1;
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
        let resend = self.outbox.queue.waiting_since().map(|since| since + self.config.resend_after);
        let timers = [resend, self.inbox.acks.deadline(), self.link.close_at(), self.quiet_at()];
        timers.into_iter().flatten().min()
    }

    /// Returns whether the client wants the connection closed by now (`ping_delay_disconnect`).
    ///
    /// Ask when [`poll_timeout`](Self::poll_timeout) is due.
    pub fn should_close(&self, now: Now) -> bool {
        self.link.close_at().is_some_and(|at| at <= now.mono)
    }
}

/// Frames: checks, and each message to the part it concerns.
impl ServerSession {
    /// Handles a frame; returns whether it was accepted.
    fn on_frame(&mut self, now: Now, opened: &Opened<'_>) -> Result<bool, ServerError> {
        let (header, body) = (opened.header(), opened.body());
        let constructor = constructor_id(body)?;
        match self.check_outer(now, opened.salt(), header.msg_id, constructor) {
            Check::Fresh => {}
            Check::Duplicate if constructor == MSG_CONTAINER => {
                self.counters.duplicates += 1;
                return Ok(true);
            }
            Check::Duplicate => {
                self.on_duplicate(now, header);
                return Ok(true);
            }
            Check::Refused(code) => {
                self.complain(now, header, code);
                return Ok(false);
            }
        }
        let span = Span::Frame { start: 0, len: body.len() as u32 };
        if constructor != MSG_CONTAINER {
            self.announce(header.msg_id);
            self.on_message(now, Incoming { header, body, span })?;
            return Ok(true);
        }
        // A container is checked whole before any of its messages counts (SEC-93 to SEC-95).
        let Ok(container) = Container::new_checked(body, header.msg_id, Side::Client) else {
            self.complain(now, header, BadMsgCode::InvalidContainer);
            return Ok(false);
        };
        self.announce(container.iter().map(|inner| inner.header.msg_id).min().unwrap_or(header.msg_id));
        let mut at = CONTAINER_HEADER_LEN;
        for inner in &container {
            at += MessageHeader::LEN;
            let span = span.part(at, inner.body.len());
            at += inner.body.len();
            self.on_message(now, Incoming { header: inner.header, body: inner.body, span })?;
        }
        self.inbox.remember(header, Status::NEEDS_NO_ACK);
        Ok(true)
    }

    /// Checks the outer message of a frame. Changes nothing.
    fn check_outer(&self, now: Now, salt: ServerSalt, msg_id: MsgId, constructor: u32) -> Check {
        match self.inbox.check_outer(&self.config, now.unix, msg_id, constructor) {
            Check::Fresh if !self.salts.accept(now.unix, salt) => Check::Refused(BadMsgCode::BadServerSalt),
            check => self.recall_answer(check, msg_id),
        }
    }

    /// A query that the window has forgotten was received if its answer is still here: a client that is told 20 would
    /// send it again under a new id, and it would run twice.
    fn recall_answer(&self, check: Check, msg_id: MsgId) -> Check {
        match check {
            Check::Refused(BadMsgCode::TooOld) if self.outbox.queue.has_answer(msg_id) => Check::Duplicate,
            check => check,
        }
    }

    /// Tells the client that the server has made a new session for it (SEC-90).
    fn announce(&mut self, first_msg_id: MsgId) {
        if self.outbox.announce(first_msg_id, self.unique_id) {
            self.log.push(Record::Plain(ServerEvent::Created));
        }
    }

    /// Handles one message, alone in the frame or in a container.
    fn on_message(&mut self, now: Now, message: Incoming<'_>) -> Result<(), ServerError> {
        let Incoming { header, body, .. } = message;
        let constructor = constructor_id(body)?;
        let check = self.inbox.check_message(self.config.policy, header, constructor);
        match self.recall_answer(check, header.msg_id) {
            Check::Fresh => {}
            Check::Duplicate => {
                self.on_duplicate(now, header);
                return Ok(());
            }
            Check::Refused(code) => {
                self.complain(now, header, code);
                return Ok(());
            }
        }
        self.counters.messages_received += 1;
        if constructor == GZIP_PACKED { self.on_packed(now, message) } else { self.on_object(now, message) }
    }

    fn on_packed(&mut self, now: Now, message: Incoming<'_>) -> Result<(), ServerError> {
        let packed = GzipPacked::new_checked(message.body)?;
        let most = self.config.unpacked_bytes;
        let place = self.gzip.unpack(&packed, &mut self.log.scratch, most, &mut self.counters)?;
        // Nothing is unpacked while the scratch is lent out, since packed objects do not nest.
        let scratch = core::mem::take(&mut self.log.scratch);
        let span = Span::Scratch { start: place.start as u32, len: place.len() as u32 };
        let body = &scratch[place];
        let handled = match constructor_id(body) {
            Ok(id @ MSG_CONTAINER) => Err(FrameError::from(PeerMisbehaved::Nested { id }).into()),
            _ => self.on_object(now, Incoming { body, span, ..message }),
        };
        self.log.scratch = scratch;
        handled
    }

    fn on_object(&mut self, now: Now, message: Incoming<'_>) -> Result<(), ServerError> {
        let Some(service) = Service::read(message.body).map_err(FrameError::from)? else {
            self.on_query(now, message);
            return Ok(());
        };
        self.inbox.remember(message.header, 0);
        if !service.is_answered() {
            self.inbox.ack_now(message.header, now.mono);
        }
        self.on_service(now, message.header.msg_id, service);
        Ok(())
    }

    /// Shows a query to the owner, unless too many run already.
    fn on_query(&mut self, now: Now, Incoming { header, span, .. }: Incoming<'_>) {
        if self.inbox.running() >= self.config.running_queries {
            return self.refuse_query(header);
        }
        self.inbox.accept_query(header, now.mono, &self.config);
        let MessageHeader { msg_id, seq_no } = header;
        self.log.push(Record::Query { msg_id, seq_no, body: span });
    }

    /// Answers a query that exceeds `running_queries` instead of showing it (SEC-175).
    ///
    /// Only the query is refused: acknowledgements, pings and state requests in the same frame still count, or the
    /// client could neither free memory here nor learn what runs. It is answered with an `rpc_error`, since that says
    /// that the query was not executed, and clients wait and retry on `FLOOD_WAIT_1` by themselves.
    fn refuse_query(&mut self, header: MessageHeader) {
        self.counters.refused.count(Rule::new(175));
        let error = types::RpcError { error_code: 420, error_message: "FLOOD_WAIT_1".into() };
        if self.answer(header.msg_id, encode(&error)) {
            self.inbox.remember(header, Status::ANSWERED);
        }
        // Without room for an answer the query counts as not received: the client asks for its state and repeats it.
    }

    /// Forgets the queries of a frame that turned out to be faulty: they are not shown, so they were not received.
    fn withdraw_queries(&mut self) {
        let msg_id = |record: &Record| match record {
            Record::Query { msg_id, .. } => Some(*msg_id),
            Record::Plain(_) => None,
        };
        self.inbox.withdraw(self.log.records.iter().filter_map(msg_id).collect());
        self.log.clear();
    }

    /// A message came a second time, so its answer may be lost. A large one is announced, a small one sent again.
    fn on_duplicate(&mut self, now: Now, header: MessageHeader) {
        self.counters.duplicates += 1;
        self.inbox.ack_now(header, now.mono);
        let Some((answer_msg_id, answer)) = self.outbox.queue.sent_answer(header.msg_id) else {
            return;
        };
        let len = answer.content.len();
        if len <= self.config.large_answer {
            self.outbox.queue.repeat(answer_msg_id);
            return;
        }
        let info = types::MsgDetailedInfo {
            msg_id: header.msg_id.to_raw(),
            answer_msg_id: answer_msg_id.to_raw(),
            bytes: len as i32,
            status: i32::from(self.status_of(header.msg_id).0),
        };
        self.outbox.reply(&info);
    }

    /// Tells the client what is wrong with a message, if it has not been told too often.
    fn complain(&mut self, now: Now, message: MessageHeader, code: BadMsgCode) {
        if let Some(complaint) = self.complaint(now, message, code) {
            self.outbox.reply_encoded(complaint);
        }
    }

    /// Counts a refused message; returns the complaint unless the client has been told too often.
    fn complaint(
        &mut self,
        now: Now,
        MessageHeader { msg_id, seq_no }: MessageHeader,
        code: BadMsgCode,
    ) -> Option<Vec<u8>> {
        self.counters.refused.count(code.rule());
        if !self.complaints.allows(now.mono, self.config.complaints) {
            return None;
        }
        let (bad_msg_id, bad_msg_seqno, error_code) = (msg_id.to_raw(), seq_no.to_raw(), code.to_raw());
        Some(if code == BadMsgCode::BadServerSalt {
            let new_server_salt = self.salts.current(now.unix).to_raw();
            encode(&types::BadServerSalt { bad_msg_id, bad_msg_seqno, error_code, new_server_salt })
        } else {
            encode(&types::BadMsgNotification { bad_msg_id, bad_msg_seqno, error_code })
        })
    }
}

/// Service messages.
impl ServerSession {
    fn on_service(&mut self, now: Now, msg_id: MsgId, service: Service<'_>) {
        match service {
            Service::MsgsAck(ids) => self.on_acks(ids),
            Service::StateReq(ids) => self.reply_states(msg_id, ids),
            Service::ResendReq(ids) => self.resend(msg_id, ids),
            Service::Ping { ping_id, disconnect_delay } => {
                if let Some(delay) = disconnect_delay {
                    self.link.close_after(now.mono, delay, self.config.disconnect_delay);
                }
                self.outbox.reply(&types::Pong { msg_id: msg_id.to_raw(), ping_id });
            }
            Service::GetFutureSalts { count } => {
                // A list of 64 salts costs 64 hashes, and a container asks for a thousand lists in 24 KiB.
                let count = if self.salt_lists.allows(now.mono, MAX_SALT_LISTS) { count } else { 1 };
                self.outbox.reply(&self.salts.future(now.unix, msg_id, count));
            }
            Service::DropAnswer { req_msg_id } => self.drop_answer(msg_id, req_msg_id),
            Service::DestroySession { session_id } => {
                self.log.push(Record::Plain(ServerEvent::DestroySession { session_id }));
            }
            Service::DestroyAuthKey => self.log.push(Record::Plain(ServerEvent::DestroyAuthKey)),
            Service::HttpWait(wait) => {
                self.log.push(Record::Plain(ServerEvent::HttpWait(wait.clamped())));
            }
            // The client's answers to questions of ours, and what only a server sends.
            _ => {}
        }
    }

    /// Returns whether a list may be so long, and counts it if not (SEC-103).
    fn is_list_allowed(&mut self, ids: Ids<'_>) -> bool {
        let is_allowed = ids.len() <= MAX_IDS_PER_LIST;
        if !is_allowed {
            self.counters.refused.count(Rule::new(103));
        }
        is_allowed
    }

    fn on_acks(&mut self, ids: Ids<'_>) {
        if !self.is_list_allowed(ids) {
            return;
        }
        for msg_id in ids.iter() {
            if self.outbox.queue.ack(msg_id) {
                self.log.push(Record::Plain(ServerEvent::Acked { msg_id }));
            }
        }
    }

    fn reply_states(&mut self, msg_id: MsgId, ids: Ids<'_>) {
        if self.is_list_allowed(ids) {
            let mut info = Vec::with_capacity(ids.len());
            for id in ids.iter() {
                let status = self.status_of(id);
                if status == Status(Status::UNKNOWN) {
                    self.inbox.deny(id);
                }
                info.push(status.0);
            }
            self.outbox.reply(&types::MsgsStateInfo { req_msg_id: msg_id.to_raw(), info });
        }
    }

    /// Returns what is known of a message of the client.
    fn status_of(&self, msg_id: MsgId) -> Status {
        match self.inbox.status_of(msg_id) {
            Status(Status::UNKNOWN) if self.outbox.queue.has_answer(msg_id) => {
                Status(Status::RECEIVED | Status::ANSWERED)
            }
            status => status,
        }
    }

    /// Sends messages again. If one of them is unknown, replies with the states of all instead (SEC-105).
    fn resend(&mut self, msg_id: MsgId, ids: Ids<'_>) {
        if !self.is_list_allowed(ids) {
            return;
        }
        let queue = &mut self.outbox.queue;
        if ids.iter().all(|id| queue.get(id).is_some()) {
            ids.iter().for_each(|id| queue.repeat(id));
        } else {
            self.counters.refused.count(Rule::new(105));
            self.reply_states(msg_id, ids);
        }
    }

    fn drop_answer(&mut self, msg_id: MsgId, req_msg_id: MsgId) {
        let answer = if self.inbox.is_running(req_msg_id) {
            self.inbox.end_query(req_msg_id);
            self.log.push(Record::Plain(ServerEvent::Dropped { req_msg_id }));
            let answer = encode(&types::RpcAnswerDroppedRunning {});
            // The dropped query itself gets the same answer:
            // https://core.telegram.org/mtproto/service_messages#cancellation-of-an-rpc-query
            self.answer(req_msg_id, answer.clone());
            answer
        } else if let Some(DroppedAnswer { msg_id, seq_no, bytes }) =
            self.outbox.queue.drop_answer(req_msg_id)
        {
            let (msg_id, seq_no) = (msg_id.to_raw(), seq_no.to_raw());
            encode(&types::RpcAnswerDropped { msg_id, seq_no, bytes: bytes as i32 })
        } else {
            encode(&types::RpcAnswerUnknown {})
        };
        self.answer(msg_id, answer);
    }

    /// Queues a small `rpc_result` of the session's own; returns whether there was room (SEC-175).
    fn answer(&mut self, query: MsgId, object: Vec<u8>) -> bool {
        let has_room = self.outbox.queue.len() < self.config.unacked_messages;
        if has_room {
            self.outbox.queue.push(Content::Answer { query, object });
        } else {
            self.counters.refused.count(Rule::new(175));
        }
        has_room
    }
}

/// Memory: a server has many sessions, and most of them are quiet.
impl ServerSession {
    /// Returns when to free memory that only frames need, if there is any.
    fn quiet_at(&self) -> Option<MonoTime> {
        let is_large = !self.gzip.is_released()
            || self.log.keeps_more_than(KEPT_PLACES)
            || self.inbox.acks.keeps_more_than(KEPT_PLACES)
            || self.outbox.keeps_more_than(KEPT_PLACES);
        is_large.then(|| self.last_input + QUIET)
    }

    fn release_memory(&mut self) {
        self.gzip.release();
        self.log = EventLog::new();
        self.inbox.acks.release();
        self.outbox.release();
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
