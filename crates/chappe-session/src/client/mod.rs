//! The session of a client: everything between calls and encrypted frames.
//!
//! [`ClientSession`] does no I/O. Its methods are of four kinds:
//!
//! - **getters**;
//! - **input**: [`handle_connected`](ClientSession::handle_connected),
//!   [`handle_frame`](ClientSession::handle_frame),
//!   [`handle_transport_error`](ClientSession::handle_transport_error),
//!   [`handle_bytes_received`](ClientSession::handle_bytes_received),
//!   [`handle_bytes_sent`](ClientSession::handle_bytes_sent),
//!   [`handle_quick_ack`](ClientSession::handle_quick_ack),
//!   [`handle_disconnected`](ClientSession::handle_disconnected),
//!   [`handle_timeout`](ClientSession::handle_timeout);
//! - **commands**: [`send`](ClientSession::send), [`cancel`](ClientSession::cancel),
//!   [`install_temporary_key`](ClientSession::install_temporary_key), …;
//! - **output**: [`poll_transmit`](ClientSession::poll_transmit) until it returns `None`,
//!   [`events`](ClientSession::events), [`poll_timeout`](ClientSession::poll_timeout).
//!
//! After each input or command the caller drains the output, in that order. A session belongs to a key
//! and a run of the application, not to a connection: connections come and go beneath it.
//!
//! | Part | What it knows |
//! |---|---|
//! | `keys` | which key packets travel under; temporary keys and their binding |
//! | `key_session` | one key: session id, sequence numbers, salts, inbox |
//! | `inbox` | ids seen, acknowledgements owed |
//! | `held` | messages that wait until the time is known |
//! | `exchange` | messages under way, of these three parts: |
//! | `calls` | each call from its acceptance to its end |
//! | `outstanding` | bytes on their way, and how many may be |
//! | `sent` | numbering of messages, and what was sent recently |
//! | `questions` | states, resends and drops asked for; answers to the server |
//! | `packet` | the packet being made |
//! | `reception` | the frame being handled |
//! | `answers`, `complaints` | what errors and `bad_msg_notification`s mean, as values |
//! | `breaker` | the end of loops |
//!
//! `session_state` holds the parts that messages change, and joins them: each is given exactly what it may touch.

mod answers;
mod breaker;
mod calls;
mod complaints;
mod config;
mod context;
mod error;
mod events;
mod exchange;
mod held;
mod inbox;
mod key_session;
mod keys;
mod outstanding;
mod packet;
mod questions;
mod reception;
mod salt_supply;
mod saved;
mod sent;
mod session_state;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use chappe_crypto::{AuthKeyId, QuickAckToken};
use chappe_framing::{AcceptedFormat, FrameBuf, MsgId, ServerSalt, SessionId, TransportTail};
use chappe_tl::{EncodeError, Serializable};
use chappe_types::TransportErrorCode;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use calls::{CallId, Packing, Repeat, SendOptions};
pub use config::{
    ClientConfig, ClientInfo, ClockTrust, ForwardSecrecy, InitConnection, KeyMaterial, TemporaryKey,
};
pub use error::{ReceiveError, SendError};
pub use events::{AuthorizationTrouble, CallFailure, DropOutcome, Event, Events, ReconnectReason};
pub use saved::{SavedState, StateError};

use crate::QUIET;
use crate::Transmit;
use crate::clock::ServerClock;
use crate::counters::Counters;
use crate::gzip::Gzip;
use crate::liveness::{Liveness, LivenessPolicy};
use crate::salts::{SaltTable, TimedSalt};
use crate::service::HttpWait;
use crate::time::{MonoTime, Now};
use breaker::Breaker;
use calls::Calls;
use exchange::{Askable, Exchange};
use key_session::KeySession;
use keys::{Installed, KeySign, KeySlot, Keys};
use packet::Packet;
use reception::Reception;
use session_state::SessionState;

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
    state: SessionState,
    /// Replaces the policy of the configuration.
    policy: Option<Box<LivenessPolicy>>,
    gzip: Gzip,
    http: Option<Box<HttpWait>>,
}

