//! What to do when something went wrong: complaints of the server, new sessions, lost answers.
//!
//! A call is never sent again alone under its old id (SEC-106): it gets a new one, or, if the server says
//! that it has not received it, goes under the old one in a container, so that the server executes it once
//! even if the first one is still on its way. Whether it may be
//! sent again at all when nobody knows what became of it is [`Repeat`]'s to say (SEC-107).

use alloc::vec::Vec;
use core::time::Duration;

use chappe_framing::{MsgId, MsgIdGenerator, ServerSalt};
use chappe_tl::{Identifiable, Serializable, Sink};
use chappe_tl_mtproto::types;

use super::epoch::SaltsAsked;
use super::outbox::{CallId, Repeat, Stage};
use super::receive::Origin;
use super::sent::{Sent, What};
use super::transmit::Under;
use super::{CallFailure, ClientSession, Event, ReconnectReason, is_sent};
use crate::MAX_IDS_PER_LIST;
use crate::clock::ClockChange;
use crate::service::{BadMsg, Ids, Status};
use crate::time::Now;
use crate::window::Seen;

/// Complaints in a row after which the connection is given up.
const MAX_COMPLAINTS: u8 = 64;

/// How far ahead of the server's clock the last id may be after the clock was set back; above it the
/// server would refuse every further id, so a new session is begun at once.
const MAX_AHEAD: Duration = Duration::from_secs(20);

impl ClientSession {
    /// `bad_msg_notification` and `bad_server_salt`; believed only about recent messages (SEC-82).
    pub(super) fn on_bad_msg(&mut self, origin: Origin, notification: MsgId, bad: BadMsg) {
        let Some(sent) = self.sent.get(bad.bad_msg_id).copied() else {
            self.counters.refused.count(82);
            return;
        };
        let now = origin.now;
        let mut hit: Vec<Sent> = self.sent.members(sent.msg_id).copied().collect();
        hit.reverse();
        hit.push(sent);
        match bad.code {
            48 => {
                let (Some(salt), seconds) = (bad.new_salt, self.clock.seconds(now.mono)) else {
                    return;
                };
                if let Some(epoch) = self.epoch(origin.under) {
                    epoch.salts.supersede(salt, seconds);
                }
                let change = self.clock.observe_answer(now.mono, notification, sent.msg_id);
                self.note_clock(now, change);
                self.send_again(&hit, bad.code);
            }
            16 => {
                let change = self.clock.reset(now.mono, notification);
                self.note_clock(now, change);
                self.send_again(&hit, bad.code);
                if self.ids_run_ahead(now) {
                    self.begin_session(now, bad.code, origin.under);
                }
            }
            17 => {
                let change = self.clock.reset(now.mono, notification);
                self.note_clock(now, change);
                self.send_again(&hit, bad.code);
                self.begin_session(now, bad.code, origin.under);
            }
            20 => self.send_again_if_allowed(&hit),
            64 => {
                for member in &hit {
                    if let What::Call(call) = member.what
                        && let Some(slot) = self.outbox.get_mut(call)
                    {
                        slot.alone = true;
                    }
                }
                self.send_again(&hit, bad.code);
            }
            // The messages of the first container under the id may have been executed.
            19 => self.begin_session(now, bad.code, origin.under),
            18 | 32..=35 => {
                self.send_again(&hit, bad.code);
                self.begin_session(now, bad.code, origin.under);
            }
            code => {
                for member in &hit {
                    if let What::Call(call) = member.what {
                        self.fail(call, CallFailure::Refused { code });
                    }
                }
                self.events.plain(Event::Reconnect(ReconnectReason::Refused));
            }
        }
        self.count_complaint();
    }

    /// Breaks a loop of complaints that no new session ended (SEC-86).
    fn count_complaint(&mut self) {
        self.complaints = self.complaints.saturating_add(1);
        if self.complaints >= MAX_COMPLAINTS {
            self.complaints = 0;
            self.fail_all(CallFailure::SessionRefused);
            self.events.plain(Event::Reconnect(ReconnectReason::Refused));
        }
    }

