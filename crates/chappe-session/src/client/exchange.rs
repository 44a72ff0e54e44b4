//! The messages under way in both directions: what was sent, the calls in it, and the questions about it.
//!
//! [`Exchange`] joins the parts that are looked at together for almost every message. It knows no key and no
//! connection: what it needs of them comes as an argument.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages>.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use chappe_framing::{MsgId, UnixTime};
use chappe_tl::EncodeError;
use chappe_types::{BadMsgCode, Rule};

use super::calls::{CallId, Calls, Evidence, Packer, Receipt, SendOptions, SentAs, Slot, StatusRules};
use super::events::{Event, ReconnectReason, Record};
use super::key_session::Generation;
use super::outstanding::Outstanding;
use super::questions::{self, Questions, Reply};
use super::sent::{Sent, SentKind, SentLog};
use super::{CallFailure, SendError, complaints};
use crate::counters::Counters;
use crate::event_log::EventLog;
use crate::gzip::Gzip;
use crate::service::{Ids, Status};
use crate::time::MonoTime;
use crate::{MAX_IDS_PER_LIST, SessionLimits};

/// Messages under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) sent: SentLog,
    /// The number of the next session.
    sessions: Generation,
    /// Calls accepted so far: the generation of the next.
    accepted: u32,
    // An idle session keeps neither of these two: there may be many like it.
    pub(super) calls: Option<Box<Calls>>,
    pub(super) questions: Option<Box<Questions>>,
    pub(super) outstanding: Outstanding,
    pub(super) events: EventLog<Record>,
    pub(super) counters: Counters,
}

/// Which sessions can be asked about calls in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Askable {
    /// The session in use.
    pub(super) current: Option<Generation>,
    /// The server forgot the key before so long ago that no answer under it can be on its way.
    pub(super) is_former_lost: bool,
}

/// Calls.
impl Exchange {
    pub(super) fn new() -> Self {
        Self {
            sent: SentLog::new(),
            sessions: Generation::default(),
            accepted: 0,
            calls: None,
            questions: None,
            outstanding: Outstanding::new(),
            events: EventLog::new(),
            counters: Counters::default(),
        }
    }

    /// Accepts a call whose body `write` serializes.
    #[inline]
    pub(super) fn accept(
        &mut self,
        now: MonoTime,
        options: SendOptions,
        limits: &SessionLimits,
        gzip: &mut Gzip,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<CallId, SendError> {
        let calls = self.calls.get_or_insert_default();
        let packer = Packer { gzip, counters: &mut self.counters };
        let call = calls.accept(self.accepted, now, options, limits, packer, write)?;
        self.accepted = self.accepted.wrapping_add(1);
        Ok(call)
    }

    /// Returns the number of calls that have not ended.
    pub(super) fn pending(&self) -> usize {
        self.calls.as_deref().map_or(0, Calls::pending)
    }

    /// Returns whether calls were sent that have no answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.calls.as_deref().is_some_and(|calls| calls.waiting() > 0)
    }

    #[inline]
    pub(super) fn is_pending(&self, call: CallId) -> bool {
        self.calls.as_deref().is_some_and(|calls| calls.get(call).is_some())
    }

    /// Ends a call without an answer.
    pub(super) fn fail(&mut self, call: CallId, failure: CallFailure) {
        if let Some(calls) = &mut self.calls {
            calls.fail(call, failure, &mut self.events);
        }
    }

    /// Ends all calls.
    pub(super) fn fail_all(&mut self, failure: CallFailure) {
        if let Some(calls) = &mut self.calls {
            calls.fail_all(failure, &mut self.events);
        }
    }

    /// Ends the calls whose time is over.
    pub(super) fn fail_timed_out(&mut self, now: MonoTime) {
        while let Some(call) = self.calls.as_deref_mut().and_then(|calls| calls.pop_timed_out(now)) {
            self.drop_answer(call);
            self.fail(call, CallFailure::TimedOut);
        }
    }

    /// The server refuses whatever is tried (SEC-86). Calls in flight may have been executed.
    pub(super) fn give_up(&mut self) {
        self.leave(Evidence::None, |_| true);
        self.fail_all(CallFailure::SessionRefused);
        self.events.plain(Event::Reconnect(ReconnectReason::Refused));
    }

