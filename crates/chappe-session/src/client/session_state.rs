//! What the messages of the server change: keys, the time, and what is under way.
//!
//! Each message goes to the parts that it concerns. What an error, a complaint or a sign of trouble means is decided by
//! [`super::answers`], [`super::complaints`] and [`super::keys`]; their values are applied here, each in one place.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages>,
//! <https://core.telegram.org/mtproto/service_messages_about_messages>.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use chappe_framing::{FrameError, MsgId, MsgOrigin, RPC_ERROR, ServerSalt, TransportTail};
use chappe_types::{BadMsgCode, Rule};

use super::ClientConfig;
use super::answers::{self, ErrorAnswer, Meaning};
use super::breaker::Breaker;
use super::calls::{CallId, Evidence, Repeat, Slot, StatusRules};
use super::complaints::{self, ClockFix, Resend, SessionFix};
use super::context::MessageContext;
use super::events::{AuthorizationTrouble, CallFailure, DropOutcome, Event, ReconnectReason, Record};
use super::exchange::Exchange;
use super::held::HeldMessages;
use super::keys::{Dropped, KeyAction, KeySign, KeySlot, Keys};
use super::questions::Reply;
use super::sent::{Sent, SentKind};
use crate::MAX_IDS_PER_LIST;
use crate::clock::{ClockChange, ServerClock};
use crate::liveness::Liveness;
use crate::service::{BadMsg, Ids, RPC_ANSWER_DROPPED_RUNNING, Salts, Service};
use crate::time::{MonoTime, Now};

/// `boolTrue`, the answer to a binding.
const BOOL_TRUE: u32 = 0x9972_75b5;

/// How far ahead of the server's clock the last id may be after the clock was set back. The server refuses ids that
/// are 30 seconds ahead, so above this limit a new session is begun at once.
const MAX_AHEAD: Duration = Duration::from_secs(20);

/// How far ahead of the server's clock the id of a message behind a refused one certainly was when it arrived, so that the
/// server has refused it too: twice the 30 seconds that a server accepts, since the clock is late by the way of the complaint.
const CERTAINLY_AHEAD: Duration = Duration::from_secs(60);

/// What the messages of the server change.
pub(super) struct SessionState {
    pub(super) config: Arc<ClientConfig>,
    /// The transport's padding while a connection is up.
    pub(super) link: Option<TransportTail>,
    pub(super) keys: Keys,
    pub(super) clock: ServerClock,
    pub(super) live: Liveness,
    pub(super) exchange: Exchange,
    /// Messages that wait until the time is known.
    pub(super) held: Option<Box<HeldMessages>>,
    pub(super) breaker: Breaker,
    pub(super) is_terminated: bool,
}

/// Answers.
impl SessionState {
    /// Handles the result of a query, whose constructor id is `id`.
    #[inline]
    pub(super) fn on_result(
        &mut self,
        result: &MessageContext<'_>,
        id: u32,
        req_msg_id: MsgId,
    ) -> Result<(), FrameError> {
        let Some(sent) = self.exchange.sent.take_notice(req_msg_id) else {
            self.exchange.count_unmatched();
            return Ok(());
        };
        self.observe_answer(result.now, result.header.msg_id, req_msg_id);
        match sent.kind {
            SentKind::Call(call) if id == RPC_ERROR => self.on_call_error(result, call, req_msg_id)?,
            SentKind::Call(call) => self.on_call_answer(result, call, id),
            SentKind::Binding => self.on_binding_answer(result, id)?,
            SentKind::DropAnswer(call) => {
                self.exchange.fail(call, CallFailure::Cancelled(answers::drop_outcome(id)));
            }
            SentKind::FutureSalts => {
                if let Some(session) = self.keys.get_mut(result.slot) {
                    session.salts.on_answered(result.now.mono);
                }
            }
            // An error to a service message of ours: it must not stop anything.
            _ => {}
        }
        Ok(())
    }