    fn ids_run_ahead(&self, now: Now) -> bool {
        let limit = self.clock.at(now.mono).saturating_add(MAX_AHEAD);
        self.ids.last().is_some_and(|last| last.time() > limit)
    }

    /// Sends messages again that the server certainly refused.
    fn send_again(&mut self, hit: &[Sent], code: i32) {
        let attempts = self.config.limits.attempts;
        let mut calls = Vec::new();
        for sent in hit {
            match sent.what {
                // The complaint may be about an earlier frame with it than the last: its state will be asked for.
                What::Call(call) if self.outbox.get(call).is_some_and(|slot| slot.kept_id) => {}
                What::Call(call) if self.is_latest(call, sent.msg_id) => {
                    if self.outbox.get(call).is_some_and(|slot| slot.attempts >= attempts) {
                        let failure = if matches!(code, 48 | 16 | 17) {
                            CallFailure::TooManyAttempts
                        } else {
                            CallFailure::Refused { code }
                        };
                        self.fail_or_rebind(call, failure);
                    } else {
                        calls.push(call);
                    }
                }
                what => self.ask_again(what),
            }
        }
        self.outbox.requeue(calls.into_iter());
    }

    /// Code 20: the server cannot tell whether it received the message (SEC-107).
    fn send_again_if_allowed(&mut self, hit: &[Sent]) {
        let mut allowed = Vec::new();
        for sent in hit {
            match sent.what {
                What::Call(call)
                    if self.outbox.get(call).is_some_and(|slot| slot.repeat == Repeat::Never) =>
                {
                    self.fail(call, CallFailure::Uncertain);
                }
                _ => allowed.push(*sent),
            }
        }
        self.send_again(&allowed, 20);
    }

    fn is_latest(&self, call: CallId, msg_id: MsgId) -> bool {
        self.outbox.get(call).is_some_and(|slot| slot.msg_id == msg_id && is_sent(slot.stage))
    }

    /// A service message was refused or lost: it is wanted again.
    fn ask_again(&mut self, what: What) {
        match what {
            What::FutureSalts => {
                if let Some(epoch) = self.current.as_mut() {
                    epoch.salts_asked = SaltsAsked::Never;
                }
            }
            What::StateReq => {
                self.service.asked_as = None;
                let asked = core::mem::take(&mut self.service.asked);
                self.service.ask.extend_from_slice(&asked);
                self.service.asked = asked;
                self.bound_questions();
            }
            What::Ping => self.live.on_ping_lost(),
            What::DropAnswer(call) => self.drop_answer(call),
            What::DestroySession(session_id) => self.destroy_session(session_id),
            What::DestroyAuthKey => self.service.destroy_key = true,
            What::Call(_) | What::Container | What::Acks | What::ResendReq | What::Other => {}
        }
    }

    /// Begins a new session: everything unanswered is sent again there, unless it may not be.
    fn begin_session(&mut self, now: Now, code: i32, under: Under) {
        if under == Under::Previous {
            // Its session is of no use any more, and neither is the key: nothing new goes there.
            self.previous = None;
            return;
        }
        self.resets = self.resets.saturating_add(1);
        self.counters.sessions_reset += 1;
        if matches!(code, 17 | 16) {
            // The ids were too high; lower ones are allowed in a new session and only there.
            self.ids = MsgIdGenerator::new();
        }
        if let Some(epoch) = self.current.as_mut() {
            epoch.retire_session();
        }
        self.sent.clear();
        self.era = self.era.wrapping_add(1);
        self.service.forget_questions();
        self.service.resend.clear();
        self.service.replies.clear();
        self.service.drop.clear();
        self.quick_acks.clear();
        self.live.on_connected(now.mono);
        self.previous = None;
        if self.resets > self.config.limits.session_resets {
            self.resets = 0;
            self.fail_all(CallFailure::SessionRefused);
            self.events.plain(Event::Reconnect(ReconnectReason::Refused));
            return;
        }
        let mut calls = self.sent_calls();
        calls.retain(|call| {
            let slot = self.outbox.get(*call);
            let may_repeat = slot.is_some_and(|slot| slot.repeat != Repeat::Never);
            if !may_repeat {
                self.fail_later(*call);
            }
            may_repeat
        });
        self.outbox.requeue(calls.into_iter());
    }

