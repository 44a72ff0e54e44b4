//! What is asked of the server besides calls, and what is answered to it.
//!
//! States of messages, answers to be sent again, answers to be dropped, sessions and keys to be destroyed. All lists
//! are bounded; what exceeds a bound is left out, which costs a repetition and nothing else.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages>.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use chappe_framing::{FrameBuf, MsgId, SessionId};
use chappe_tl_mtproto::types;

use super::calls::{CallId, Calls, Slot};
use super::sent::{SentKind, SentLog};
use crate::MAX_IDS_PER_LIST;
use crate::service::{Status, write_object};
use crate::time::MonoTime;

/// Most service messages of one kind that wait: a server that asks without end does not fill the memory.
const QUEUE: usize = 64;

/// Most service messages of one kind that go into one packet.
const AT_ONCE: usize = 8;

/// Questions and answers that wait to be sent, and questions whose answers are awaited.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Messages whose state must be asked for.
    unasked: Vec<MsgId>,
    /// The messages that were asked about, in order.
    asked: Vec<MsgId>,
    /// Under which id and when they were asked about.
    asked_as: Option<(MsgId, MonoTime)>,
    /// Answers that the server is asked to send again.
    resend: BTreeSet<MsgId>,
    /// Answers that the server is asked to drop.
    drops: VecDeque<(CallId, MsgId)>,
    /// Answers to questions of the server.
    replies: VecDeque<Reply>,
    destroy_sessions: VecDeque<SessionId>,
    /// Sessions whose destruction was requested, and under which id.
    destroying: VecDeque<(MsgId, SessionId)>,
    destroy_key: bool,
    /// A packet is wanted even if it carries only `http_wait`.
    http_wait: bool,
}

/// An answer to a question of the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Pong { msg_id: MsgId, ping_id: i64 },
    StateInfo { req_msg_id: MsgId, info: Vec<u8> },
}

/// How many service messages of each kind go into a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QuestionPlan {
    pub(super) state_req: bool,
    pub(super) resend_req: bool,
    pub(super) destroy_key: bool,
    pub(super) drops: usize,
    pub(super) replies: usize,
    pub(super) destroy_sessions: usize,
}

impl QuestionPlan {
    /// Returns the number of messages.
    pub(super) fn messages(&self) -> usize {
        let single = [self.state_req, self.resend_req, self.destroy_key];
        single.into_iter().filter(|is_there| *is_there).count()
            + self.drops
            + self.replies
            + self.destroy_sessions
    }
}

/// Asking.
impl Questions {
    /// Schedules a question about a message.
    pub(super) fn ask(&mut self, msg_id: MsgId) {
        self.unasked.push(msg_id);
    }

    /// Keeps only questions about calls that still wait, each once.
    pub(super) fn prune(&mut self, sent: &SentLog, calls: &Calls) {
        if self.unasked.is_empty() {
            return;
        }
        self.unasked.sort_unstable();
        self.unasked.dedup();
        self.unasked.retain(|msg_id| match sent.get(*msg_id).map(|sent| sent.kind) {
            Some(SentKind::Call(call)) => calls.is_in_flight_as(call, *msg_id),
            _ => false,
        });
    }

    /// The question about states was lost: it is asked again.
    pub(super) fn ask_again(&mut self) {
        self.asked_as = None;
        self.unasked.extend_from_slice(&self.asked);
    }

    /// Returns when the question about states is asked again, for want of an answer.
    pub(super) fn patience_ends(&self, patience: Duration) -> Option<MonoTime> {
        self.asked_as.map(|(_, at)| at + patience)
    }

    /// Takes the list that a state info answers; `None` if it answers nothing that was asked (SEC-104).
    ///
    /// The caller gives the list back with [`Questions::return_asked`], so that its memory is used again.
    pub(super) fn take_asked(&mut self, req_msg_id: MsgId, count: usize) -> Option<Vec<MsgId>> {
        let is_answer = self.asked_as.is_some_and(|(asked_as, _)| asked_as == req_msg_id);
        if !is_answer || count != self.asked.len() {
            return None;
        }
        self.asked_as = None;
        Some(core::mem::take(&mut self.asked))
    }

    pub(super) fn return_asked(&mut self, asked: Vec<MsgId>) {
        self.asked = asked;
    }

    /// Schedules the request to send an answer again.
    pub(super) fn request_resend(&mut self, answer: MsgId) {
        if self.resend.len() < MAX_IDS_PER_LIST {
            self.resend.insert(answer);
        }
    }

    /// Schedules the request to drop the answer to a call that was sent.
    pub(super) fn drop_answer(&mut self, call: CallId, calls: &Calls) {
        let Some(msg_id) = calls.get(call).and_then(Slot::msg_id) else {
            return;
        };
        if self.drops.len() < QUEUE && !self.drops.contains(&(call, msg_id)) {
            self.drops.push_back((call, msg_id));
        }
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        if self.replies.len() < QUEUE {
            self.replies.push_back(reply);
        }
    }

    pub(super) fn destroy_session(&mut self, session_id: SessionId) {
        if self.destroy_sessions.len() < QUEUE {
            self.destroy_sessions.push_back(session_id);
        }
    }

    /// The request to destroy a session was lost: it is sent again.
    pub(super) fn destroy_session_again(&mut self, request: MsgId) {
        let asked = self.destroying.iter().find(|entry| entry.0 == request).copied();
        if let Some((_, session_id)) = asked {
            self.destroy_session(session_id);
        }
    }