/// Making a session, and getters.
impl ClientSession {
    /// Starts a session under a key. It waits for [`handle_connected`](Self::handle_connected).
    ///
    /// The configuration may be shared: sessions that are given clones of one `Arc` keep it once.
    pub fn new(config: impl Into<Arc<ClientConfig>>, key: KeyMaterial, now: Now) -> Self {
        let config = config.into();
        let clock = match key.clock {
            ClockTrust::Guess => ServerClock::unsynchronized(now, key.time_offset),
            ClockTrust::Measured => ServerClock::synchronized(now, key.time_offset),
        };
        let mut exchange = Exchange::new();
        let keys = match config.forward_secrecy {
            ForwardSecrecy::On => Keys::temporary(key.auth_key, key.created_at),
            ForwardSecrecy::Off => {
                let salts = SaltTable::from_salts(key.salts, config.limits.salts);
                let generation = exchange.begin_session();
                let session = KeySession::new(key.auth_key, salts, &config.limits, generation);
                Keys::permanent(session, key.created_at)
            }
        };
        let state = SessionState {
            live: Liveness::new(now.mono),
            config,
            link: None,
            keys,
            clock,
            exchange,
            held: None,
            breaker: Breaker::default(),
            is_terminated: false,
        };
        Self { state, policy: None, gzip: Gzip::new(AcceptedFormat::Gzip), http: None }
    }

    /// Returns the id of the key that packets are sent under; `None` while a temporary key is missing.
    pub fn auth_key_id(&self) -> Option<AuthKeyId> {
        self.state.keys.current().map(|session| session.key.id())
    }

    /// Returns the `session_id`; `None` until the first packet draws one.
    pub fn session_id(&self) -> Option<SessionId> {
        self.state.keys.current()?.session_id
    }

    /// Returns the salt in use.
    pub fn server_salt(&self, now: Now) -> Option<ServerSalt> {
        let seconds = self.state.clock.seconds(now.mono);
        self.state.keys.current().map(|session| session.salts.table.current(seconds))
    }

    /// Returns the known salts; the first was used for the last packet.
    pub fn salts(&self) -> &[TimedSalt] {
        self.state.keys.current().map_or(&[], |session| session.salts.table.as_slice())
    }

    /// Returns what must be added to the local clock to get the server's time, in seconds.
    pub fn time_offset(&self, now: Now) -> i32 {
        self.state.clock.offset_seconds(now)
    }

    /// Returns the server's clock.
    pub const fn clock(&self) -> &ServerClock {
        &self.state.clock
    }

    /// Returns when to ping and when to give up.
    pub fn liveness(&self) -> &LivenessPolicy {
        self.policy.as_deref().unwrap_or(&self.state.config.liveness)
    }

    /// Returns the smoothed round trip of pings.
    pub fn rtt(&self) -> Option<Duration> {
        self.state.live.rtt()
    }

    /// Returns the counters.
    pub const fn counters(&self) -> &Counters {
        &self.state.exchange.counters
    }

    /// Returns the number of calls that have not ended.
    pub fn pending_calls(&self) -> usize {
        self.state.exchange.pending()
    }

    /// Returns whether a call has not ended.
    pub fn is_pending(&self, call: CallId) -> bool {
        self.state.exchange.is_pending(call)
    }

    /// Returns the `msg_id` a call was last sent under; `None` if it has ended or was not sent yet.
    pub fn msg_id(&self, call: CallId) -> Option<MsgId> {
        self.state.exchange.calls.as_deref()?.get(call)?.msg_id()
    }

    /// Returns whether the session has ended for good.
    pub const fn is_terminated(&self) -> bool {
        self.state.is_terminated
    }

    /// Returns whether a connection is up.
    pub const fn is_connected(&self) -> bool {
        self.state.link.is_some()
    }

    /// Returns whether calls can go out: a key is there, and if it is a temporary one, it is bound.
    pub fn is_usable(&self) -> bool {
        self.state.keys.is_usable()
    }

    /// Writes what must survive a restart. The buffer holds the key, and is wiped when it is dropped.
    ///
    /// `extra` is the caller's own.
    pub fn export(&self, now: Now, extra: &[u8]) -> Zeroizing<Vec<u8>> {
        // Temporary keys are never written (SEC-07), and their salts end with them.
        let salts = if self.state.keys.are_temporary() { &[] } else { self.salts() };
        saved::Contents {
            key: self.state.keys.permanent_key(),
            created_at: self.state.keys.created_at(),
            time_offset: self.time_offset(now),
            salts,
            extra,
        }
        .write()
    }
}

/// Input.
impl ClientSession {
    /// A connection is up. `tail` tells whether its transport leaves padding behind frames.
    ///
    /// The state of calls that were in flight is asked for first.
    pub fn handle_connected(&mut self, now: Now, tail: TransportTail) {
        if self.is_connected() {
            self.handle_disconnected(now);
        }
        self.state.link = Some(tail);
        self.state.live.on_connected(now.mono);
        self.state.exchange.outstanding.on_connected();
        self.state.exchange.leave_sessions_but(self.state.keys.sessions());
        self.state.exchange.ask_about_uncertain(now.mono, self.state.config.limits.ask_state_after);
        self.state.request_temporary_key(now);
    }

