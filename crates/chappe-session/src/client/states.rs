//! States of messages: asked for and told, in both directions; answers announced and fetched.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#request-for-message-status-information>.

use alloc::vec::Vec;

use chappe_framing::MsgId;
use chappe_tl::{Identifiable, Serializable, Sink};
use chappe_tl_mtproto::types;
use chappe_types::Rule;

use super::call::{CallId, Repeat};
use super::receive::Origin;
use super::sent::What;
use super::{CallFailure, ClientSession};
use crate::MAX_IDS_PER_LIST;
use crate::service::{Ids, Status};
use crate::time::Now;
use crate::window::Seen;

impl ClientSession {
    /// Asks about calls that went unanswered for long, and again if the last question went unanswered.
    pub(super) fn ask_about_unacknowledged(&mut self, now: Now) {
        let patience = self.config.limits.ask_state_after;
        if self.service.asked_as.is_some_and(|(_, at)| at + patience <= now.mono) {
            self.ask_states_again();
        }
        while let Some((call, msg_id)) =
            self.outbox.present_mut().and_then(|outbox| outbox.pop_unwatched(now.mono))
        {
            if self.outbox.get(call).is_some_and(|slot| slot.era == self.era) {
                self.service.ask.push(msg_id);
            }
            self.outbox.watch(call, msg_id, now.mono + patience);
        }
        self.bound_questions();
    }

    /// Keeps only questions about calls that still wait, each once.
    pub(super) fn bound_questions(&mut self) {
        if self.service.ask.is_empty() {
            return;
        }
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
            self.counters.refused.count(Rule::new(104));
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
            self.counters.refused.count(Rule::new(104));
            return;
        }
        self.on_statuses(origin, ids.iter().zip(info.iter().map(|status| Status(*status))));
    }

    pub(super) fn on_statuses(&mut self, origin: Origin, statuses: impl Iterator<Item = (MsgId, Status)>) {
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
        self.requeue(&again);
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
        let patience = (self.config.limits.ack_delay, self.config.limits.acks);
        let Some(epoch) = self.epoch(origin.under) else {
            return;
        };
        let has_come = epoch.window.check(answer) != Seen::Fresh;
        if has_come || !is_wanted {
            epoch.acks.push(answer, origin.now.mono, patience.0, patience.1);
            return;
        }
        if let (Some(call), Some(msg_id)) = (call, msg_id) {
            self.mark_acked(call, msg_id);
        }
        let resend = &mut self.service.resend;
        if resend.len() < MAX_IDS_PER_LIST {
            resend.insert(answer);
        }
    }

    /// `msgs_state_req`: the server asks what arrived of its own messages.
    pub(super) fn on_state_req(&mut self, origin: Origin, msg_id: MsgId, ids: Ids<'_>) {
        if ids.len() > MAX_IDS_PER_LIST {
            self.counters.refused.count(Rule::new(103));
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

    pub(super) fn tell_states(&mut self, req_msg_id: MsgId, info: &Vec<u8>) {
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
            self.counters.refused.count(Rule::new(103));
            return;
        }
        let call_of = |id: MsgId| match self.sent.get(id)?.what {
            What::Call(call) if self.is_latest(call, id) => Some(call),
            _ => None,
        };
        let calls: Option<Vec<CallId>> = ids.iter().map(call_of).collect();
        if let Some(calls) = calls {
            self.requeue(&calls);
            return;
        }
        self.counters.refused.count(Rule::new(105));
        let info: Vec<u8> = ids
            .iter()
            .map(|id| if self.sent.get(id).is_some() { Status::RECEIVED } else { Status::UNKNOWN })
            .collect();
        self.tell_states(msg_id, &info);
    }
}
