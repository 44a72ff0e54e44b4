//! The session of a client: everything between calls and encrypted frames.
//!
//! [`ClientSession`] does no I/O. Its methods are of four kinds:
//!
//! - **getters**;
//! - **input**: [`handle_connected`](ClientSession::handle_connected),
//!   [`handle_frame`](ClientSession::handle_frame),
//!   [`handle_transport_error`](ClientSession::handle_transport_error),
//!   [`handle_quick_ack`](ClientSession::handle_quick_ack),
//!   [`handle_disconnected`](ClientSession::handle_disconnected),
//!   [`handle_timeout`](ClientSession::handle_timeout);
//! - **commands**: [`send`](ClientSession::send), [`cancel`](ClientSession::cancel),
//!   [`install_temporary_key`](ClientSession::install_temporary_key), …;
//! - **output**: [`poll_transmit`](ClientSession::poll_transmit) until it gives `None`,
//!   [`poll_timeout`](ClientSession::poll_timeout), [`events`](ClientSession::events).
//!
//! After each input or command the caller drains the output, in that order. A session belongs to a key
//! and a run of the application, not to a connection: connections come and go beneath it.

mod binding;
mod config;
mod driving;
mod epoch;
mod event;
mod keys;
mod outbox;
mod receive;
mod recovery;
mod results;
mod sent;
mod state;
mod transmit;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use chappe_crypto::{AuthKey, AuthKeyId, QuickAckToken};
use chappe_framing::{
    AcceptedFormat, Deflater, FrameError, Inflater, Level, MAX_BODY_LEN, MsgId, MsgIdGenerator, ServerSalt,
    SessionId, TransportTail,
};
use chappe_tl::{EncodeError, Serializable};

pub use config::{
    ClientConfig, ClientInfo, ClockTrust, ForwardSecrecy, InitConnection, KeyMaterial, TemporaryKey,
};
pub use event::{AuthorizationTrouble, CallFailure, DropOutcome, Event, Events, ReconnectReason, RpcError};
pub use outbox::{CallId, Packing, Repeat, SendOptions};
pub use state::{SavedState, StateError};
pub use transmit::Transmit;

use crate::clock::ServerClock;
use crate::counters::Counters;
use crate::liveness::{Liveness, LivenessPolicy};
use crate::salts::{SaltTable, TimedSalt};
use crate::service::HttpWait;
use crate::time::{MonoTime, Now};
use epoch::{BindingState, Epoch, Role, SaltsAsked};
use event::EventLog;
use keys::{Facts, Sign, Verdict};
use outbox::{Outbox, Stage};
use sent::SentLog;

/// Seconds before a salt ends at which the next ones are asked for.
const SALT_MARGIN: i64 = 60;

/// Least time between two requests for salts.
const SALT_PAUSE: Duration = Duration::from_secs(60);

/// Seconds before a temporary key ends at which the next one is made.
const KEY_MARGIN: i64 = 3600;

/// Least time between two requests for a temporary key.
const KEY_PAUSE: Duration = Duration::from_secs(30);

/// Smallest part of a large body that is packed on trial before all of it is.
const PROBE_LEN: usize = 4096;

/// A client's session, sans I/O. See the [module](self) for the order of calls.
///
/// ```
/// use chappe_crypto::rng::Drbg;
/// use chappe_session::client::{ClientConfig, ClientSession, KeyMaterial, SendOptions};
/// use chappe_session::{FrameBuf, MonoTime, Now, TransportTail, UnixTime};
///
/// let mut rng = Drbg::from_seed([1; 32]);
/// let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_104));
/// let key = KeyMaterial::from_handshake([7; 256], 42, 0, 1_707_425_104);
/// let mut session = ClientSession::new(ClientConfig::default(), key, now);
///
/// session.handle_connected(now, TransportTail::None);
/// let get_config = 0xc4f9_186b_u32.to_le_bytes();
/// let call = session.send_bytes(now, &get_config, SendOptions::default())?;
/// let mut frame = FrameBuf::new();
/// while session.poll_transmit(now, &mut rng, &mut frame).is_some() {
///     // frame.as_slice() goes to the transport.
/// }
/// assert!(session.is_pending(call));
/// # Ok::<(), chappe_session::client::SendError>(())
/// ```
pub struct ClientSession {
    config: Box<ClientConfig>,
    /// The permanent key, if it is not the one in use.
    permanent: Option<AuthKey>,
    permanent_created_at: i64,
    /// The key and session that packets are sent under.
    current: Option<Box<Epoch>>,
    /// The key before, whose answers are still taken.
    previous: Option<Box<Epoch>>,
    clock: ServerClock,
    live: Liveness,
    link: Link,
    ids: MsgIdGenerator,
    sent: SentLog,
    outbox: Outbox,
    batch: Vec<CallId>,
    service: ServiceQueue,
    quick_acks: VecDeque<(QuickAckToken, CallId)>,
    /// A call in the packet being made asks for a quick acknowledgement.
    wants_quick_ack: bool,
    events: EventLog,
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
    counters: Counters,
    /// New sessions without an answer in between (SEC-86).
    resets: u8,
    /// `bad_msg_notification`s without an answer in between.
    complaints: u8,
    /// Signs of trouble with the key in a row.
    key_signs: u8,
    key_wanted_at: Option<MonoTime>,
    /// Counts the sessions, so that nothing is asked about messages of another one.
    era: u32,
    http: Option<HttpWait>,
    terminated: bool,
}