    /// The connection is gone. Calls that were in flight stay pending.
    pub fn handle_disconnected(&mut self, _now: Now) {
        self.state.link = None;
        self.state.lose_held();
        self.state.keys.on_disconnected();
        self.state.exchange.on_disconnected();
    }

    /// Decrypts a frame in place and returns the events in it.
    ///
    /// # Errors
    ///
    /// Fails if the frame is not in order (SEC-61 to SEC-70, SEC-75, SEC-93 to SEC-97): the connection must
    /// be closed. Duplicates, old messages and the like are no errors; they are counted.
    pub fn handle_frame<'a>(&'a mut self, now: Now, frame: &'a mut [u8]) -> Result<Events<'a>, ReceiveError> {
        self.state.exchange.events.begin();
        if self.state.exchange.events.is_full(&self.state.config.limits) {
            return Err(ReceiveError::EventsWaiting);
        }
        let reception = Reception { now, state: &mut self.state, gzip: &mut self.gzip };
        if let Err(error) = reception.receive(frame) {
            self.state.exchange.counters.refused.count(error.rule());
            // Messages in front of the faulty one were handled: their events are left for `events`.
            self.state.exchange.events.outlive(0, frame);
            return Err(error.into());
        }
        Ok(self.state.exchange.events.events(frame))
    }

    /// The transport reported an error instead of a frame, such as -404 or -429.
    ///
    /// It is unauthenticated, so no key is ever given up for it (SEC-134).
    pub fn handle_transport_error(&mut self, now: Now, code: TransportErrorCode) {
        if code == TransportErrorCode::UnknownAuthKey {
            self.state.exchange.on_denied(self.state.clock.at(self.state.live.heard_at()));
            self.state.on_key_sign(now, KeySign::NotFound);
        }
        self.state.exchange.events.plain(Event::Reconnect(ReconnectReason::TransportError(code)));
    }

    /// Bytes were read from the connection that make no frame yet. They keep the connection alive while they come at a
    /// rate that is slow rather than dead.
    ///
    /// Report all bytes as they are read. Those of frames that are handed to [`handle_frame`](Self::handle_frame)
    /// count there as well, since only a whole frame can be authenticated.
    pub const fn handle_bytes_received(&mut self, now: Now, count: usize) {
        self.state.live.on_bytes(now.mono, count as u64);
    }

    /// The connection accepted bytes to be sent. A full buffer accepts more only when the other end has taken earlier
    /// bytes, so they keep the connection alive as bytes received do, within the same credit.
    pub const fn handle_bytes_sent(&mut self, now: Now, count: usize) {
        self.state.live.on_bytes(now.mono, count as u64);
    }

    /// The transport delivered a quick acknowledgement. Unknown tokens are ignored (SEC-133).
    pub fn handle_quick_ack(&mut self, _now: Now, token: QuickAckToken) {
        let Some(calls) = &mut self.state.exchange.calls else {
            return;
        };
        while let Some(call) = calls.pop_quick_acked(token) {
            if calls.get(call).is_some() {
                self.state.exchange.events.plain(Event::QuickAcked { call });
            }
        }
    }

    /// Time has passed: to be called at the time that [`poll_timeout`](Self::poll_timeout) returns, or at any time.
    pub fn handle_timeout(&mut self, now: Now) {
        self.state.exchange.fail_timed_out(now.mono);
        self.state.exchange.release_held(now.mono);
        if self.is_connected() {
            self.ask_about_unanswered(now.mono);
            self.state.keys.renew_binding(now.mono);
            if self.state.live.is_dead(self.liveness(), now.mono) {
                self.state.exchange.outstanding.on_silence();
                self.handle_disconnected(now);
                self.state.exchange.events.plain(Event::Reconnect(ReconnectReason::Silence));
            }
        }
        self.state.request_temporary_key(now);
        self.state.expire_keys(now);
        self.compact(now);
        self.release_memory(now);
    }

    fn ask_about_unanswered(&mut self, now: MonoTime) {
        let patience = self.state.config.limits.ask_state_after;
        let is_former_lost = self.state.keys.replaced_at().is_some_and(|at| at + patience <= now);
        let askable = Askable { current: self.state.keys.generation(), is_former_lost };
        self.state.exchange.ask_about_unanswered(now, patience, askable);
    }

    /// Drops notes about messages sent long ago.
    #[inline]
    fn compact(&mut self, now: Now) {
        if self.state.exchange.sent.wants_compaction() {
            let limits = &self.state.config.limits;
            let oldest = self.state.clock.at(now.mono).saturating_sub(limits.sent_memory);
            self.state.exchange.drop_old_notes(oldest, limits.sent_service_ids);
        }
    }

