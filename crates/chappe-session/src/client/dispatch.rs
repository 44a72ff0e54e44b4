//! What a frame does: each message goes to the parts that it concerns.
//!
//! The order of checks is that of the specification: key, `msg_key`, lengths, session, low bits, duplicates, age. A
//! message that answers a recent one of ours is believed whatever our clock says, and repairs it; otherwise the window
//! would refuse the very message that carries the right time.
//!
//! Not here: what an error or a complaint means ([`super::answers`], [`super::complaints`], [`super::keys`]). Their
//! values are applied here, each in one place.

use core::time::Duration;

use chappe_crypto::Side;
use chappe_framing::{
    Container, FrameError, GZIP_PACKED, GzipPacked, MSG_CONTAINER, MessageHeader, MsgId, MsgOrigin, Opened,
    PeerMisbehaved, RPC_ERROR, RPC_RESULT, RPC_RESULT_HEADER_LEN, RpcResult, ServerSalt, auth_key_id,
    constructor_id, open,
};
use chappe_types::{BadMsgCode, Rule};

use super::ClientSession;
use super::answers::{self, ErrorAnswer, Meaning};
use super::calls::{CallId, Evidence, Repeat, Slot, StatusRules};
use super::complaints::{self, ClockFix, Resend, SessionFix};
use super::context::MessageContext;
use super::events::{AuthorizationTrouble, CallFailure, DropOutcome, Event, ReconnectReason, Record};
use super::exchange::Exchange;
use super::held::HeldMessage;
use super::keys::{Dropped, KeyAction, KeySign, KeySlot};
use super::questions::Reply;
use super::sent::{Sent, SentKind};
use crate::MAX_IDS_PER_LIST;
use crate::clock::ClockChange;
use crate::event_log::Span;
use crate::service::{BadMsg, Ids, MSG_COPY, RPC_ANSWER_DROPPED_RUNNING, Salts, Service, question_of};
use crate::time::{MonoTime, Now};
use crate::window::{Age, Seen};

/// `boolTrue`, the answer to a binding.
const BOOL_TRUE: u32 = 0x9972_75b5;

/// How far ahead of the server's clock the last id may be after the clock was set back. The server refuses ids that
/// are 30 seconds ahead, so above this limit a new session is begun at once.
const MAX_AHEAD: Duration = Duration::from_secs(20);

/// How far ahead of the server's clock an id certainly was when it arrived, so that the server has refused it: twice the 30
/// seconds that a server accepts, since the clock is late by the way of the complaint.
const CERTAINLY_AHEAD: Duration = Duration::from_secs(60);

/// Where the body of `msg_copy` starts: behind its id and the header of the copied message.
const COPY_AT: usize = 4 + MessageHeader::LEN;

/// Frames, and the messages in them.
impl ClientSession {
    pub(super) fn receive(&mut self, now: Now, frame: &mut [u8]) -> Result<(), FrameError> {
        let Some(tail) = self.link else {
            return Ok(());
        };
        let max = self.config.limits.received_bytes;
        if frame.len() > max {
            return Err(PeerMisbehaved::UnpackedTooLarge { limit: max }.into());
        }
        let got = auth_key_id(frame)?;
        if got.is_zero() {
            return Err(PeerMisbehaved::PlainNotAllowed.into());
        }
        let slot = self.keys.slot_of(got).ok_or(PeerMisbehaved::UnknownAuthKey { got })?;
        let Some(session) = self.keys.get_mut(slot) else {
            return Ok(());
        };
        let opened = open(&session.key, Side::Server, tail, frame)?;
        self.exchange.counters.frames_received += 1;
        let got = opened.session_id();
        if session.session_id != Some(got) {
            // A session that ended not long ago is no attack: the server could not know.
            if !session.was_session(got) {
                return Err(PeerMisbehaved::ForeignSession { got }.into());
            }
            self.exchange.counters.refused.count(Rule::new(68));
            return Ok(());
        }
        opened.require_origin(Side::Server)?;
        let container = container_in(&opened)?;
        if !self.is_plausible(now, &opened, container.as_ref()) {
            self.exchange.counters.refused.count(Rule::new(80));
            let (header, body) = (opened.header(), opened.body());
            self.hold(slot, header, body);
            return Ok(());
        }
        // Only now: a message that is held must not delay the ping that tells the time. A frame that was seen before may
        // be a recording, and proves nothing.
        if !self.has_seen(slot, opened.msg_id()) {
            self.live.on_received(now.mono);
            if slot == KeySlot::Current {
                self.keys.on_proven();
            }
        }
        let span = Span::Frame { start: opened.body_range().start as u32, len: opened.body().len() as u32 };
        let (header, body) = (opened.header(), opened.body());
        let message = MessageContext { now, slot, header, body, span, is_inner: false, is_unpacked: false };
        match container {
            // What is in a container that was seen was seen with it.
            Some(container) => {
                if self.take(&message) != Seen::Duplicate {
                    self.on_container(&message, &container)?;
                }
            }
            None => self.on_message(&message)?,
        }
        self.release_held(now)
    }