    fn on_call_answer(&mut self, result: &MessageContext<'_>, call: CallId, id: u32) {
        let Some(slot) = self.exchange.calls.as_deref().and_then(|calls| calls.get(call)) else {
            return self.exchange.count_unmatched();
        };
        self.breaker.on_answer();
        if id == RPC_ANSWER_DROPPED_RUNNING && slot.cancelled {
            return self.exchange.fail(call, CallFailure::Cancelled(DropOutcome::Running));
        }
        if slot.last_sent().is_some_and(|sent| sent.wrapped)
            && let Some(session) = self.keys.get_mut(result.slot)
        {
            session.is_initialized = true;
        }
        if let Some(calls) = &mut self.exchange.calls {
            calls.end_answered(call);
        }
        self.exchange.events.push(Record::Answer(call, result.span));
    }

    fn on_call_error(
        &mut self,
        result: &MessageContext<'_>,
        call: CallId,
        req_msg_id: MsgId,
    ) -> Result<(), FrameError> {
        if !self.exchange.is_pending(call) {
            self.exchange.count_unmatched();
            return Ok(());
        }
        let error = ErrorAnswer::read(result.body, result.span)?;
        self.breaker.on_answer();
        let meaning = error.meaning();
        if self.goes_again(result, call, req_msg_id, meaning) {
            return Ok(());
        }
        if let Some(calls) = &mut self.exchange.calls {
            calls.end_answered(call);
        }
        self.exchange.events.push(Record::CallError(call, error.code, error.span));
        match meaning {
            Meaning::Trouble(trouble) if trouble.is_terminal() => self.terminate(trouble),
            Meaning::Trouble(trouble) => self.exchange.events.plain(Event::Authorization(trouble)),
            _ => {}
        }
        Ok(())
    }

    /// Sends a call again if the error means that it came in the wrong wrapper, under an unbound key, too early, or while too
    /// many were running.
    fn goes_again(
        &mut self,
        result: &MessageContext<'_>,
        call: CallId,
        req_msg_id: MsgId,
        meaning: Meaning,
    ) -> bool {
        let key = result.slot;
        let Some(calls) = &mut self.exchange.calls else {
            return false;
        };
        let Some(slot) = calls.get(call).filter(|slot| slot.attempts < self.config.limits.attempts) else {
            return false;
        };
        match meaning {
            Meaning::Uninitialized if self.config.init.is_some() => {
                if let Some(session) = self.keys.get_mut(key) {
                    session.is_initialized = false;
                }
            }
            Meaning::OutOfOrder if !slot.after.is_empty() => {}
            Meaning::Unbound if self.keys.are_temporary() => {
                if key == KeySlot::Current {
                    self.keys.unbind();
                }
            }
            Meaning::NoRoom if slot.repeat != Repeat::Never && !slot.cancelled => {
                return calls.hold_back(call, req_msg_id, result.now.mono);
            }
            _ => return false,
        }
        calls.requeue(&[call], &mut self.exchange.events);
        true
    }

    fn on_binding_answer(&mut self, result: &MessageContext<'_>, id: u32) -> Result<(), FrameError> {
        if result.slot != KeySlot::Current || self.keys.is_usable() {
            self.exchange.count_unmatched();
            return Ok(());
        }
        if id == BOOL_TRUE {
            self.breaker.on_answer();
            self.keys.on_bound(result.now.mono);
            self.exchange.events.plain(Event::TemporaryKeyBound);
            return Ok(());
        }
        let mut sign = KeySign::TemporaryUnusable;
        if id == RPC_ERROR {
            let error = ErrorAnswer::read(result.body, result.span)?;
            if (error.code, error.message) == (400, "ENCRYPTED_MESSAGE_INVALID") {
                sign = KeySign::BindingInvalid;
            }
        }
        self.on_key_sign(result.now, sign);
        Ok(())
    }