    /// A session that has been quiet for a while holds no buffers: there may be many like it.
    fn release_memory(&mut self, now: Now) {
        if self.state.held.is_some()
            || !self.state.exchange.is_idle()
            || !self.state.live.is_quiet(now.mono, QUIET)
        {
            return;
        }
        self.gzip.release();
        self.state.exchange.release(self.state.clock.at(now.mono).saturating_sub(QUIET));
        if let Some(session) = self.state.keys.current_mut() {
            session.inbox.acks.release();
        }
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

    #[inline]
    fn send_with(
        &mut self,
        now: Now,
        options: SendOptions,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<CallId, SendError> {
        if self.state.is_terminated {
            return Err(SendError::Terminated);
        }
        let call = self.state.exchange.accept(
            now.mono,
            options,
            &self.state.config.limits,
            &mut self.gzip,
            write,
        )?;
        if !self.state.exchange.is_waiting() {
            self.state.live.on_waiting(now.mono);
        }
        Ok(call)
    }

    /// Gives up a call. Returns whether it was still pending.
    ///
    /// A call that waits to be sent, for the first time or again, ends at once. For one in flight the server is asked to
    /// drop the answer. The call is not sent again; it ends with the server's reply, with its answer or with the connection,
    /// whichever comes first.
    pub fn cancel(&mut self, call: CallId) -> bool {
        let Some(slot) = self.state.exchange.calls.as_deref_mut().and_then(|calls| calls.get_mut(call))
        else {
            return false;
        };
        if slot.is_queued() {
            let outcome = if slot.attempts == 0 { DropOutcome::NotSent } else { DropOutcome::Unknown };
            self.state.exchange.fail(call, CallFailure::Cancelled(outcome));
        } else {
            slot.cancelled = true;
            self.state.exchange.drop_answer(call);
        }
        true
    }

    /// Installs a temporary key that a handshake has just made; the next packet binds it.
    ///
    /// Answers under the key before are accepted for as long as that key lives. A session without forward secrecy
    /// whose permanent key is in doubt goes over to temporary keys by this.
    pub fn install_temporary_key(&mut self, now: Now, key: TemporaryKey) {
        let limits = &self.state.config.limits;
        let seconds = self.state.clock.seconds(now.mono);
        let salts = SaltTable::new(key.first_salt, seconds, limits.salts);
        let session = KeySession::new(key.auth_key, salts, limits, self.state.exchange.begin_session());
        match self.state.keys.install(session, key.expires_at, seconds) {
            Installed::First => {}
            Installed::Beside => {
                self.state.lose_held();
                self.state.exchange.forget_states();
            }
            Installed::Instead => self.state.on_session_gone(),
        }
    }

    /// Installs a temporary key that another session has bound to the same permanent key: calls travel under it at once.
    ///
    /// The datacenter keeps one temporary key for each permanent one, so sessions beside each other share it.
    pub fn install_bound_key(&mut self, now: Now, key: TemporaryKey) {
        self.install_temporary_key(now, key);
        self.state.keys.on_bound(now.mono);
    }

    /// Requests a ping with the next packet, so that a new connection shows whether the datacenter is there.
    ///
    /// Without it an idle session would find out only when its next ping is due.
    pub const fn request_ping(&mut self) {
        self.state.live.request_ping();
    }

    /// Schedules waiting acknowledgements for the next packet, before a connection is closed.
    ///
    /// The server repeats what is not acknowledged on the next connection.
    pub fn flush_acks(&mut self, now: Now) {
        for slot in [KeySlot::Current, KeySlot::Previous] {
            if let Some(session) = self.state.keys.get_mut(slot) {
                session.inbox.acks.hurry(now.mono);
            }
        }
    }

    /// Requests the destruction of another session of the same key.
    pub fn destroy_session(&mut self, session_id: SessionId) {
        if self.session_id() != Some(session_id) {
            self.state.exchange.questions.get_or_insert_default().destroy_session(session_id);
        }
    }

    /// Requests the destruction of the key in use, after a logout.
    pub fn destroy_auth_key(&mut self) {
        self.state.exchange.questions.get_or_insert_default().destroy_key();
    }

    /// Uses HTTP's long polling: each packet then carries `http_wait`, and
    /// [`request_http_wait`](Self::request_http_wait) forces one without other content.
    pub fn set_http_wait(&mut self, wait: Option<HttpWait>) {
        self.http = wait.map(Box::new);
    }

    /// Forces a packet even if it carries only `http_wait`: over HTTP one request must be out.
    pub fn request_http_wait(&mut self) {
        if self.http.is_some() {
            self.state.exchange.questions.get_or_insert_default().request_http_wait();
        }
    }

    /// Replaces the policy of pings, for instance when an application goes to the background.
    pub fn set_liveness(&mut self, policy: LivenessPolicy) {
        self.policy = Some(Box::new(policy));
    }
}

/// Output.
impl ClientSession {
    /// Makes the next packet in `out`; `None` if there is nothing to send now.
    ///
    /// Poll it until it returns `None`, and again after each input and each command, and when
    /// [`poll_timeout`](Self::poll_timeout) is due. While no connection is up, and once the session has ended, it returns
    /// `None`.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Option<Transmit> {
        self.state.link?;
        if self.state.is_terminated {
            return None;
        }
        let (config, clock) = (&self.state.config, &self.state.clock);
        if let Some(before) = self.state.keys.previous_to_ack_mut()
            && packet::acknowledge(before, config, clock, &mut self.state.exchange.sent, now, rng, out)
        {
            return Some(Transmit { quick_ack: None });
        }
        self.compact(now);
        let (key, unbound) = self.state.keys.sending()?;
        let packet = Packet {
            now,
            config: &self.state.config,
            policy: self.policy.as_deref().unwrap_or(&self.state.config.liveness),
            http: self.http.as_deref().copied(),
            clock: &self.state.clock,
            key,
            unbound,
            sent: &mut self.state.exchange.sent,
            calls: self.state.exchange.calls.as_deref_mut(),
            questions: self.state.exchange.questions.as_deref_mut(),
            live: &mut self.state.live,
            outstanding: &mut self.state.exchange.outstanding,
            counters: &mut self.state.exchange.counters,
            wants_quick_ack: false,
            is_full: false,
            bulk: 0,
        };
        packet.make(rng, out)
    }

    /// Returns the events of commands and timers. Those of frames come from
    /// [`handle_frame`](Self::handle_frame), which returns these as well.
    ///
    /// Poll it after each command, and after [`handle_timeout`](Self::handle_timeout),
    /// [`handle_transport_error`](Self::handle_transport_error), [`handle_quick_ack`](Self::handle_quick_ack), and a
    /// frame that was refused.
    pub fn events(&mut self) -> Events<'_> {
        self.state.exchange.events.events(&[])
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) must be called and
    /// [`poll_transmit`](Self::poll_transmit) polled again; `None` if there is nothing to wait for.
    ///
    /// Every input and every command can change it, and so does `poll_transmit`: poll it last.
    pub fn poll_timeout(&mut self) -> Option<MonoTime> {
        let calls = self.state.exchange.calls.as_deref_mut().and_then(Calls::deadline);
        if !self.is_connected() || self.state.is_terminated {
            return calls;
        }
        let is_waiting = self.state.exchange.is_waiting() || self.state.keys.awaits_binding();
        // Without a key no ping can go out when it is due.
        let live = self.state.keys.current().map(|_| self.state.live.deadline(self.liveness(), is_waiting));
        let questions = self.state.exchange.questions.as_deref();
        let state =
            questions.and_then(|questions| questions.patience_ends(self.state.config.limits.ask_state_after));
        let session = self.state.keys.current();
        let acks = session.and_then(|session| session.inbox.acks.deadline());
        let salts = session.and_then(|session| session.salts.request_due(&self.state.clock));
        let old_acks = self.state.keys.previous_to_ack().and_then(|session| session.inbox.acks.deadline());
        let (key, binding) = (self.state.keys.request_due(&self.state.clock), self.state.keys.binding_due());
        [calls, live, state, acks, salts, old_acks, key, binding].into_iter().flatten().min()
    }

    /// The same while the connection takes no packet: returns when [`handle_timeout`](Self::handle_timeout) must be called
    /// nevertheless.
    ///
    /// Whatever only a packet can settle, such as a ping, is left out: it would be due until the connection takes one.
    pub fn poll_timeout_blocked(&mut self) -> Option<MonoTime> {
        let calls = self.state.exchange.calls.as_deref_mut().and_then(Calls::deadline);
        if !self.is_connected() || self.state.is_terminated {
            return calls;
        }
        let (dead, key) =
            (self.state.live.dead_deadline(self.liveness()), self.state.keys.request_due(&self.state.clock));
        [calls, dead, key].into_iter().flatten().min()
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("auth_key_id", &self.auth_key_id())
            .field("link", &self.state.link)
            .field("pending", &self.pending_calls())
            .field("counters", &self.state.exchange.counters)
            .finish_non_exhaustive()
    }
}
