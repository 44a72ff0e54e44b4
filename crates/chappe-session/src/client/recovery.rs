//! What to do when something went wrong: complaints of the server, new sessions, lost answers.
//!
//! A call is never sent again alone under its old id (SEC-106): it gets a new one, or, if the server says
//! that it has not received it, goes under the old one in a container, so that the server executes it once
//! even if the first one is still on its way. Whether it may be
//! sent again at all when nobody knows what became of it is [`Repeat`]'s to say (SEC-107).

use alloc::vec::Vec;

use chappe_framing::{MsgId, ServerSalt};
use chappe_types::Rule;

use super::call::{CallId, Repeat, Slot, Stage};
use super::epoch::SaltsAsked;
use super::receive::Origin;
use super::sent::{Sent, What};
use super::{CallFailure, ClientSession, Event, is_sent};
use crate::clock::ClockChange;
use crate::time::Now;

impl ClientSession {
    /// Sends calls again, in the order given and before those not sent yet.
    pub(super) fn requeue(&mut self, calls: &[CallId]) {
        if !calls.is_empty() {
            self.outbox.requeue(calls.iter().copied());
        }
    }

    pub(super) fn is_latest(&self, call: CallId, msg_id: MsgId) -> bool {
        self.outbox.get(call).is_some_and(|slot| slot.msg_id == msg_id && is_sent(slot.stage))
    }

    /// A service message was refused or lost: it is wanted again.
    pub(super) fn ask_again(&mut self, sent: Sent) {
        match sent.what {
            What::FutureSalts => {
                if let Some(epoch) = self.current.as_mut() {
                    epoch.salts_asked = SaltsAsked::Never;
                }
            }
            What::StateReq => self.ask_states_again(),
            What::Ping => self.live.on_ping_lost(),
            What::DropAnswer(call) => self.drop_answer(call),
            What::DestroySession => {
                let asked = self.service.destroying.iter().find(|entry| entry.0 == sent.msg_id);
                if let Some((_, session_id)) = asked.copied() {
                    self.destroy_session(session_id);
                }
            }
            What::DestroyAuthKey => self.service.destroy_key = true,
            What::Call(_) | What::Container | What::Acks | What::ResendReq | What::Other => {}
        }
    }

    /// The question about states was lost: it is asked again, as far as it still matters.
    pub(super) fn ask_states_again(&mut self) {
        let service = &mut *self.service;
        service.asked_as = None;
        service.ask.extend_from_slice(&service.asked);
        self.bound_questions();
    }

    /// Ends a call, or, if it is the binding of a key, has the key replaced.
    pub(super) fn fail_or_rebind(&mut self, call: CallId, failure: CallFailure) {
        let is_binding = self.outbox.get(call).is_some_and(|slot| slot.is_binding);
        self.fail(call, failure);
        if is_binding {
            self.drop_temporary_key();
        }
    }

    /// Those calls under way that `is_meant`, in the order they were last sent.
    pub(super) fn sent_calls(&self, is_meant: impl Fn(&Slot) -> bool) -> Vec<CallId> {
        let mut calls: Vec<(MsgId, CallId)> = self
            .outbox
            .iter()
            .filter(|(_, slot)| is_sent(slot.stage) && is_meant(slot))
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
            self.counters.refused.count(Rule::new(91));
            return;
        }
        // A salt is taken only from what refers to a recent message of ours (SEC-89).
        if is_recent && epoch.salts.as_slice().first().is_none_or(|current| current.salt != salt) {
            epoch.salts.supersede(salt, seconds);
        }
        // What was in a frame before that of the first message is lost.
        let first_known = self.sent.first_in_frames_from(first_msg_id);
        self.repeat_or_fail(self.sent_calls(|slot| slot.msg_id < first_known));
        self.events.plain(Event::UpdatesMayBeMissing);
    }

    /// Sends calls again that the server does not know, except those that may not be: it may have forgotten them.
    pub(super) fn repeat_or_fail(&mut self, calls: Vec<CallId>) {
        let (never, again): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .partition(|call| self.outbox.get(*call).is_some_and(|slot| slot.repeat == Repeat::Never));
        for call in never {
            self.fail(call, CallFailure::Uncertain);
        }
        self.requeue(&again);
    }

    /// The connection is gone: nobody knows what arrived.
    pub(super) fn doubt_what_was_sent(&mut self) {
        let mut again = Vec::new();
        for call in self.sent_calls(|_| true) {
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
        self.requeue(&again);
    }

    /// Asks about everything uncertain, before anything of it is sent again (SEC-107).
    pub(super) fn ask_about_uncertain(&mut self) {
        self.give_up_on_former_sessions();
        let uncertain = self.sent_calls(|slot| slot.stage == Stage::Uncertain);
        for slot in uncertain.iter().filter_map(|call| self.outbox.get(*call)) {
            self.service.ask.push(slot.msg_id);
        }
        self.bound_questions();
    }

    /// Calls sent in a session that is no more: there is nobody to ask about them.
    pub(super) fn give_up_on_former_sessions(&mut self) {
        self.repeat_or_fail(self.sent_calls(|slot| slot.era != self.era));
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