    /// Handles a service message.
    pub(super) fn on_service(&mut self, message: &MessageContext<'_>, service: Service<'_>) {
        self.learn_time(message, &service);
        let (msg_id, now) = (message.header.msg_id, message.now.mono);
        match service {
            // The list cannot be longer than a frame; an unknown id costs a look-up.
            Service::MsgsAck(ids) => ids.iter().for_each(|id| self.exchange.on_acked(now, id)),
            Service::BadMsg(bad) => self.on_bad_msg(message, bad),
            Service::StateReq(ids) => self.on_state_req(message, ids),
            Service::StateInfo { req_msg_id, info } => {
                let rules = self.status_rules(now);
                self.exchange.on_state_info(&rules, req_msg_id, info);
            }
            Service::AllInfo { ids, info } => {
                let rules = self.status_rules(now);
                self.exchange.on_all_info(&rules, ids, info);
            }
            Service::DetailedInfo { msg_id, answer, .. } => self.on_detailed_info(message, msg_id, answer),
            Service::ResendReq(ids) => {
                let rules = self.status_rules(now);
                self.exchange.on_resend_req(&rules, msg_id, ids);
            }
            Service::FutureSalts { req_msg_id, salts } => self.on_future_salts(message, req_msg_id, salts),
            Service::Pong { ping_id, .. } => {
                if !self.live.on_pong(now, ping_id) {
                    self.exchange.counters.refused.count(Rule::new(108));
                }
            }
            Service::SessionDestroyed { session_id, existed } => {
                if let Some(questions) = &mut self.exchange.questions {
                    questions.on_session_destroyed(session_id);
                }
                self.exchange.events.plain(Event::SessionDestroyed { session_id, existed });
            }
            Service::NewSession { first_msg_id, unique_id, salt } => {
                self.on_new_session(message, first_msg_id, unique_id, salt);
            }
            Service::KeyDestroyed(destruction) => {
                self.exchange.events.plain(Event::KeyDestroyed(destruction));
            }
            Service::Ping { ping_id, .. } => {
                self.exchange.reply(Reply::Pong { msg_id, ping_id });
            }
            // A copy was taken apart before. The others only a client asks; a server that does is ignored.
            Service::Copy { .. }
            | Service::GetFutureSalts { .. }
            | Service::DropAnswer { .. }
            | Service::DestroySession { .. }
            | Service::DestroyAuthKey
            | Service::HttpWait(_) => {}
        }
    }

    fn on_future_salts(&mut self, message: &MessageContext<'_>, req_msg_id: MsgId, salts: Salts<'_>) {
        let is_ours =
            self.exchange.sent.get(req_msg_id).is_some_and(|sent| sent.kind == SentKind::FutureSalts);
        if !is_ours {
            self.exchange.counters.refused.count(Rule::new(88));
            return;
        }
        let now = message.now.mono;
        if let Some(session) = self.keys.get_mut(message.slot) {
            session.salts.table.extend(salts.iter(), self.clock.seconds(now));
            session.salts.on_answered(now);
        }
    }

    /// Learns the time from answers to recent messages of ours (SEC-81).
    fn learn_time(&mut self, message: &MessageContext<'_>, service: &Service<'_>) {
        if matches!(service, Service::BadMsg(_) | Service::MsgsAck(_) | Service::AllInfo { .. }) {
            return;
        }
        let mut question = None;
        service.refers_to(|msg_id| {
            question = self.exchange.sent.get(msg_id).map(|sent| sent.msg_id);
            question.is_some()
        });
        if let Some(question) = question {
            self.observe_answer(message.now, message.header.msg_id, question);
        }
    }

    #[inline]
    fn observe_answer(&mut self, now: Now, answer: MsgId, question: MsgId) {
        self.exchange.outstanding.on_arrived(now.mono, question);
        let change = self.clock.observe_answer(now.mono, answer, question);
        self.on_clock_change(now, change);
    }