    /// Holds a message whose time is implausible, and asks the server for the time.
    fn hold(&mut self, slot: KeySlot, header: MessageHeader, body: &[u8]) {
        if self.has_seen(slot, header.msg_id) {
            // A replay: there is nothing in it that could be lost.
            return;
        }
        self.held.get_or_insert_default().hold(slot, header, body);
        if !self.live.awaits_pong() {
            self.live.request_ping();
        }
    }

    /// Handles the messages that waited for the time, once it is known. What is still implausible is lost.
    fn release_held(&mut self, now: Now) -> Result<(), FrameError> {
        let Some(held) = self.held.take_if(|held| held.is_time_known) else {
            return Ok(());
        };
        let (mut is_lost, mut handled) = (held.has_lost, Ok(()));
        for HeldMessage { slot, header, body } in &held.messages {
            let age = self.config.limits.age.check(header.msg_id, self.clock.at(now.mono));
            // An error closes the connection, and one of these messages may have ended the key of another.
            if handled.is_err() || age != Age::Plausible || self.keys.get_mut(*slot).is_none() {
                is_lost = true;
                continue;
            }
            let first = self.exchange.events.len();
            let span = Span::Frame { start: 0, len: body.len() as u32 };
            let (slot, header) = (*slot, *header);
            handled = self.on_message(&MessageContext {
                now,
                slot,
                header,
                body,
                span,
                is_inner: false,
                is_unpacked: false,
            });
            self.exchange.events.outlive(first, body);
        }
        if is_lost {
            self.exchange.events.plain(Event::UpdatesMayBeMissing);
        }
        handled
    }

    /// Drops the messages that wait for the time; the caller fetches what they said.
    pub(super) fn lose_held(&mut self) {
        if self.held.take().is_some() {
            self.exchange.events.plain(Event::UpdatesMayBeMissing);
        }
    }

    /// Checks the age of a message once the clock is right (SEC-80), unless it answers us (SEC-81).
    fn is_plausible(&self, now: Now, opened: &Opened<'_>, container: Option<&Container<'_>>) -> bool {
        if !self.clock.is_synchronized() {
            return true;
        }
        let age = self.config.limits.age.check(opened.msg_id(), self.clock.at(now.mono));
        if age == Age::Plausible {
            return true;
        }
        let answers =
            |body: &[u8]| question_of(body, |msg_id| self.exchange.sent.get(msg_id).is_some()).is_some();
        match container {
            Some(container) => container.iter().any(|message| answers(message.body)),
            None => answers(opened.body()),
        }
    }

    /// Returns whether a message was seen before, or may have been.
    fn has_seen(&mut self, slot: KeySlot, msg_id: MsgId) -> bool {
        self.keys.get_mut(slot).is_none_or(|session| session.inbox.has_seen(msg_id))
    }

    /// Remembers a message, and returns whether it was seen before.
    #[inline]
    fn take(&mut self, message: &MessageContext<'_>) -> Seen {
        let (limits, counters) = (&self.config.limits, &mut self.exchange.counters);
        match self.keys.get_mut(message.slot) {
            Some(session) => session.inbox.take(message.header, message.now.mono, limits, counters),
            None => Seen::Duplicate,
        }
    }