/// The connection beneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up { tail: TransportTail },
}

/// Service messages that wait to be sent or answered.
#[derive(Debug, Default)]
struct ServiceQueue {
    /// Calls whose state must be asked for.
    ask: Vec<MsgId>,
    /// The list that was asked about, in order, and under which id and when.
    asked: Vec<MsgId>,
    asked_as: Option<(MsgId, MonoTime)>,
    /// Answers of the server to be sent again.
    resend: Vec<MsgId>,
    /// Answers that the server is to drop.
    drop: VecDeque<(CallId, MsgId)>,
    /// Answers to questions of the server: `msgs_state_info` and `pong`, ready.
    replies: VecDeque<Vec<u8>>,
    destroy_sessions: VecDeque<SessionId>,
    destroy_key: bool,
    http_wait: bool,
}

impl ServiceQueue {
    /// Questions about the state of calls are of no use any more.
    fn forget_questions(&mut self) {
        self.ask.clear();
        self.asked_as = None;
    }
}

/// Most service messages of one kind that wait.
const SERVICE_QUEUE: usize = 64;

/// Why a call was not accepted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// The call cannot be encoded.
    Encode(EncodeError),
    /// The body is empty, not a multiple of four bytes, or larger than allowed.
    BodyLength {
        /// Its length in bytes.
        len: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// Too many calls are pending; wait until some have ended.
    TooManyPending {
        /// How many are.
        pending: usize,
    },
    /// The bodies of the pending calls take too much memory; wait until some have ended.
    TooManyBytes {
        /// How many bytes they have.
        pending: usize,
    },
    /// The session has ended for good.
    Terminated,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => write!(f, "the call cannot be encoded: {error}"),
            Self::BodyLength { len, max } => {
                write!(f, "a body of {len} bytes cannot be sent: at most {max}, and whole words")
            }
            Self::TooManyPending { pending } => write!(f, "{pending} calls are pending already"),
            Self::TooManyBytes { pending } => write!(f, "{pending} bytes are pending already"),
            Self::Terminated => f.write_str("the session has ended"),
        }
    }
}

impl core::error::Error for SendError {}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// Why a frame was not accepted. Whatever it was: close the connection and open another.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The frame is not in order. Nothing of it was used.
    Frame(FrameError),
    /// The caller has not fetched events for too long. The frame was not looked at; fetch them and hand it
    /// in again.
    EventsWaiting,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::EventsWaiting => f.write_str("too many events wait to be fetched"),
        }
    }
}

impl core::error::Error for ReceiveError {}

impl From<FrameError> for ReceiveError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// Making a session, and getters.
impl ClientSession {
    /// Starts a session under a key. It waits for [`handle_connected`](Self::handle_connected).
    pub fn new(config: ClientConfig, key: KeyMaterial, now: Now) -> Self {
        let clock = match key.clock {
            ClockTrust::Guess => ServerClock::unsynchronized(now, key.time_offset),
            ClockTrust::Measured => ServerClock::synchronized(now, key.time_offset),
        };
        let (permanent, current) = match config.forward_secrecy {
            ForwardSecrecy::On => (Some(key.auth_key), None),
            ForwardSecrecy::Off => {
                let salts = SaltTable::from_salts(key.salts, config.limits.salts);
                let epoch = Epoch::new(key.auth_key, salts, Role::Permanent, &config.limits);
                (None, Some(Box::new(epoch)))
            }
        };
        Self {
            live: Liveness::new(config.liveness.clone(), now.mono),
            config: Box::new(config),
            permanent,
            permanent_created_at: key.created_at,
            current,
            previous: None,
            clock,
            link: Link::Down,
            ids: MsgIdGenerator::new(),
            sent: SentLog::new(),
            outbox: Outbox::new(),
            batch: Vec::new(),
            service: ServiceQueue::default(),
            quick_acks: VecDeque::new(),
            wants_quick_ack: false,
            events: EventLog::default(),
            inflater: None,
            deflater: None,
            counters: Counters::default(),
            resets: 0,
            complaints: 0,
            key_signs: 0,
            key_wanted_at: None,
            era: 0,
            http: None,
            terminated: false,
        }
    }