    fn on_clock_change(&mut self, now: Now, change: ClockChange) {
        if let Some(held) = &mut self.held {
            held.is_time_known = true;
        }
        if change == ClockChange::Backward {
            self.exchange.on_clock_set_back();
        }
        if change != ClockChange::None {
            self.exchange.counters.clock_corrections += 1;
            let offset_seconds = self.clock.offset_seconds(now);
            self.exchange.events.plain(Event::TimeCorrected { offset_seconds });
        }
    }
}

/// Answers that wait at the server, and the states of its messages.
impl SessionState {
    /// `msg_detailed_info`: an answer waits at the server. It is fetched, or acknowledged if it has come or the call has
    /// ended.
    fn on_detailed_info(&mut self, message: &MessageContext<'_>, about: Option<MsgId>, answer: MsgId) {
        if !answer.origin().is_some_and(MsgOrigin::is_server) {
            return;
        }
        let call = about.and_then(|msg_id| match self.exchange.sent.get(msg_id)?.kind {
            SentKind::Call(call) => Some((call, msg_id)),
            _ => None,
        });
        let is_wanted = call.map_or(about.is_none(), |(call, _)| self.exchange.is_pending(call));
        let Some(session) = self.keys.get_mut(message.slot) else {
            return;
        };
        if session.inbox.has_seen(answer) || !is_wanted {
            session.inbox.owe(answer, message.now.mono, &self.config.limits);
            return;
        }
        if let (Some((call, msg_id)), Some(calls)) = (call, &mut self.exchange.calls) {
            calls.on_received(call, msg_id);
        }
        self.exchange.questions.get_or_insert_default().request_resend(answer);
    }

    fn status_rules(&self, now: MonoTime) -> StatusRules {
        let limits = &self.config.limits;
        StatusRules {
            ask_at: now + limits.ask_state_after,
            attempts: limits.attempts,
            generation: self.keys.generation(),
        }
    }

    /// `msgs_state_req`: the server asks what arrived of its own messages.
    fn on_state_req(&mut self, message: &MessageContext<'_>, ids: Ids<'_>) {
        if ids.len() > MAX_IDS_PER_LIST {
            self.exchange.counters.refused.count(Rule::new(103));
            return;
        }
        if let Some(session) = self.keys.get_mut(message.slot) {
            let (req_msg_id, info) = (message.header.msg_id, session.inbox.statuses(ids));
            self.exchange.reply(Reply::StateInfo { req_msg_id, info });
        }
    }
}

/// Complaints of the server, and new sessions.
impl SessionState {
    /// `bad_msg_notification` and `bad_server_salt`; believed only about recent messages (SEC-82).
    fn on_bad_msg(&mut self, message: &MessageContext<'_>, bad: BadMsg) {
        let Some(sent) = self.exchange.sent.get(bad.bad_msg_id) else {
            self.exchange.counters.refused.count(Rule::new(82));
            return;
        };
        let (now, notification) = (message.now, message.header.msg_id);
        let mut hit = self.exchange.hit_by(sent);
        let reaction = complaints::reaction(bad.code);
        match reaction.clock {
            ClockFix::Keep => {}
            ClockFix::Observe => {
                // Code 48 without a salt is no `bad_server_salt`: nothing can be learnt from it.
                let Some(salt) = bad.new_salt else { return };
                let seconds = self.clock.seconds(now.mono);
                if let Some(session) = self.keys.get_mut(message.slot) {
                    session.salts.table.supersede(salt, seconds);
                }
                self.observe_answer(now, notification, sent.msg_id);
            }
            ClockFix::Reset => {
                let change = self.clock.reset(now.mono, notification);
                self.on_clock_change(now, change);
            }
        }
        match reaction.resend {
            Resend::Again => self.send_again(message.slot, &hit, bad.code),
            Resend::Alone => {
                self.exchange.send_alone(&hit);
                self.send_again(message.slot, &hit, bad.code);
            }
            Resend::IfAllowed => {
                // Code 20: the server cannot tell whether it received the message. One that it acknowledged under this
                // id may be executing.
                let is_uncertain = |slot: &Slot, msg_id| {
                    slot.repeat == Repeat::Never
                        || (slot.is_in_flight_as(msg_id) && !slot.may_repeat(Evidence::NotReceived))
                };
                self.exchange.fail_hit(&mut hit, is_uncertain, CallFailure::Uncertain);
                self.send_again(message.slot, &hit, bad.code);
            }
            Resend::Leave => {}
            Resend::Fail => {
                self.exchange.fail_hit(&mut hit, |_, _| true, CallFailure::Refused { code: bad.code });
                self.exchange.events.plain(Event::Reconnect(ReconnectReason::Refused));
            }
        }
        let begins_session = match reaction.session {
            SessionFix::Keep => false,
            SessionFix::NewIfAhead => self.ids_run_ahead(now),
            SessionFix::New => true,
        };
        if begins_session {
            if reaction.clock == ClockFix::Reset {
                let latest = self.clock.at(now.mono).saturating_add(CERTAINLY_AHEAD);
                self.exchange.resend_ahead_of(sent.msg_id, latest);
            }
            self.begin_session(message.slot, reaction.clock);
        }
        if self.breaker.on_complaint() {
            self.exchange.give_up();
        }
    }

