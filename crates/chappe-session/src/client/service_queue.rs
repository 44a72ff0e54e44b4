//! Service messages that wait to be sent or answered.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use chappe_framing::{MsgId, SessionId};

use chappe_crypto::QuickAckToken;

use super::call::CallId;
use crate::rare::Absent;
use crate::time::MonoTime;

/// Most service messages of one kind that wait.
pub(super) const SERVICE_QUEUE: usize = 64;

/// Service messages that wait to be sent or answered.
#[derive(Debug)]
pub(super) struct ServiceQueue {
    /// Calls whose state must be asked for.
    pub(super) ask: Vec<MsgId>,
    /// The list that was asked about, in order, and under which id and when.
    pub(super) asked: Vec<MsgId>,
    pub(super) asked_as: Option<(MsgId, MonoTime)>,
    /// Answers of the server to be sent again.
    pub(super) resend: BTreeSet<MsgId>,
    /// Answers that the server is to drop.
    pub(super) drop: VecDeque<(CallId, MsgId)>,
    /// Answers to questions of the server: `msgs_state_info` and `pong`, ready.
    pub(super) replies: VecDeque<Vec<u8>>,
    pub(super) destroy_sessions: VecDeque<SessionId>,
    /// Sessions whose destruction was asked for, and under which id.
    pub(super) destroying: VecDeque<(MsgId, SessionId)>,
    /// Quick acknowledgements that are expected, and for which calls.
    pub(super) quick_acks: VecDeque<(QuickAckToken, CallId)>,
    pub(super) destroy_key: bool,
    pub(super) http_wait: bool,
}

impl Absent for ServiceQueue {
    const NEW: Self = Self {
        ask: Vec::new(),
        asked: Vec::new(),
        asked_as: None,
        resend: BTreeSet::new(),
        drop: VecDeque::new(),
        replies: VecDeque::new(),
        destroy_sessions: VecDeque::new(),
        destroying: VecDeque::new(),
        quick_acks: VecDeque::new(),
        destroy_key: false,
        http_wait: false,
    };

    fn absent() -> &'static Self {
        static ABSENT: ServiceQueue = ServiceQueue::NEW;
        &ABSENT
    }
}

impl ServiceQueue {
    /// Questions about the state of calls are of no use any more.
    pub(super) fn forget_questions(&mut self) {
        self.ask.clear();
        self.asked_as = None;
    }

    /// What was said within the session is of no use in the next.
    pub(super) fn forget_session(&mut self) {
        self.forget_questions();
        self.resend.clear();
        self.replies.clear();
        self.drop.clear();
        self.quick_acks.clear();
    }

    /// What was said on the connection is of no use on the next.
    pub(super) fn forget_connection(&mut self) {
        self.forget_questions();
        self.quick_acks.clear();
        self.http_wait = false;
    }

    /// Tells whether nothing waits, neither to be sent nor to be answered.
    pub(super) fn is_idle(&self) -> bool {
        let queues =
            [self.drop.len(), self.replies.len(), self.destroy_sessions.len(), self.quick_acks.len()];
        queues.iter().all(|len| *len == 0)
            && self.destroying.is_empty()
            && self.ask.is_empty()
            && self.resend.is_empty()
            && self.asked_as.is_none()
            && !self.destroy_key
            && !self.http_wait
    }
}