    /// Ends a call whose fate nobody knows.
    fn fail_later(&mut self, call: CallId) {
        self.fail(call, CallFailure::Uncertain);
    }

    /// Ends a call, or, if it is the binding of a key, has the key replaced.
    fn fail_or_rebind(&mut self, call: CallId, failure: CallFailure) {
        let is_binding = self.outbox.get(call).is_some_and(|slot| slot.is_binding);
        self.fail(call, failure);
        if is_binding {
            self.drop_temporary_key();
        }
    }

    /// Calls under way, in the order they were last sent.
    fn sent_calls(&self) -> Vec<CallId> {
        let mut calls: Vec<(MsgId, CallId)> = self
            .outbox
            .iter()
            .filter(|(_, slot)| is_sent(slot.stage))
            .map(|(call, slot)| (slot.msg_id, call))
            .collect();
        calls.sort_unstable();
        calls.into_iter().map(|(_, call)| call).collect()
    }

    /// `new_session_created`: what was sent before its first message is unknown to the server (SEC-91).
    pub(super) fn on_new_session(
        &mut self,
        origin: Origin,
        first_msg_id: MsgId,
        unique_id: i64,
        salt: ServerSalt,
    ) {
        let seconds = self.clock.seconds(origin.now.mono);
        let is_recent = self.sent.get(first_msg_id).is_some();
        let Some(epoch) = self.epoch(origin.under) else {
            return;
        };
        if !epoch.is_new_announcement(unique_id) {
            self.counters.refused.count(91);
            return;
        }
        // A salt is taken only from what refers to a recent message of ours (SEC-89).
        if is_recent && epoch.salts.as_slice().first().is_none_or(|current| current.salt != salt) {
            epoch.salts.supersede(salt, seconds);
        }
        let lost = |call: &CallId| {
            let Some(slot) = self.outbox.get(*call) else {
                return false;
            };
            let envelope = self.sent.get(slot.msg_id).map_or(slot.msg_id, |sent| sent.envelope);
            envelope < first_msg_id
        };
        let calls: Vec<CallId> = self.sent_calls().into_iter().filter(lost).collect();
        self.repeat_or_fail(calls);
        self.events.plain(Event::UpdatesMayBeMissing);
    }

    /// Sends calls again that the server does not know, except those that may not be: it may have forgotten them.
    fn repeat_or_fail(&mut self, calls: Vec<CallId>) {
        let (never, again): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .partition(|call| self.outbox.get(*call).is_some_and(|slot| slot.repeat == Repeat::Never));
        for call in never {
            self.fail(call, CallFailure::Uncertain);
        }
        self.outbox.requeue(again.into_iter());
    }

    /// The connection is gone: nobody knows what arrived.
    pub(super) fn doubt_what_was_sent(&mut self) {
        let mut again = Vec::new();
        for call in self.sent_calls() {
            let Some(slot) = self.outbox.get(call) else { continue };
            if slot.repeat == Repeat::Freely && slot.stage != Stage::Acked {
                again.push(call);
            } else if slot.is_binding {
                // The key it was for may be another one by now; if not, binding twice does no harm.
                again.push(call);
            } else {
                self.outbox.set_stage(call, Stage::Uncertain);
            }
        }
        self.outbox.requeue(again.into_iter());
    }

    /// Asks about everything uncertain, before anything of it is sent again (SEC-107).
    pub(super) fn ask_about_uncertain(&mut self) {
        self.give_up_on_former_sessions();
        for call in self.sent_calls() {
            if let Some(slot) = self.outbox.get(call).filter(|slot| slot.stage == Stage::Uncertain) {
                self.service.ask.push(slot.msg_id);
            }
        }
        self.bound_questions();
    }

