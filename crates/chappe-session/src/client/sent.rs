//! Which messages were sent recently, and what they were.
//!
//! [`SentLog`] is a list in ascending order of `msg_id`, since ids only grow: a new message goes to the
//! end, an answer is found by binary search. It holds more than the pending calls, because complaints
//! and answers also name containers, pings and requests for salts, and because a call that was sent again
//! may still be answered under its first id. What is dead is dropped when the log has doubled, so the
//! cost per message stays constant whatever the number of pending calls.
//!
//! An entry takes 16 bytes. The two lowest bits of a client's `msg_id` are always zero, so they serve as marks.

use alloc::vec::Vec;

use chappe_framing::MsgId;

use super::call::CallId;

/// One sent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) msg_id: MsgId,
    pub(super) what: What,
}

/// What a sent message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Call(CallId),
    DropAnswer(CallId),
    Container,
    Acks,
    Ping,
    FutureSalts,
    StateReq,
    ResendReq,
    DestroySession,
    DestroyAuthKey,
    /// State info, resent answers to the server and whatever else nobody waits for.
    Other,
}

/// The kinds that name no call, in the order of their numbers.
const KINDS: [What; 9] = [
    What::Container,
    What::Acks,
    What::Ping,
    What::FutureSalts,
    What::StateReq,
    What::ResendReq,
    What::DestroySession,
    What::DestroyAuthKey,
    What::Other,
];

/// Mark: the message travelled in the container that follows in the log.
const IN_CONTAINER: i64 = 1;
/// Mark of a message that names a call: it has an answer dropped; without it the message is the call itself.
const DROPS: i64 = 2;
/// The same mark of a container: the server has acknowledged it.
const IS_ACKED: i64 = 2;
/// Slot of the messages that name no call. There are never so many calls.
const NO_CALL: u32 = u32::MAX;

/// A sent message, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    marked_id: i64,
    /// The call, or the slot [`NO_CALL`] with the number of the kind.
    call: CallId,
}

impl Entry {
    #[inline]
    fn new(Sent { msg_id, what }: Sent) -> Self {
        let id = msg_id.to_raw() & !(IN_CONTAINER | DROPS);
        match what {
            What::Call(call) => Self { marked_id: id, call },
            What::DropAnswer(call) => Self { marked_id: id | DROPS, call },
            what => {
                let kind = KINDS.iter().position(|kind| *kind == what).unwrap_or(KINDS.len() - 1);
                Self { marked_id: id, call: CallId::new(NO_CALL, kind as u32) }
            }
        }
    }

    const fn msg_id(self) -> MsgId {
        MsgId::from_raw(self.marked_id & !(IN_CONTAINER | DROPS))
    }

    const fn is_in_container(self) -> bool {
        self.marked_id & IN_CONTAINER != 0
    }

    fn is_container(self) -> bool {
        self.call.slot() == NO_CALL && self.sent().what == What::Container
    }

    fn sent(self) -> Sent {
        let what = match (self.call.slot(), self.marked_id & DROPS) {
            (NO_CALL, _) => KINDS.get(self.call.generation() as usize).copied().unwrap_or(What::Other),
            (_, 0) => What::Call(self.call),
            _ => What::DropAnswer(self.call),
        };
        Sent { msg_id: self.msg_id(), what }
    }
}

/// All messages sent recently, in ascending order of `msg_id`.
#[derive(Clone, Debug)]
pub(super) struct SentLog {
    entries: Vec<Entry>,
    /// Length at which the dead entries are dropped.
    compact_at: usize,
    /// Place of the message that will probably be answered next.
    expected: usize,
}

/// Entries by which the log may grow, at least, until it is looked through.
const SLACK: usize = 8;

