//! The numbering of messages, and the memory of what was sent recently.
//!
//! [`SentLog`] is a list in ascending order of `msg_id`, since ids only grow: a new message goes to the
//! end, and an answer is found by binary search. It holds more than the pending calls, because complaints
//! and answers also name containers, pings and requests for salts, and because a call that was sent again
//! may still be answered under its first id. Dead entries are dropped when the log has doubled, so the
//! cost per message stays constant whatever the number of pending calls.
//!
//! An entry takes 16 bytes. The two lowest bits of a client's `msg_id` are always zero, so they serve as marks.

use alloc::vec::Vec;

use chappe_framing::{MessageHeader, MsgId, MsgIdGenerator, MsgOrigin, SeqNoCounter, UnixTime};

use super::calls::CallId;

/// One sent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) msg_id: MsgId,
    pub(super) kind: SentKind,
}

/// What a sent message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentKind {
    Call(CallId),
    DropAnswer(CallId),
    /// `auth.bindTempAuthKey`.
    Binding,
    Container,
    Acks,
    Ping,
    FutureSalts,
    StateReq,
    ResendReq,
    DestroySession,
    DestroyAuthKey,
    /// Messages without an answer, such as `msgs_state_info` and `pong`.
    Other,
}

/// The kinds that name no call, in the order of their numbers.
const KINDS: [SentKind; 10] = [
    SentKind::Binding,
    SentKind::Container,
    SentKind::Acks,
    SentKind::Ping,
    SentKind::FutureSalts,
    SentKind::StateReq,
    SentKind::ResendReq,
    SentKind::DestroySession,
    SentKind::DestroyAuthKey,
    SentKind::Other,
];

/// Mark: the message travelled in the container that follows in the log.
const IN_CONTAINER: i64 = 1;
/// Mark of a message that names a call: it drops the answer; without it the message is the call itself.
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
    fn new(Sent { msg_id, kind }: Sent) -> Self {
        let id = msg_id.to_raw() & !(IN_CONTAINER | DROPS);
        match kind {
            SentKind::Call(call) => Self { marked_id: id, call },
            SentKind::DropAnswer(call) => Self { marked_id: id | DROPS, call },
            kind => {
                let number = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len() - 1);
                Self { marked_id: id, call: CallId::new(NO_CALL, number as u32) }
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
        self.call.slot() == NO_CALL && self.sent().kind == SentKind::Container
    }

    fn sent(self) -> Sent {
        let kind = match (self.call.slot(), self.marked_id & DROPS) {
            (NO_CALL, _) => KINDS.get(self.call.generation() as usize).copied().unwrap_or(SentKind::Other),
            (_, 0) => SentKind::Call(self.call),
            _ => SentKind::DropAnswer(self.call),
        };
        Sent { msg_id: self.msg_id(), kind }
    }
}

/// Whether a message needs an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentRelation {
    Related,
    Unrelated,
}

/// All messages sent recently, in ascending order of `msg_id`.
#[derive(Clone, Debug)]
pub(super) struct SentLog {
    ids: MsgIdGenerator,
    entries: Vec<Entry>,
    /// Length at which the dead entries are dropped.
    compact_at: u32,
    /// Place of the message that will probably be answered next.
    expected: u32,
}

/// Least number of entries by which the log grows until dead ones are dropped.
const SLACK: usize = 8;