    /// Handles one message, from a frame or from a container.
    fn on_message(&mut self, message: &MessageContext<'_>) -> Result<(), FrameError> {
        match self.take(message) {
            Seen::Fresh => self.on_body(message),
            Seen::Duplicate => Ok(()),
            Seen::TooOld => self.on_too_old(message),
        }
    }

    /// Handles a message that may have been seen, since it is older than everything remembered (SEC-77).
    ///
    /// It was acknowledged and does not come again, so it must not be dropped without a word. The answer to a call that
    /// still waits was certainly not seen.
    #[cold]
    fn on_too_old(&mut self, message: &MessageContext<'_>) -> Result<(), FrameError> {
        if let Ok(result) = RpcResult::new_checked(message.body) {
            let is_awaited = match self.exchange.sent.get(result.req_msg_id()).map(|sent| sent.kind) {
                Some(SentKind::Call(call)) => self.exchange.is_pending(call),
                _ => false,
            };
            return if is_awaited { self.on_body(message) } else { Ok(()) };
        }
        if message.header.seq_no.is_content_related() {
            self.exchange.events.plain(Event::UpdatesMayBeMissing);
        }
        Ok(())
    }

    fn on_body(&mut self, message: &MessageContext<'_>) -> Result<(), FrameError> {
        let body = message.body;
        match constructor_id(body)? {
            id @ MSG_CONTAINER if message.is_inner => Err(PeerMisbehaved::Nested { id }.into()),
            MSG_CONTAINER => {
                let container = Container::new_checked(body, message.header.msg_id, Side::Server)?;
                self.on_container(message, &container)
            }
            GZIP_PACKED => self.with_unpacked(message, |session, message| session.on_body(&message)),
            RPC_RESULT => {
                self.exchange.counters.messages_received += 1;
                let result = RpcResult::new_checked(body)?;
                self.on_result(message.skip(RPC_RESULT_HEADER_LEN), result.req_msg_id())
            }
            _ => {
                self.exchange.counters.messages_received += 1;
                if let Some(service) = Service::read(body)? {
                    self.on_service(message, service)
                } else {
                    self.exchange.events.push(Record::Update(message.header.msg_id, message.span));
                    Ok(())
                }
            }
        }
    }

    fn on_container<'a>(
        &mut self,
        message: &MessageContext<'a>,
        container: &Container<'a>,
    ) -> Result<(), FrameError> {
        message.members(container).try_for_each(|member| self.on_message(&member))
    }

    /// Unpacks an object into the scratch, and handles it there.
    fn with_unpacked(
        &mut self,
        message: &MessageContext<'_>,
        handle: impl FnOnce(&mut Self, MessageContext<'_>) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        if message.is_unpacked {
            return Err(PeerMisbehaved::Nested { id: GZIP_PACKED }.into());
        }
        let packed = GzipPacked::new_checked(message.body)?;
        let most = self.config.limits.unpacked_bytes;
        let Exchange { events, counters, .. } = &mut self.exchange;
        let place = self.gzip.unpack(&packed, &mut events.scratch, most, counters)?;
        // Nothing is unpacked while the scratch is lent out, since packed objects do not nest.
        let scratch = core::mem::take(&mut self.exchange.events.scratch);
        let span = Span::Scratch { start: place.start as u32, len: place.len() as u32 };
        let handled = handle(self, message.unpacked(&scratch[place], span));
        self.exchange.events.scratch = scratch;
        handled
    }

    /// `msg_copy`: a message of the server repeated under another id.
    fn on_copy(&mut self, copied: MessageContext<'_>) -> Result<(), FrameError> {
        // A copy is of a message that was sent once by itself; copies of copies could go on indefinitely.
        if constructor_id(copied.body)? == MSG_COPY {
            return Err(PeerMisbehaved::Nested { id: MSG_COPY }.into());
        }
        let msg_id = copied.header.msg_id;
        if !msg_id.origin().is_some_and(MsgOrigin::is_server) {
            return Err(PeerMisbehaved::BadOrigin { msg_id }.into());
        }
        self.on_message(&copied)
    }
}

