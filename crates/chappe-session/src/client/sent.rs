//! Which messages were sent recently, and what they were.
//!
//! [`SentLog`] is a queue in ascending order of `msg_id`, since ids only grow: a new message goes to the
//! end, an answer is found by binary search. It holds more than the pending calls, because complaints
//! and answers also name containers, pings and requests for salts, and because a call that was sent again
//! may still be answered under its first id. What is dead is dropped when the log has doubled, so the
//! cost per message stays constant whatever the number of pending calls.

use alloc::collections::VecDeque;

use chappe_framing::{MsgId, SessionId};

use super::outbox::CallId;

/// One sent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) msg_id: MsgId,
    /// The container it travelled in; its own id if it travelled alone.
    pub(super) envelope: MsgId,
    pub(super) what: What,
}

/// What a sent message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Call(CallId),
    Container,
    Acks,
    Ping,
    FutureSalts,
    StateReq,
    ResendReq,
    DropAnswer(CallId),
    DestroySession(SessionId),
    DestroyAuthKey,
    /// State info, resent answers to the server and whatever else nobody waits for.
    Other,
}

/// All messages sent recently, in ascending order of `msg_id`.
#[derive(Clone, Debug)]
pub(super) struct SentLog {
    sent: VecDeque<Sent>,
    /// Length at which the dead entries are dropped.
    compact_at: usize,
}

const FIRST_COMPACTION: usize = 32;

impl SentLog {
    pub(super) const fn new() -> Self {
        Self { sent: VecDeque::new(), compact_at: FIRST_COMPACTION }
    }

    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Adds a message; its id must be higher than all before.
    pub(super) fn push(&mut self, sent: Sent) {
        debug_assert!(self.sent.back().is_none_or(|last| last.msg_id < sent.msg_id));
        self.sent.push_back(sent);
    }

    /// Says that the last `count` messages before the last one travelled in it.
    pub(super) fn seal_container(&mut self, count: usize, container: MsgId) {
        for sent in self.sent.iter_mut().rev().skip(1).take(count) {
            sent.envelope = container;
        }
    }

    /// Finds a message.
    pub(super) fn get(&self, msg_id: MsgId) -> Option<&Sent> {
        self.sent.binary_search_by_key(&msg_id, |sent| sent.msg_id).ok().map(|place| &self.sent[place])
    }

    /// Lists what travelled in a container.
    ///
    /// The messages of a container stand directly in front of it.
    pub(super) fn members(&self, container: MsgId) -> impl Iterator<Item = &Sent> {
        let end = self.sent.partition_point(|sent| sent.msg_id < container);
        self.sent.range(..end).rev().take_while(move |sent| sent.envelope == container)
    }

    /// Tells whether it is time to call [`SentLog::compact`].
    pub(super) fn wants_compaction(&self) -> bool {
        self.sent.len() >= self.compact_at
    }

    /// Drops what `is_live` does not want to keep.
    pub(super) fn compact(&mut self, is_live: impl FnMut(&Sent) -> bool) {
        self.sent.retain(is_live);
        self.compact_at = (2 * self.sent.len()).max(FIRST_COMPACTION);
    }

    pub(super) fn clear(&mut self) {
        self.sent.clear();
        self.compact_at = FIRST_COMPACTION;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(raw: i64, envelope: i64, what: What) -> Sent {
        Sent { msg_id: MsgId::from_raw(raw), envelope: MsgId::from_raw(envelope), what }
    }

    #[test]
    fn a_container_lists_its_own_messages_and_no_others() {
        let mut log = SentLog::new();
        log.push(sent(4, 4, What::Ping));
        log.push(sent(8, 16, What::Acks));
        log.push(sent(12, 16, What::FutureSalts));
        log.push(sent(16, 16, What::Container));
        log.push(sent(20, 20, What::Other));
        let members: Vec<_> = log.members(MsgId::from_raw(16)).map(|sent| sent.what).collect();
        assert_eq!(members, [What::FutureSalts, What::Acks]);
        assert_eq!(log.members(MsgId::from_raw(20)).count(), 0);
    }

    #[test]
    fn compaction_keeps_what_lives_and_waits_until_the_log_has_doubled() {
        let mut log = SentLog::new();
        for raw in 1..=100 {
            log.push(sent(4 * raw, 4 * raw, What::Ping));
        }
        assert!(log.wants_compaction());
        log.compact(|sent| sent.msg_id > MsgId::from_raw(200));
        assert_eq!(log.len(), 50);
        assert!(!log.wants_compaction());
        assert_eq!(log.get(MsgId::from_raw(200)), None);
        assert!(log.get(MsgId::from_raw(204)).is_some());
    }
}