impl SentLog {
    pub(super) const fn new() -> Self {
        Self { ids: MsgIdGenerator::new(), entries: Vec::new(), compact_at: SLACK as u32, expected: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many of them name no call.
    fn services(&self) -> usize {
        self.entries.iter().filter(|entry| entry.call.slot() == NO_CALL).count()
    }

    /// Returns the last id that was given to a message.
    pub(super) const fn last_id(&self) -> Option<MsgId> {
        self.ids.last()
    }

    /// Numbers a message of the session that `seq` counts.
    #[inline]
    pub(super) const fn number(
        &mut self,
        server_time: UnixTime,
        seq: &mut SeqNoCounter,
        relation: ContentRelation,
    ) -> MessageHeader {
        let msg_id = self.ids.next(server_time, MsgOrigin::Client);
        let seq_no = match relation {
            ContentRelation::Related => seq.next_content_related(),
            ContentRelation::Unrelated => seq.next_unrelated(),
        };
        MessageHeader { msg_id, seq_no }
    }

    /// Forgets all messages: no answer to them can come any more.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.compact_at = SLACK as u32;
    }

    /// Allows lower ids than before, after the clock was set back. Only a new session may use them.
    pub(super) const fn restart_ids(&mut self) {
        self.ids = MsgIdGenerator::new();
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

    /// Reserves up to the next compaction, and by half beyond it: an idle session keeps this memory.
    #[cold]
    fn grow(&mut self) {
        let ahead = (self.compact_at as usize).saturating_sub(self.entries.len());
        self.entries.reserve_exact(if ahead == 0 { self.entries.len() / 2 + 4 } else { ahead });
    }

    /// Records that the last `count` messages before the last one travelled in it.
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
    /// the one behind that: a container may come between them.
    pub(super) fn take_notice(&mut self, msg_id: MsgId) -> Option<Sent> {
        let is_here = |place: &usize| self.entries.get(*place).is_some_and(|entry| entry.msg_id() == msg_id);
        let expected = self.expected as usize;
        let near = [expected, expected + 1].into_iter().find(is_here);
        let place = near.or_else(|| self.place(msg_id))?;
        self.expected = place as u32 + 1;
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

    /// Records that the server has a container; returns whether that is news.
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

    /// Returns whether it is time to call [`SentLog::compact`].
    pub(super) const fn wants_compaction(&self) -> bool {
        self.entries.len() >= self.compact_at as usize
    }

    /// Drops messages sent before `oldest`, those of calls that have ended, and all but the last `services` of those
    /// that name no call.
    pub(super) fn drop_old(
        &mut self,
        oldest: UnixTime,
        services: usize,
        is_pending: impl Fn(CallId) -> bool,
    ) {
        let mut superfluous = self.services().saturating_sub(services);
        self.compact(|sent| match sent.kind {
            // An answer may come under any id the call was ever sent with.
            SentKind::Call(call) => is_pending(call),
            _ if superfluous > 0 => {
                superfluous -= 1;
                false
            }
            _ => sent.msg_id.time() >= oldest,
        });
    }

    /// Drops what `is_live` does not want to keep. A container is kept with any of its messages.
    fn compact(&mut self, mut is_live: impl FnMut(Sent) -> bool) {
        let mut has_members = false;
        self.entries.retain(|entry| {
            let keep = is_live(entry.sent()) || (entry.is_container() && has_members);
            has_members = entry.is_in_container() && (has_members || keep);
            keep
        });
        self.compact_at = (self.entries.len() + self.entries.len().max(SLACK)) as u32;
    }

    /// Gives back memory that nothing needs now.
    pub(super) fn release(&mut self) {
        self.entries.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(slot: u32) -> SentKind {
        SentKind::Call(CallId::new(slot, 9))
    }

    /// Ping alone, acknowledgements and a call in a container, a call alone.
    fn log() -> SentLog {
        let mut log = SentLog::new();
        let messages = [
            (4, SentKind::Ping),
            (8, SentKind::Acks),
            (12, call(3)),
            (16, SentKind::Container),
            (20, call(4)),
        ];
        for (raw, kind) in messages {
            log.push(Sent { msg_id: MsgId::from_raw(raw), kind });
            if kind == SentKind::Container {
                log.seal_container(2);
            }
        }
        log
    }

    #[test]
    fn a_container_lists_its_own_messages_and_no_others() {
        let log = log();
        let members: Vec<_> = log.members(MsgId::from_raw(16)).map(|sent| sent.kind).collect();
        assert_eq!(members, [call(3), SentKind::Acks]);
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
        assert_eq!(log.get(MsgId::from_raw(16)).map(|sent| sent.kind), Some(SentKind::Container));
    }

    #[test]
    fn every_kind_comes_back_as_it_went_in() {
        let calls = [call(0), SentKind::DropAnswer(CallId::new(0, u32::MAX))];
        for (raw, kind) in (1..).map(|n| 4 * n).zip(calls.into_iter().chain(KINDS)) {
            let mut log = SentLog::new();
            let sent = Sent { msg_id: MsgId::from_raw(raw), kind };
            log.push(sent);
            assert_eq!(log.get(sent.msg_id), Some(sent));
        }
        assert_eq!(size_of::<Entry>(), 16);
    }

    #[test]
    fn a_container_stays_as_long_as_one_of_its_messages() {
        let mut log = log();
        log.compact(|sent| matches!(sent.kind, SentKind::Call(_)));
        assert_eq!(log.len(), 3);
        assert_eq!(log.members(MsgId::from_raw(16)).count(), 1);
        log.compact(|sent| sent.kind == call(4));
        assert_eq!((log.len(), log.get(MsgId::from_raw(16))), (1, None));
    }

    #[test]
    fn compaction_keeps_what_lives_and_waits_until_the_log_has_doubled() {
        let mut log = SentLog::new();
        for raw in 1..=100 {
            log.push(Sent { msg_id: MsgId::from_raw(4 * raw), kind: SentKind::Ping });
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