    /// Returns the id of the key that packets are sent under; `None` while a temporary key is missing.
    pub fn auth_key_id(&self) -> Option<AuthKeyId> {
        self.current.as_ref().map(|epoch| epoch.key.id())
    }

    /// Returns the `session_id`; `None` until the first packet draws one.
    pub fn session_id(&self) -> Option<SessionId> {
        self.current.as_ref().and_then(|epoch| epoch.session_id)
    }

    /// Returns the salt in use.
    pub fn server_salt(&mut self, now: Now) -> Option<ServerSalt> {
        let seconds = self.clock.seconds(now.mono);
        self.current.as_mut().map(|epoch| epoch.salts.current(seconds))
    }

    /// Returns the salts known, the one in use first.
    pub fn salts(&self) -> &[TimedSalt] {
        self.current.as_ref().map_or(&[], |epoch| epoch.salts.as_slice())
    }

    /// Returns what must be added to the local clock to get the server's time, in seconds.
    pub fn time_offset(&self, now: Now) -> i32 {
        self.clock.offset_seconds(now)
    }

    /// Returns the server's clock.
    pub const fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// Returns the smoothed round trip of pings.
    pub fn rtt(&self) -> Option<Duration> {
        self.live.rtt()
    }

    /// Returns the counters.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the number of calls that have not ended.
    pub const fn pending_calls(&self) -> usize {
        self.outbox.pending()
    }

    /// Tells whether a call has not ended.
    pub fn is_pending(&self, call: CallId) -> bool {
        self.outbox.get(call).is_some()
    }

    /// Returns the `msg_id` a call was last sent under; `None` if it has ended or was not sent yet.
    pub fn msg_id(&self, call: CallId) -> Option<MsgId> {
        self.outbox.get(call).map(|slot| slot.msg_id).filter(|msg_id| msg_id.to_raw() != 0)
    }

    /// Tells whether the session has ended for good.
    pub const fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// Tells whether a connection is up.
    pub const fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }
}

/// Input: connections and time. Frames are in `receive`.
impl ClientSession {
    /// A connection is up. `tail` says whether its transport leaves padding behind frames.
    ///
    /// The state of calls that were under way is asked for first.
    pub fn handle_connected(&mut self, now: Now, tail: TransportTail) {
        if self.is_connected() {
            self.handle_disconnected(now);
        }
        self.link = Link::Up { tail };
        self.live.on_connected(now.mono);
        self.ask_about_uncertain();
        self.want_temporary_key(now);
    }

    /// The connection is gone. Calls that were under way stay pending.
    pub fn handle_disconnected(&mut self, _now: Now) {
        self.link = Link::Down;
        self.quick_acks.clear();
        self.service.forget_questions();
        self.service.http_wait = false;
        // The next connection is for the key in use; nothing more will come under the one before.
        self.previous = None;
        if let Some(epoch) = self.current.as_mut()
            && matches!(epoch.salts_asked, SaltsAsked::At(_))
        {
            epoch.salts_asked = SaltsAsked::Never;
        }
        self.doubt_what_was_sent();
    }

    /// The transport reported an error instead of a frame, such as -404 or -429.
    ///
    /// Nobody vouches for it, so no key is ever given up for it (SEC-134).
    pub fn handle_transport_error(&mut self, now: Now, code: i32) {
        if code != -404 {
            self.events.plain(Event::Reconnect(ReconnectReason::TransportError(code)));
            return;
        }
        self.on_key_sign(now, Sign::NotFound);
        self.events.plain(Event::Reconnect(ReconnectReason::TransportError(code)));
    }