impl SentLog {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), compact_at: SLACK, expected: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many of them name no call.
    pub(super) fn services(&self) -> usize {
        self.entries.iter().filter(|entry| entry.call.slot() == NO_CALL).count()
    }

    /// Adds a message; its id must be higher than all before.
    #[inline]
    pub(super) fn push(&mut self, sent: Sent) {
        debug_assert!(self.entries.last().is_none_or(|last| last.msg_id() < sent.msg_id));
        if self.entries.len() == self.entries.capacity() {
            self.grow();
        }
        self.entries.push(Entry::new(sent));
    }

    /// Up to where the log is looked through, and by half beyond it: memory counts for an idle session.
    #[cold]
    fn grow(&mut self) {
        let ahead = self.compact_at.saturating_sub(self.entries.len());
        self.entries.reserve_exact(if ahead == 0 { self.entries.len() / 2 + 4 } else { ahead });
    }

    /// Says that the last `count` messages before the last one travelled in it.
    pub(super) fn seal_container(&mut self, count: usize) {
        for entry in self.entries.iter_mut().rev().skip(1).take(count) {
            entry.marked_id |= IN_CONTAINER;
        }
    }

    /// Finds a message.
    pub(super) fn get(&self, msg_id: MsgId) -> Option<Sent> {
        self.entries.get(self.place(msg_id)?).map(|entry| entry.sent())
    }

    /// Finds a message that is answered.
    ///
    /// Answers come mostly in the order of what they answer, so the message behind the last one is tried first, and
    /// the one behind that: a container may stand in between.
    pub(super) fn take_notice(&mut self, msg_id: MsgId) -> Option<Sent> {
        let is_here = |place: &usize| self.entries.get(*place).is_some_and(|entry| entry.msg_id() == msg_id);
        let near = [self.expected, self.expected + 1].into_iter().find(is_here);
        let place = near.or_else(|| self.place(msg_id))?;
        self.expected = place + 1;
        self.entries.get(place).map(|entry| entry.sent())
    }

    /// Returns the lowest id that went out in a frame whose outer id is this or a higher one.
    ///
    /// That is the id itself, or that of the first message in a container that ends beyond it.
    pub(super) fn first_in_frames_from(&self, msg_id: MsgId) -> MsgId {
        let end = self.entries.partition_point(|entry| entry.msg_id() < msg_id);
        self.members_before(end).last().map_or(msg_id, |entry| entry.msg_id())
    }

    /// Lists what travelled in a container, the last message first; nothing for any other message.
    pub(super) fn members(&self, container: MsgId) -> impl Iterator<Item = Sent> {
        let place = self.place(container).filter(|place| self.entries[*place].is_container());
        self.members_before(place.unwrap_or(0)).map(|entry| entry.sent())
    }

    /// Notes that the server has a container; returns whether that is news.
    pub(super) fn on_container_acked(&mut self, container: MsgId) -> bool {
        let Some(entry) = self.place(container).and_then(|place| self.entries.get_mut(place)) else {
            return false;
        };
        let is_news = entry.is_container() && entry.marked_id & IS_ACKED == 0;
        if is_news {
            entry.marked_id |= IS_ACKED;
        }
        is_news
    }

    /// The messages of a container stand directly in front of it.
    fn members_before(&self, place: usize) -> impl Iterator<Item = &Entry> {
        self.entries[..place].iter().rev().take_while(|entry| entry.is_in_container())
    }

    fn place(&self, msg_id: MsgId) -> Option<usize> {
        self.entries.binary_search_by_key(&msg_id, |entry| entry.msg_id()).ok()
    }

    /// Tells whether it is time to call [`SentLog::compact`].
    pub(super) const fn wants_compaction(&self) -> bool {
        self.entries.len() >= self.compact_at
    }

    /// Drops what `is_live` does not want to keep. A container is kept with any of its messages.
    pub(super) fn compact(&mut self, mut is_live: impl FnMut(Sent) -> bool) {
        let mut has_members = false;
        self.entries.retain(|entry| {
            let keep = is_live(entry.sent()) || (entry.is_container() && has_members);
            has_members = entry.is_in_container() && (has_members || keep);
            keep
        });
        self.compact_at = self.entries.len() + self.entries.len().max(SLACK);
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.compact_at = SLACK;
    }

    /// Gives memory back that nothing needs now.
    pub(super) fn release(&mut self) {
        self.entries.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(slot: u32) -> What {
        What::Call(CallId::new(slot, 9))
    }

    /// Ping alone, acknowledgements and a call in a container, a call alone.
    fn log() -> SentLog {
        let mut log = SentLog::new();
        let messages =
            [(4, What::Ping), (8, What::Acks), (12, call(3)), (16, What::Container), (20, call(4))];
        for (raw, what) in messages {
            log.push(Sent { msg_id: MsgId::from_raw(raw), what });
            if what == What::Container {
                log.seal_container(2);
            }
        }
        log
    }

    #[test]
    fn a_container_lists_its_own_messages_and_no_others() {
        let log = log();
        let members: Vec<_> = log.members(MsgId::from_raw(16)).map(|sent| sent.what).collect();
        assert_eq!(members, [call(3), What::Acks]);
        for raw in [4, 8, 12, 20, 99] {
            assert_eq!(log.members(MsgId::from_raw(raw)).count(), 0, "{raw} is no container");
        }
    }

    #[test]
    fn a_frame_begins_with_the_first_message_of_its_container() {
        let log = log();
        let first = |raw| log.first_in_frames_from(MsgId::from_raw(raw)).to_raw();
        assert_eq!([4, 8, 12, 16].map(first), [4, 8, 8, 8]);
        assert_eq!([17, 20, 99].map(first), [17, 20, 99], "the container was sent before");
    }

    #[test]
    fn a_container_is_acknowledged_once() {
        let mut log = log();
        let news: Vec<_> = [16, 16, 20, 99].map(|raw| log.on_container_acked(MsgId::from_raw(raw))).into();
        assert_eq!(news, [true, false, false, false]);
        assert_eq!(log.get(MsgId::from_raw(16)).map(|sent| sent.what), Some(What::Container));
    }

    #[test]
    fn every_kind_comes_back_as_it_went_in() {
        let calls = [call(0), What::DropAnswer(CallId::new(0, u32::MAX))];
        for (raw, what) in (1..).map(|n| 4 * n).zip(calls.into_iter().chain(KINDS)) {
            let mut log = SentLog::new();
            let sent = Sent { msg_id: MsgId::from_raw(raw), what };
            log.push(sent);
            assert_eq!(log.get(sent.msg_id), Some(sent));
        }
        assert_eq!(size_of::<Entry>(), 16);
    }

    #[test]
    fn a_container_stays_as_long_as_one_of_its_messages() {
        let mut log = log();
        log.compact(|sent| matches!(sent.what, What::Call(_)));
        assert_eq!(log.len(), 3);
        assert_eq!(log.members(MsgId::from_raw(16)).count(), 1);
        log.compact(|sent| sent.what == call(4));
        assert_eq!((log.len(), log.get(MsgId::from_raw(16))), (1, None));
    }

    #[test]
    fn compaction_keeps_what_lives_and_waits_until_the_log_has_doubled() {
        let mut log = SentLog::new();
        for raw in 1..=100 {
            log.push(Sent { msg_id: MsgId::from_raw(4 * raw), what: What::Ping });
        }
        assert!(log.wants_compaction());
        log.compact(|sent| sent.msg_id > MsgId::from_raw(200));
        assert_eq!(log.len(), 50);
        assert!(!log.wants_compaction());
        assert_eq!(log.get(MsgId::from_raw(200)), None);
        assert!(log.get(MsgId::from_raw(204)).is_some());
        log.release();
        assert_eq!(log.entries.capacity(), 50);
    }
}