/// Answers.
impl ClientSession {
    /// Handles the result of a query; `result` is the object in `rpc_result`.
    fn on_result(&mut self, result: MessageContext<'_>, req_msg_id: MsgId) -> Result<(), FrameError> {
        let id = constructor_id(result.body)?;
        if id == GZIP_PACKED {
            return self.with_unpacked(&result, |session, result| session.on_result(result, req_msg_id));
        }
        let Some(sent) = self.exchange.sent.take_notice(req_msg_id) else {
            self.exchange.count_unmatched();
            return Ok(());
        };
        self.observe_answer(result.now, result.header.msg_id, req_msg_id);
        match sent.kind {
            SentKind::Call(call) if id == RPC_ERROR => self.on_call_error(result, call)?,
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

    fn on_call_answer(&mut self, result: MessageContext<'_>, call: CallId, id: u32) {
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
            calls.end(call);
        }
        self.exchange.events.push(Record::Answer(call, result.span));
    }

    fn on_call_error(&mut self, result: MessageContext<'_>, call: CallId) -> Result<(), FrameError> {
        if !self.exchange.is_pending(call) {
            self.exchange.count_unmatched();
            return Ok(());
        }
        let error = ErrorAnswer::read(result.body, result.span)?;
        self.breaker.on_answer();
        let meaning = error.meaning();
        if self.goes_again(result.slot, call, meaning) {
            return Ok(());
        }
        if let Some(calls) = &mut self.exchange.calls {
            calls.end(call);
        }
        self.exchange.events.push(Record::CallError(call, error.code, error.span));
        match meaning {
            Meaning::Trouble(trouble) if trouble.is_terminal() => self.terminate(trouble),
            Meaning::Trouble(trouble) => self.exchange.events.plain(Event::Authorization(trouble)),
            _ => {}
        }
        Ok(())
    }

    /// Sends a call again if the error means that it came in the wrong wrapper, under an unbound key, or too early.
    fn goes_again(&mut self, key: KeySlot, call: CallId, meaning: Meaning) -> bool {
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
            _ => return false,
        }
        calls.requeue(&[call]);
        true
    }

    fn on_binding_answer(&mut self, result: MessageContext<'_>, id: u32) -> Result<(), FrameError> {
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

    fn on_service(&mut self, message: &MessageContext<'_>, service: Service<'_>) -> Result<(), FrameError> {
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
            Service::Copy { original, seq_no, body } => {
                let original = MessageHeader { msg_id: original, seq_no };
                return self.on_copy(message.inner(original, body, COPY_AT));
            }
            Service::Ping { ping_id, .. } => {
                self.exchange.reply(Reply::Pong { msg_id, ping_id });
            }
            // Only a client asks these; a server that does is ignored.
            Service::GetFutureSalts { .. }
            | Service::DropAnswer { .. }
            | Service::DestroySession { .. }
            | Service::DestroyAuthKey
            | Service::HttpWait(_) => {}
        }
        Ok(())
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
        if change != ClockChange::None {
            self.exchange.counters.clock_corrections += 1;
            let offset_seconds = self.clock.offset_seconds(now);
            self.exchange.events.plain(Event::TimeCorrected { offset_seconds });
        }
    }
}

/// Answers that wait at the server, and the states of its messages.
impl ClientSession {
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
impl ClientSession {
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
                self.exchange.resend_ahead_of(self.clock.at(now.mono).saturating_add(CERTAINLY_AHEAD));
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
            SentKind::DestroyAuthKey => self.destroy_auth_key(),
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
impl ClientSession {
    /// Requests a temporary key from the caller if one is needed, now and then until it comes.
    pub(super) fn request_temporary_key(&mut self, now: Now) {
        if !self.is_terminated && self.is_connected() && self.keys.request(now.mono, &self.clock) {
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

/// A container is checked whole, before any of its messages counts (SEC-93 to SEC-95).
fn container_in<'a>(opened: &Opened<'a>) -> Result<Option<Container<'a>>, FrameError> {
    if constructor_id(opened.body())? != MSG_CONTAINER {
        return Ok(None);
    }
    Container::new_checked(opened.body(), opened.msg_id(), Side::Server).map(Some)
}