    /// The transport delivered a quick acknowledgement. Unknown tokens are ignored (SEC-133).
    pub fn handle_quick_ack(&mut self, _now: Now, token: QuickAckToken) {
        // Several calls may have travelled in one packet.
        while let Some(place) = self.quick_acks.iter().position(|entry| entry.0 == token) {
            let Some((_, call)) = self.quick_acks.remove(place) else {
                return;
            };
            if self.is_pending(call) {
                self.events.plain(Event::QuickAcked { call });
            }
        }
    }

    /// Time has passed: to be called when [`poll_timeout`](Self::poll_timeout) says so, or at any time.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(call) = self.outbox.pop_timed_out(now.mono) {
            self.drop_answer(call);
            self.fail(call, CallFailure::TimedOut);
        }
        if self.is_connected() {
            self.ask_about_unacknowledged(now);
            if self.live.is_dead(now.mono) {
                self.handle_disconnected(now);
                self.events.plain(Event::Reconnect(ReconnectReason::Silence));
            }
        }
        self.want_temporary_key(now);
        self.forget_previous_key(now);
        self.compact(now);
    }
}

/// Commands.
impl ClientSession {
    /// Accepts a call and serializes it; it goes out with the next packet.
    ///
    /// # Errors
    ///
    /// Fails if the call cannot be encoded, if too much is pending, or if the session has ended.
    pub fn send<S: Serializable + ?Sized>(
        &mut self,
        now: Now,
        call: &S,
        options: SendOptions,
    ) -> Result<CallId, SendError> {
        self.send_with(now, options, |body| {
            body.reserve(call.serialized_len());
            call.serialize(body)
        })
    }