    /// Calls sent in a session that is no more: there is nobody to ask about them.
    pub(super) fn give_up_on_former_sessions(&mut self) {
        let mut calls = self.sent_calls();
        calls.retain(|call| self.outbox.get(*call).is_some_and(|slot| slot.era != self.era));
        self.repeat_or_fail(calls);
    }

    /// Asks about calls that went unanswered for long, and again if the last question went unanswered.
    pub(super) fn ask_about_unacknowledged(&mut self, now: Now) {
        let patience = self.config.limits.ask_state_after;
        if self.service.asked_as.is_some_and(|(_, at)| at + patience <= now.mono) {
            self.ask_again(What::StateReq);
        }
        while let Some((call, msg_id)) = self.outbox.pop_unwatched(now.mono) {
            if self.outbox.get(call).is_some_and(|slot| slot.era == self.era) {
                self.service.ask.push(msg_id);
            }
            self.outbox.watch(call, msg_id, now.mono + patience);
        }
        self.bound_questions();
    }

    /// Keeps only questions about calls that still wait, each once.
    fn bound_questions(&mut self) {
        let mut ask = core::mem::take(&mut self.service.ask);
        ask.sort_unstable();
        ask.dedup();
        ask.retain(|msg_id| match self.sent.get(*msg_id).map(|sent| sent.what) {
            Some(What::Call(call)) => self.is_latest(call, *msg_id),
            _ => false,
        });
        self.service.ask = ask;
    }

    /// `msgs_state_info`: the answer to our question, one status for each id (SEC-104).
    pub(super) fn on_state_info(&mut self, origin: Origin, req_msg_id: MsgId, info: &[u8]) {
        let is_answer = self.service.asked_as.is_some_and(|(asked_as, _)| asked_as == req_msg_id);
        if !is_answer || info.len() != self.service.asked.len() {
            self.counters.refused.count(104);
            return;
        }
        self.service.asked_as = None;
        let asked = core::mem::take(&mut self.service.asked);
        self.on_statuses(origin, asked.iter().copied().zip(info.iter().map(|status| Status(*status))));
        self.service.asked = asked;
    }

    /// `msgs_all_info`: the same, unasked.
    pub(super) fn on_all_info(&mut self, origin: Origin, ids: Ids<'_>, info: &[u8]) {
        if ids.len() != info.len() || ids.len() > MAX_IDS_PER_LIST {
            self.counters.refused.count(104);
            return;
        }
        self.on_statuses(origin, ids.iter().zip(info.iter().map(|status| Status(*status))));
    }

    fn on_statuses(&mut self, origin: Origin, statuses: impl Iterator<Item = (MsgId, Status)>) {
        let ask_at = origin.now.mono + self.config.limits.ask_state_after;
        let mut missing = Vec::new();
        for (msg_id, status) in statuses {
            let Some(What::Call(call)) = self.sent.get(msg_id).map(|sent| sent.what) else { continue };
            if !self.is_latest(call, msg_id) {
                continue;
            }
            if status.is_received() {
                self.mark_acked(call, msg_id);
                self.outbox.watch(call, msg_id, ask_at);
            } else if status.is_missing() {
                missing.push((msg_id, call, status));
            }
        }
        missing.sort_unstable_by_key(|entry| entry.0);
        let mut again = Vec::new();
        for (_, call, status) in missing {
            let Some(slot) = self.outbox.get(call) else { continue };
            let was_forgotten = status.0 & 7 == Status::UNKNOWN;
            if slot.repeat == Repeat::Never && was_forgotten {
                self.fail(call, CallFailure::Uncertain);
            } else if slot.attempts >= self.config.limits.attempts {
                self.fail_or_rebind(call, CallFailure::TooManyAttempts);
            } else {
                let keeps_id = !was_forgotten && slot.era == self.era && !slot.is_binding;
                if let Some(slot) = self.outbox.get_mut(call) {
                    slot.keeps_id = keeps_id;
                }
                again.push(call);
            }
        }
        self.outbox.requeue(again.into_iter());
    }