    /// Lets calls go again that the server had no room for, once their time has come.
    pub(super) fn release_held(&mut self, now: MonoTime) {
        if let Some(calls) = &mut self.calls {
            calls.release_held(now);
        }
    }

    /// Requests that the server drops the answer to a call that was sent.
    pub(super) fn drop_answer(&mut self, call: CallId) {
        if let Some(calls) = &self.calls {
            self.questions.get_or_insert_default().drop_answer(call, calls);
        }
    }

    /// Schedules an answer to a question of the server.
    pub(super) fn reply(&mut self, reply: Reply) {
        self.questions.get_or_insert_default().reply(reply);
    }

    /// An answer came to a call that has ended, or to nothing that was sent.
    pub(super) fn count_unmatched(&mut self) {
        self.counters.unmatched += 1;
        self.counters.refused.count(Rule::new(98));
    }

    /// The server has a message: its state need not be asked for soon.
    pub(super) fn on_acked(&mut self, now: MonoTime, msg_id: MsgId) {
        self.outstanding.on_arrived(now, msg_id);
        let (Some(sent), Some(calls)) = (self.sent.get(msg_id), &mut self.calls) else {
            return;
        };
        match sent.kind {
            SentKind::Call(call) => calls.on_received(call, msg_id),
            SentKind::Container if self.sent.on_container_acked(msg_id) => {
                for member in self.sent.members(msg_id) {
                    if let SentKind::Call(call) = member.kind {
                        calls.on_received(call, member.msg_id);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Sessions and connections that begin and end.
impl Exchange {
    /// Numbers a session that begins.
    pub(super) fn begin_session(&mut self) -> Generation {
        let generation = self.sessions;
        self.sessions = generation.next();
        generation
    }

    /// The connection is gone.
    pub(super) fn on_disconnected(&mut self) {
        if let Some(questions) = &mut self.questions {
            questions.forget_connection();
        }
        if let Some(calls) = &mut self.calls {
            calls.on_disconnected(&mut self.events);
        }
    }

    /// The server says, without proof, that it could not read what was sent on this connection after it last spoke.
    pub(super) fn on_denied(&mut self, heard_at: UnixTime) {
        if let Some(calls) = &mut self.calls {
            calls.on_denied(heard_at);
        }
    }

    /// A message of the server set the clock back.
    pub(super) fn on_clock_set_back(&mut self) {
        if let Some(calls) = &mut self.calls {
            calls.on_clock_set_back();
        }
    }

    /// Nothing is asked any more in the session that questions were for.
    pub(super) fn forget_states(&mut self) {
        if let Some(questions) = &mut self.questions {
            questions.forget_states();
        }
    }

    /// A new session is begun under the same key. Calls in flight that were not refused are lost with the old one.
    pub(super) fn restart_session(&mut self) {
        self.counters.sessions_reset += 1;
        self.sent.forget();
        if let Some(questions) = &mut self.questions {
            questions.forget_session();
        }
        if let Some(calls) = &mut self.calls {
            calls.forget_quick_acks();
        }
    }

    /// Leaves all sessions but these. No server can be asked about calls that were sent in the others.
    pub(super) fn leave_sessions_but(&mut self, sessions: [Option<Generation>; 2]) {
        self.leave(Evidence::None, |sent| !sessions.contains(&Some(sent.generation)));
    }

    /// The server began a session anew: it does not know the messages before `first_known` (SEC-91).
    pub(super) fn on_session_begun(&mut self, generation: Generation, first_known: MsgId) {
        self.leave(Evidence::NotReceived, |sent| {
            sent.generation == generation && sent.header.msg_id < first_known
        });
    }

    fn leave(&mut self, evidence: Evidence, is_lost: impl Fn(&SentAs) -> bool) {
        if let Some(calls) = &mut self.calls {
            calls.on_session_left(calls.in_flight(is_lost), evidence, &mut self.events);
        }
    }

    /// Sends calls again that went out behind `refused`, with ids later than the server can have accepted since.
    ///
    /// Those in front of it may have been accepted, whatever their ids: the server's clock may have been set back behind them.
    pub(super) fn resend_ahead_of(&mut self, refused: MsgId, latest: UnixTime) {
        if let Some(calls) = &mut self.calls {
            let is_refused = |sent: &SentAs| {
                let msg_id = sent.header.msg_id;
                msg_id > refused && msg_id.time() > latest && !sent.reused_id
            };
            let refused = calls.in_flight(is_refused);
            calls.requeue(&refused, &mut self.events);
        }
    }
}

/// States of messages.
impl Exchange {
    /// Asks about everything uncertain, before anything of it is sent again (SEC-107).
    pub(super) fn ask_about_uncertain(&mut self, now: MonoTime, patience: Duration) {
        let Some(calls) = &mut self.calls else {
            return;
        };
        let uncertain = calls.uncertain();
        if uncertain.is_empty() {
            return;
        }
        let questions = self.questions.get_or_insert_default();
        for (call, msg_id) in uncertain {
            questions.ask(msg_id);
            // The question, or what it says of this call, may be lost.
            calls.watch(call, msg_id, now + patience);
        }
        questions.prune(&self.sent, calls);
    }

    /// Asks about calls that went unanswered for long, and again if the last question went unanswered.
    pub(super) fn ask_about_unanswered(&mut self, now: MonoTime, patience: Duration, askable: Askable) {
        let Some(calls) = &mut self.calls else {
            return;
        };
        if let Some(questions) = &mut self.questions
            && questions.patience_ends(patience).is_some_and(|at| at <= now)
        {
            questions.ask_again();
        }
        let mut lost = Vec::new();
        while let Some((call, msg_id)) = calls.pop_unanswered(now) {
            let Some(sent) = calls.get(call).and_then(Slot::in_flight) else {
                continue;
            };
            if Some(sent.generation) == askable.current {
                self.questions.get_or_insert_default().ask(msg_id);
            } else if askable.is_former_lost && sent.receipt != Receipt::Confirmed {
                lost.push(call);
                continue;
            }
            calls.watch(call, msg_id, now + patience);
        }
        calls.on_session_left(lost, Evidence::None, &mut self.events);
        if let Some(questions) = &mut self.questions {
            questions.prune(&self.sent, calls);
        }
    }

    /// The question about states was lost.
    pub(super) fn ask_states_again(&mut self) {
        if let (Some(questions), Some(calls)) = (&mut self.questions, &self.calls) {
            questions.ask_again();
            questions.prune(&self.sent, calls);
        }
    }

    /// `msgs_state_info`: the answer to our question, one status for each id (SEC-104).
    pub(super) fn on_state_info(&mut self, rules: &StatusRules, req_msg_id: MsgId, info: &[u8]) {
        let questions = self.questions.as_deref_mut();
        let Some(asked) = questions.and_then(|questions| questions.take_asked(req_msg_id, info.len())) else {
            self.counters.refused.count(Rule::new(104));
            return;
        };
        self.on_statuses(rules, asked.iter().copied().zip(info.iter().copied().map(Status)));
        if let Some(questions) = &mut self.questions {
            questions.return_asked(asked);
        }
    }

    /// `msgs_all_info`: the same, unasked.
    pub(super) fn on_all_info(&mut self, rules: &StatusRules, ids: Ids<'_>, info: &[u8]) {
        if ids.len() != info.len() || ids.len() > MAX_IDS_PER_LIST {
            self.counters.refused.count(Rule::new(104));
            return;
        }
        self.on_statuses(rules, ids.iter().zip(info.iter().copied().map(Status)));
    }

    fn on_statuses(&mut self, rules: &StatusRules, statuses: impl Iterator<Item = (MsgId, Status)>) {
        let Some(calls) = &mut self.calls else {
            return;
        };
        let of_calls = statuses.filter_map(|(msg_id, status)| match self.sent.get(msg_id)?.kind {
            SentKind::Call(call) => Some((call, msg_id, status)),
            _ => None,
        });
        calls.on_statuses(of_calls, rules, &mut self.events);
    }

    /// `msg_resend_req`: the server does not have messages of ours. Calls are sent again; if one of the messages is
    /// unknown, the server is sent what is known of them all instead (SEC-105).
    pub(super) fn on_resend_req(&mut self, rules: &StatusRules, req_msg_id: MsgId, ids: Ids<'_>) {
        if ids.len() > MAX_IDS_PER_LIST {
            self.counters.refused.count(Rule::new(103));
            return;
        }
        let is_known = |id: MsgId| match self.sent.get(id).map(|sent| sent.kind) {
            Some(SentKind::Call(call)) => {
                self.calls.as_deref().is_some_and(|calls| calls.is_in_flight_as(call, id))
            }
            _ => false,
        };
        if ids.iter().all(is_known) {
            return self.on_statuses(rules, ids.iter().map(|id| (id, Status(Status::NOT_RECEIVED))));
        }
        self.counters.refused.count(Rule::new(105));
        let info = questions::sent_statuses(&self.sent, ids.iter());
        self.reply(Reply::StateInfo { req_msg_id, info });
    }
}

/// Complaints about messages.
impl Exchange {
    /// Lists what a complaint about a message is about: the message, and what travelled in it, in the order sent.
    pub(super) fn hit_by(&self, sent: Sent) -> Vec<Sent> {
        let mut hit: Vec<Sent> = self.sent.members(sent.msg_id).collect();
        hit.reverse();
        hit.push(sent);
        hit
    }

    /// Sends calls again that the server certainly refused.
    pub(super) fn resend_calls(&mut self, hit: &[Sent], code: BadMsgCode, limit: u8) {
        let Some(calls) = &mut self.calls else {
            return;
        };
        let failure = if complaints::is_about_circumstances(code) {
            CallFailure::TooManyAttempts
        } else {
            CallFailure::Refused { code }
        };
        let mut again = Vec::new();
        for sent in hit {
            let SentKind::Call(call) = sent.kind else { continue };
            let Some(slot) = calls.get(call).filter(|slot| slot.is_in_flight_as(sent.msg_id)) else {
                continue;
            };
            if slot.in_flight().is_some_and(|sent| sent.reused_id) {
                // The complaint may be about an earlier frame with the id: its state will be asked for.
            } else if slot.attempts >= limit {
                calls.fail(call, failure, &mut self.events);
            } else {
                again.push(call);
            }
        }
        calls.requeue(&again, &mut self.events);
    }

    /// Parts the calls of a container that the server could not read.
    pub(super) fn send_alone(&mut self, hit: &[Sent]) {
        let Some(calls) = &mut self.calls else {
            return;
        };
        for sent in hit {
            if let SentKind::Call(call) = sent.kind
                && let Some(slot) = calls.get_mut(call)
            {
                slot.alone = true;
            }
        }
    }

    /// Fails those calls of a list that `is_meant` accepts with the id in the list, and removes them from it.
    pub(super) fn fail_hit(
        &mut self,
        hit: &mut Vec<Sent>,
        is_meant: impl Fn(&Slot, MsgId) -> bool,
        failure: CallFailure,
    ) {
        let Some(calls) = &mut self.calls else {
            return;
        };
        hit.retain(|sent| match sent.kind {
            SentKind::Call(call) if calls.get(call).is_some_and(|slot| is_meant(slot, sent.msg_id)) => {
                calls.fail(call, failure, &mut self.events);
                false
            }
            _ => true,
        });
    }
}

/// Memory.
impl Exchange {
    /// Drops notes about messages sent before `oldest`, and all but the last `services` service messages of those that
    /// are left.
    pub(super) fn drop_old_notes(&mut self, oldest: UnixTime, services: usize) {
        let calls = self.calls.as_deref();
        let is_pending = |call| calls.is_some_and(|calls| calls.get(call).is_some());
        self.sent.drop_old(oldest, services, is_pending);
    }

    /// Returns whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.pending() == 0 && self.questions.as_deref().is_none_or(Questions::is_idle)
    }

    /// Gives back the memory of an idle session, but for the notes of messages sent since `oldest`.
    pub(super) fn release(&mut self, oldest: UnixTime) {
        (self.calls, self.questions) = (None, None);
        self.drop_old_notes(oldest, 0);
        self.sent.release();
        self.outstanding.release();
        self.events.release();
    }
}