    /// Accepts a call that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_bytes(&mut self, now: Now, body: &[u8], options: SendOptions) -> Result<CallId, SendError> {
        self.send_with(now, options, |out| {
            out.extend_from_slice(body);
            Ok(())
        })
    }

    fn send_with(
        &mut self,
        now: Now,
        options: SendOptions,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<CallId, SendError> {
        if self.terminated {
            return Err(SendError::Terminated);
        }
        let limits = &self.config.limits;
        let (pending, bytes) = (self.outbox.pending(), self.outbox.pending_bytes());
        if pending >= limits.pending_calls {
            return Err(SendError::TooManyPending { pending });
        }
        let (call, body) = self.outbox.open();
        let written = write(body);
        let (len, max) = (body.len(), limits.body_bytes.min(MAX_BODY_LEN - (64 << 10)));
        let refused = match written {
            Err(error) => Some(error.into()),
            Ok(()) if len < 4 || !len.is_multiple_of(4) || len > max => {
                Some(SendError::BodyLength { len, max })
            }
            Ok(()) if bytes + len > limits.pending_bytes => Some(SendError::TooManyBytes { pending: bytes }),
            Ok(()) => None,
        };
        if let Some(error) = refused {
            self.outbox.abandon(call);
            return Err(error);
        }
        if options.packing == Packing::Auto && len >= self.config.limits.gzip_from {
            let deflater = self.deflater.get_or_insert_with(|| Box::new(Deflater::new(Level::Fast)));
            if let Some(packed) = pack(deflater, body) {
                self.counters.gzip_in += len as u64;
                self.counters.gzip_out += packed.len() as u64;
                body.clear();
                body.extend_from_slice(packed);
            }
        }
        if self.outbox.waiting() == 0 {
            self.live.on_waiting(now.mono);
        }
        self.outbox.admit(call, options, now.mono);
        Ok(call)
    }

    /// Gives a call up. Returns whether it was still pending.
    ///
    /// A call that was not sent ends at once; for one under way the server is asked to drop the answer, and
    /// the call ends with what the server says, or with its answer if that comes first.
    pub fn cancel(&mut self, call: CallId) -> bool {
        let Some(slot) = self.outbox.get_mut(call) else {
            return false;
        };
        if slot.attempts == 0 {
            self.fail(call, CallFailure::Cancelled(DropOutcome::NotSent));
        } else {
            slot.cancelled = true;
            self.drop_answer(call);
        }
        true
    }

    /// Has another session of the same key destroyed.
    pub fn destroy_session(&mut self, session_id: SessionId) {
        if self.service.destroy_sessions.len() < SERVICE_QUEUE && self.session_id() != Some(session_id) {
            self.service.destroy_sessions.push_back(session_id);
        }
    }

    /// Has the key in use destroyed, after a logout.
    pub const fn destroy_auth_key(&mut self) {
        self.service.destroy_key = true;
    }

    /// Uses HTTP's long polling: each packet then carries `http_wait`, and
    /// [`request_http_wait`](Self::request_http_wait) asks for one without other content.
    pub const fn set_http_wait(&mut self, wait: Option<HttpWait>) {
        self.http = wait;
    }

    /// Has a packet made although nothing but `http_wait` may be in it: over HTTP one request must be out.
    pub const fn request_http_wait(&mut self) {
        self.service.http_wait = self.http.is_some();
    }

    /// Replaces the policy of pings, for instance when an application goes to the background.
    pub fn set_liveness(&mut self, policy: LivenessPolicy) {
        self.live.set_policy(policy);
    }

    /// Takes a temporary key that a handshake has just made; it is bound with the next packet.
    ///
    /// Answers under the key before are taken for as long as that key lives. A session without forward secrecy whose
    /// permanent key is in doubt goes over to temporary keys by this.
    pub fn install_temporary_key(&mut self, now: Now, key: TemporaryKey) {
        let limits = &self.config.limits;
        let salts = SaltTable::new(key.first_salt, self.clock.seconds(now.mono), limits.salts);
        let role = Role::Temporary { expires_at: key.expires_at, binding: BindingState::Wanted };
        let epoch = Epoch::new(key.auth_key, salts, role, limits);
        let before = self.current.replace(Box::new(epoch));
        if let Some(before) = before {
            if before.role == Role::Permanent {
                self.permanent = Some(before.key.clone());
            }
            if let Role::Temporary { binding: BindingState::Asked(call), .. } = before.role {
                self.outbox.end(call);
            }
            if before.is_usable() && before.role != Role::Permanent {
                self.previous = Some(before);
            }
        }
        self.key_wanted_at = None;
        self.era = self.era.wrapping_add(1);
        self.service.forget_questions();
        if self.previous.is_none() {
            self.doubt_what_was_sent();
            self.ask_about_uncertain();
        }
    }

    /// Asks the caller for a temporary key if one is needed, now and then until it comes.
    fn want_temporary_key(&mut self, now: Now) {
        if self.permanent.is_none() || self.terminated || !self.is_connected() {
            return;
        }
        let expires_at = match self.current.as_ref().map(|epoch| epoch.role) {
            Some(Role::Temporary { expires_at, .. }) => expires_at,
            _ => 0,
        };
        let is_due = self.clock.seconds(now.mono) >= expires_at - KEY_MARGIN;
        let asked_long_ago = self.key_wanted_at.is_none_or(|at| at + KEY_PAUSE <= now.mono);
        if is_due && asked_long_ago {
            self.key_wanted_at = Some(now.mono);
            self.events.plain(Event::NeedTemporaryKey);
        }
    }

    /// Forgets temporary keys that have expired (SEC-124).
    fn forget_previous_key(&mut self, now: Now) {
        let seconds = self.clock.seconds(now.mono);
        let is_over =
            |epoch: &Epoch| matches!(epoch.role, Role::Temporary { expires_at, .. } if expires_at <= seconds);
        if self.previous.take_if(|epoch| is_over(epoch)).is_some() {
            self.give_up_on_former_sessions();
        }
        if self.current.as_ref().is_some_and(|epoch| is_over(epoch)) {
            self.drop_temporary_key();
        }
    }

    /// Drops the temporary key in use. Calls stay pending until the next key is bound.
    fn drop_temporary_key(&mut self) {
        let Some(epoch) = self.current.take() else {
            return;
        };
        if let Role::Temporary { binding: BindingState::Asked(call), .. } = epoch.role {
            self.outbox.end(call);
        }
        self.sent.clear();
        self.key_wanted_at = None;
        self.era = self.era.wrapping_add(1);
        self.service.forget_questions();
        self.doubt_what_was_sent();
    }

    fn on_key_sign(&mut self, now: Now, sign: Sign) {
        self.key_signs = self.key_signs.saturating_add(1);
        let facts = Facts {
            is_temporary: self.permanent.is_some(),
            permanent_age: self.clock.seconds(now.mono) - self.permanent_created_at,
            times: self.key_signs,
        };
        match keys::decide(sign, facts) {
            Verdict::Reconnect => {}
            Verdict::NewTemporaryKey => {
                self.drop_temporary_key();
                self.want_temporary_key(now);
            }
            Verdict::Doubt => {
                self.events.plain(Event::Authorization(AuthorizationTrouble::PermanentKeyDoubtful));
            }
            Verdict::PermanentKeyRefused => self.terminate(AuthorizationTrouble::PermanentKeyRefused),
        }
    }

    /// Ends the session for good: every call ends, and no more are taken.
    fn terminate(&mut self, trouble: AuthorizationTrouble) {
        self.terminated = true;
        self.fail_all(CallFailure::Terminated);
        self.events.plain(Event::Authorization(trouble));
    }

    fn fail_all(&mut self, failure: CallFailure) {
        let calls: Vec<CallId> = self.outbox.iter().map(|(call, _)| call).collect();
        for call in calls {
            self.fail(call, failure);
        }
    }

    /// Ends a call without an answer, and tells so unless it is one of our own.
    fn fail(&mut self, call: CallId, failure: CallFailure) {
        let is_ours = self.outbox.get(call).is_some_and(|slot| slot.is_binding);
        if self.outbox.end(call) && !is_ours {
            self.events.plain(Event::CallFailed { call, failure });
        }
    }

    /// Has the server asked to drop the answer to a call that was sent.
    fn drop_answer(&mut self, call: CallId) {
        let Some(msg_id) = self.outbox.get(call).filter(|slot| slot.attempts > 0).map(|slot| slot.msg_id)
        else {
            return;
        };
        if self.service.drop.len() < SERVICE_QUEUE && !self.service.drop.contains(&(call, msg_id)) {
            self.service.drop.push_back((call, msg_id));
        }
    }
}