    pub(super) fn on_session_destroyed(&mut self, session_id: SessionId) {
        self.destroying.retain(|entry| entry.1 != session_id);
    }

    pub(super) const fn destroy_key(&mut self) {
        self.destroy_key = true;
    }

    pub(super) const fn request_http_wait(&mut self) {
        self.http_wait = true;
    }
}

/// Sending.
impl Questions {
    /// Returns what goes into the next packet.
    #[inline]
    pub(super) fn plan(&self) -> QuestionPlan {
        QuestionPlan {
            // One question at a time: its answer is matched by position.
            state_req: !self.unasked.is_empty() && self.asked_as.is_none(),
            resend_req: !self.resend.is_empty(),
            destroy_key: self.destroy_key,
            drops: self.drops.len().min(AT_ONCE),
            replies: self.replies.len().min(AT_ONCE),
            destroy_sessions: self.destroy_sessions.len().min(AT_ONCE),
        }
    }

    pub(super) const fn wants_http_wait(&self) -> bool {
        self.http_wait
    }

    pub(super) const fn on_http_wait_sent(&mut self) {
        self.http_wait = false;
    }

    /// Moves the next messages to be asked about to the list of those asked, and returns it.
    pub(super) fn begin_state_req(&mut self, msg_id: MsgId, now: MonoTime) -> &[MsgId] {
        let count = self.unasked.len().min(MAX_IDS_PER_LIST);
        self.asked.clear();
        self.asked.extend(self.unasked.drain(..count));
        self.asked_as = Some((msg_id, now));
        &self.asked
    }

    pub(super) fn take_resend(&mut self) -> BTreeSet<MsgId> {
        core::mem::take(&mut self.resend)
    }

    pub(super) fn next_drop(&mut self) -> Option<(CallId, MsgId)> {
        self.drops.pop_front()
    }

    pub(super) fn next_reply(&mut self) -> Option<Reply> {
        self.replies.pop_front()
    }

    pub(super) fn next_session_to_destroy(&mut self) -> Option<SessionId> {
        self.destroy_sessions.pop_front()
    }

    pub(super) fn on_destroy_session_sent(&mut self, request: MsgId, session_id: SessionId) {
        self.on_session_destroyed(session_id);
        if self.destroying.len() < QUEUE {
            self.destroying.push_back((request, session_id));
        }
    }

    pub(super) const fn on_destroy_key_sent(&mut self) {
        self.destroy_key = false;
    }
}

/// Forgetting.
impl Questions {
    /// Questions about the state of calls are of no use any more.
    pub(super) fn forget_states(&mut self) {
        self.unasked.clear();
        self.asked_as = None;
    }

    /// What was said within the session is of no use in the next.
    pub(super) fn forget_session(&mut self) {
        self.forget_states();
        self.resend.clear();
        self.replies.clear();
        self.drops.clear();
    }

    /// What was said on the connection is of no use on the next.
    pub(super) fn forget_connection(&mut self) {
        self.forget_states();
        self.http_wait = false;
    }

    /// Returns whether nothing waits, neither to be sent nor to be answered.
    pub(super) fn is_idle(&self) -> bool {
        let lengths =
            [self.drops.len(), self.replies.len(), self.destroy_sessions.len(), self.destroying.len()];
        lengths.iter().all(|len| *len == 0)
            && self.unasked.is_empty()
            && self.resend.is_empty()
            && self.asked_as.is_none()
            && !self.destroy_key
            && !self.http_wait
    }
}

impl Reply {
    pub(super) fn write(self, out: &mut FrameBuf) {
        match self {
            Self::Pong { msg_id, ping_id } => {
                write_object(out, &types::Pong { msg_id: msg_id.to_raw(), ping_id });
            }
            Self::StateInfo { req_msg_id, info } => {
                write_object(out, &types::MsgsStateInfo { req_msg_id: req_msg_id.to_raw(), info });
            }
        }
    }
}

/// Returns what is answered to `msg_resend_req` when a message is not there any more (SEC-105).
pub(super) fn sent_statuses(sent: &SentLog, ids: impl Iterator<Item = MsgId>) -> Vec<u8> {
    ids.map(|id| if sent.get(id).is_some() { Status::RECEIVED } else { Status::UNKNOWN }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_info_must_fit_the_question() {
        let mut questions = Questions::default();
        [4, 8].map(MsgId::from_raw).into_iter().for_each(|msg_id| questions.ask(msg_id));
        assert!(questions.plan().state_req);
        questions.begin_state_req(MsgId::from_raw(12), MonoTime::ZERO);
        assert!(!questions.plan().state_req, "one question at a time");
        assert_eq!(questions.take_asked(MsgId::from_raw(16), 2), None, "another question");
        assert_eq!(questions.take_asked(MsgId::from_raw(12), 1), None, "another number");
        let asked = questions.take_asked(MsgId::from_raw(12), 2);
        assert_eq!(asked, Some([4, 8].map(MsgId::from_raw).to_vec()));
        assert!(questions.is_idle());
    }

    #[test]
    fn a_server_that_asks_without_end_fills_no_memory() {
        let mut questions = Questions::default();
        for ping_id in 0..1000 {
            questions.reply(Reply::Pong { msg_id: MsgId::from_raw(1), ping_id });
            questions.destroy_session(SessionId::from_raw(ping_id));
        }
        let plan = questions.plan();
        assert_eq!((questions.replies.len(), questions.destroy_sessions.len()), (QUEUE, QUEUE));
        assert_eq!(plan.messages(), 2 * AT_ONCE);
    }
}