    /// `msg_detailed_info`: an answer waits at the server. Fetch it, or acknowledge it if it came already or
    /// nobody wants it any more.
    pub(super) fn on_detailed_info(
        &mut self,
        origin: Origin,
        msg_id: Option<MsgId>,
        answer: MsgId,
        _status: Status,
    ) {
        if !answer.origin().is_some_and(chappe_framing::MsgOrigin::is_server) {
            return;
        }
        let call = msg_id.and_then(|msg_id| match self.sent.get(msg_id)?.what {
            What::Call(call) => Some(call),
            _ => None,
        });
        let is_wanted = call.map_or(msg_id.is_none(), |call| self.outbox.get(call).is_some());
        let limits = self.config.limits.clone();
        let Some(epoch) = self.epoch(origin.under) else {
            return;
        };
        let has_come = epoch.window.check(answer) != Seen::Fresh;
        if has_come || !is_wanted {
            epoch.owe_ack(answer, origin.now.mono, &limits);
            return;
        }
        if let (Some(call), Some(msg_id)) = (call, msg_id) {
            self.mark_acked(call, msg_id);
        }
        let resend = &mut self.service.resend;
        if resend.len() < MAX_IDS_PER_LIST && !resend.contains(&answer) {
            resend.push(answer);
        }
    }

    /// `msgs_state_req`: the server asks what arrived of its own messages.
    pub(super) fn on_state_req(&mut self, origin: Origin, msg_id: MsgId, ids: Ids<'_>) {
        if ids.len() > MAX_IDS_PER_LIST {
            self.counters.refused.count(103);
            return;
        }
        let Some(epoch) = self.epoch(origin.under) else {
            return;
        };
        let window = &epoch.window;
        let status = |id: MsgId| {
            if window.check(id) == Seen::Duplicate {
                return Status::RECEIVED;
            }
            match (window.lowest(), window.highest()) {
                (Some(lowest), _) if id < lowest => Status::UNKNOWN,
                (_, Some(highest)) if id > highest => Status::NOT_RECEIVED_HIGH,
                (None, _) => Status::UNKNOWN,
                _ => Status::NOT_RECEIVED,
            }
        };
        let info: Vec<u8> = ids.iter().map(status).collect();
        self.tell_states(msg_id, &info);
    }

    fn tell_states(&mut self, req_msg_id: MsgId, info: &Vec<u8>) {
        let mut reply = Vec::with_capacity(16 + info.len());
        reply.put_u32(types::MsgsStateInfo::CONSTRUCTOR_ID);
        reply.put(&req_msg_id.to_bytes());
        // Cannot fail: the list is far shorter than a TL string may be.
        let _ = info.serialize(&mut reply);
        self.reply(reply);
    }

    /// `msg_resend_req`: the server wants messages of ours again. Calls are sent again under new ids; if one is
    /// unknown, the server is told what is known of them all instead (SEC-105).
    pub(super) fn on_resend_req(&mut self, _origin: Origin, msg_id: MsgId, ids: Ids<'_>) {
        if ids.len() > MAX_IDS_PER_LIST {
            self.counters.refused.count(103);
            return;
        }
        let call_of = |id: MsgId| match self.sent.get(id)?.what {
            What::Call(call) if self.is_latest(call, id) => Some(call),
            _ => None,
        };
        let calls: Option<Vec<CallId>> = ids.iter().map(call_of).collect();
        if let Some(calls) = calls {
            self.outbox.requeue(calls.into_iter());
            return;
        }
        self.counters.refused.count(105);
        let info: Vec<u8> = ids
            .iter()
            .map(|id| if self.sent.get(id).is_some() { Status::RECEIVED } else { Status::UNKNOWN })
            .collect();
        self.tell_states(msg_id, &info);
    }

    /// Begins a new session if the clock was set back so far that the server would refuse our ids.
    pub(super) fn note_clock(&mut self, now: Now, change: ClockChange) {
        if change == ClockChange::None {
            return;
        }
        self.counters.clock_corrections += 1;
        let offset_seconds = self.clock.offset_seconds(now);
        self.events.plain(Event::TimeCorrected { offset_seconds });
    }
}