    /// Sends messages again that the server certainly refused.
    fn send_again(&mut self, slot: KeySlot, hit: &[Sent], code: BadMsgCode) {
        self.exchange.resend_calls(hit, code, self.config.limits.attempts);
        for sent in hit {
            self.ask_again(slot, *sent);
        }
    }

    /// A message of ours that is no call was refused: it is sent again if it still matters.
    fn ask_again(&mut self, slot: KeySlot, sent: Sent) {
        match sent.kind {
            SentKind::Binding => {
                if self.keys.is_binding(sent.msg_id) && !self.keys.bind_again(self.config.limits.attempts) {
                    self.drop_temporary_key();
                }
            }
            SentKind::FutureSalts => {
                if let Some(session) = self.keys.get_mut(slot) {
                    session.salts.forget_request();
                }
            }
            SentKind::StateReq => self.exchange.ask_states_again(),
            SentKind::Ping => self.live.on_ping_lost(),
            SentKind::DropAnswer(call) => self.exchange.drop_answer(call),
            SentKind::DestroySession => {
                if let Some(questions) = &mut self.exchange.questions {
                    questions.destroy_session_again(sent.msg_id);
                }
            }
            SentKind::DestroyAuthKey => self.exchange.questions.get_or_insert_default().destroy_key(),
            SentKind::Call(_)
            | SentKind::Container
            | SentKind::Acks
            | SentKind::ResendReq
            | SentKind::Other => {}
        }
    }

    fn ids_run_ahead(&self, now: Now) -> bool {
        let limit = self.clock.at(now.mono).saturating_add(MAX_AHEAD);
        self.exchange.sent.last_id().is_some_and(|last| last.time() > limit)
    }

    /// Begins a new session: everything unanswered is sent again there, unless it may not be.
    fn begin_session(&mut self, slot: KeySlot, clock: ClockFix) {
        // Before a key goes: what is held under it can never be handled.
        self.lose_held();
        self.keys.drop_previous();
        if slot == KeySlot::Previous {
            // Its session is of no use any more, and neither is the key: nothing new goes there.
            return self.exchange.leave_sessions_but(self.keys.sessions());
        }
        if clock == ClockFix::Reset {
            // The ids were too high; lower ones are allowed in a new session and only there.
            self.exchange.sent.restart_ids();
            self.exchange.outstanding.on_ids_restarted();
        }
        let next = self.exchange.begin_session();
        if let Some(session) = self.keys.current_mut() {
            session.retire_session(next);
        }
        self.keys.bind_again(u8::MAX);
        self.exchange.restart_session();
        self.live.on_new_session();
        if self.breaker.on_new_session(self.config.limits.session_resets) {
            self.exchange.give_up();
        } else {
            self.exchange.leave_sessions_but(self.keys.sessions());
        }
    }