/// Output: timers and events. Packets are in `transmit`.
impl ClientSession {
    /// Returns when [`handle_timeout`](Self::handle_timeout) must be called, or
    /// [`poll_transmit`](Self::poll_transmit) asked again; `None` if nothing is to be waited for.
    pub fn poll_timeout(&mut self) -> Option<MonoTime> {
        let calls = self.outbox.deadline();
        if !self.is_connected() {
            return calls;
        }
        let live = self.live.deadline(self.outbox.waiting() > 0);
        let state = self.service.asked_as.map(|(_, at)| at + self.config.limits.ask_state_after);
        let acks = self.current.as_ref().and_then(|epoch| epoch.acks.deadline());
        let old_acks = self.previous.as_ref().and_then(|epoch| epoch.acks.deadline());
        let salts = self.salts_due();
        let key = self.key_due();
        [calls, Some(live), state, acks, old_acks, salts, key].into_iter().flatten().min()
    }

    /// Hands out the events of commands and timers. Those of frames come from
    /// [`handle_frame`](Self::handle_frame), which hands these out as well.
    pub fn events(&mut self) -> Events<'_> {
        self.events.take(&[])
    }

    /// When a temporary key must be asked for, again, or forgotten.
    fn key_due(&self) -> Option<MonoTime> {
        self.permanent.as_ref()?;
        let expires_at = match self.current.as_ref().map(|epoch| epoch.role) {
            Some(Role::Temporary { expires_at, .. }) => expires_at,
            _ => 0,
        };
        let due = self.clock.when(expires_at - KEY_MARGIN);
        Some(self.key_wanted_at.map_or(due, |at| due.max(at + KEY_PAUSE)))
    }

    /// When salts should be asked for.
    fn salts_due(&self) -> Option<MonoTime> {
        let epoch = self.current.as_ref()?;
        let last = epoch.salts.as_slice().last()?;
        let runs_out = self.clock.when(last.valid_until - SALT_MARGIN);
        match epoch.salts_asked {
            SaltsAsked::Never => None,
            SaltsAsked::At(at) | SaltsAsked::Settled(at) => Some(runs_out.max(at + SALT_PAUSE)),
        }
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.events.scratch.zeroize();
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("auth_key_id", &self.auth_key_id())
            .field("link", &self.link)
            .field("pending", &self.outbox.pending())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Packs a body if that pays. Of a large one the beginning is tried first: files do not shrink, and
/// finding that out by packing all of them costs more than it could save.
fn pack<'d>(deflater: &'d mut Deflater, body: &[u8]) -> Option<&'d [u8]> {
    if body.len() >= 4 * PROBE_LEN {
        let middle = body.len() / 2;
        deflater.pack(&body[middle..middle + PROBE_LEN])?;
    }
    deflater.pack(body)
}

#[expect(clippy::unnecessary_box_returns, reason = "made when the first packed answer comes, and large")]
fn new_inflater() -> Box<Inflater> {
    Box::new(Inflater::new(AcceptedFormat::Gzip))
}

fn is_sent(stage: Stage) -> bool {
    matches!(stage, Stage::Sent | Stage::Acked | Stage::Uncertain)
}