    /// `new_session_created`: what was sent before its first message is unknown to the server (SEC-91).
    fn on_new_session(
        &mut self,
        message: &MessageContext<'_>,
        first_msg_id: MsgId,
        unique_id: i64,
        salt: ServerSalt,
    ) {
        let seconds = self.clock.seconds(message.now.mono);
        let is_recent = self.exchange.sent.get(first_msg_id).is_some();
        let Some(session) = self.keys.get_mut(message.slot) else {
            return;
        };
        if !session.is_new_announcement(unique_id) {
            self.exchange.counters.refused.count(Rule::new(91));
            return;
        }
        // A salt is taken only from what refers to a recent message of ours (SEC-89).
        let salts = &mut session.salts.table;
        if is_recent && salts.as_slice().first().is_none_or(|current| current.salt != salt) {
            salts.supersede(salt, seconds);
        }
        // What was in a frame before that of the first message is lost.
        let first_known = self.exchange.sent.first_in_frames_from(first_msg_id);
        let generation = session.generation;
        if message.slot == KeySlot::Current {
            self.keys.lose_binding_before(first_known);
        }
        self.exchange.on_session_begun(generation, first_known);
        self.exchange.events.plain(Event::UpdatesMayBeMissing);
    }
}

/// Keys.
impl SessionState {
    /// Drops the messages that wait for the time; the caller fetches what they said.
    pub(super) fn lose_held(&mut self) {
        if self.held.take().is_some() {
            self.exchange.events.plain(Event::UpdatesMayBeMissing);
        }
    }

    /// Requests a temporary key from the caller if one is needed, now and then until it comes.
    pub(super) fn request_temporary_key(&mut self, now: Now) {
        if !self.is_terminated && self.link.is_some() && self.keys.request(now.mono, &self.clock) {
            self.exchange.events.plain(Event::NeedTemporaryKey);
        }
    }

    /// Drops temporary keys that have expired (SEC-124).
    pub(super) fn expire_keys(&mut self, now: Now) {
        let dropped = self.keys.expire(self.clock.seconds(now.mono));
        self.on_dropped(dropped);
    }

    /// Drops the temporary key in use.
    pub(super) fn drop_temporary_key(&mut self) {
        let dropped = self.keys.drop_temporary();
        self.on_dropped(dropped);
    }

    fn on_dropped(&mut self, dropped: Dropped) {
        match dropped {
            Dropped::Nothing => {}
            Dropped::Previous => {
                self.lose_held();
                self.exchange.leave_sessions_but(self.keys.sessions());
            }
            Dropped::Next | Dropped::All => self.on_session_gone(),
        }
    }

    /// The session in use is gone with its key. Questions, pings and what was held in it are of no use any more.
    pub(super) fn on_session_gone(&mut self) {
        self.lose_held();
        self.live.on_new_session();
        self.exchange.forget_states();
        self.exchange.leave_sessions_but(self.keys.sessions());
    }

    pub(super) fn on_key_sign(&mut self, now: Now, sign: KeySign) {
        match self.keys.on_sign(sign, now.mono, self.clock.seconds(now.mono)) {
            KeyAction::Reconnect => {}
            KeyAction::ReplaceTemporary => {
                self.drop_temporary_key();
                self.request_temporary_key(now);
            }
            KeyAction::Doubt => {
                self.exchange.events.plain(Event::Authorization(AuthorizationTrouble::PermanentKeyDoubtful));
            }
            KeyAction::GiveUp => self.terminate(AuthorizationTrouble::PermanentKeyRefused),
        }
    }

    /// Ends the session for good: every call ends, and no more are accepted.
    fn terminate(&mut self, trouble: AuthorizationTrouble) {
        if core::mem::replace(&mut self.is_terminated, true) {
            return;
        }
        self.exchange.fail_all(CallFailure::Terminated);
        self.exchange.events.plain(Event::Authorization(trouble));
    }
}
