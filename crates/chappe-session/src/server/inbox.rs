//! What came in: which messages were received, which queries run, and which acknowledgements are owed.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use chappe_framing::{MSG_CONTAINER, MessageHeader, MsgId, MsgOrigin, SeqNo, UnixTime};
use chappe_types::BadMsgCode;

use super::parity::Parity;
use super::{Policy, ServerConfig};
use crate::MAX_IDS_PER_LIST;
use crate::acks::AckQueue;
use crate::service::Status;
use crate::time::MonoTime;
use crate::window::{Age, DuplicateWindow, Seen};

/// What a session makes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageCheck {
    /// It was not received before, and its age and salt are right.
    Fresh,
    /// It was received before. Anyone on the path can record a frame and send it again.
    ///
    /// It is acknowledged again, and its answer, if there is one, is repeated (SEC-76).
    Duplicate,
    /// It is ignored, and the client is told why.
    Refused(BadMsgCode),
}

/// What the window keeps of a message.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    seq_no: SeqNo,
    status: Status,
}

/// The messages of a client.
pub(super) struct Inbox {
    received: DuplicateWindow<Received>,
    /// Queries that the owner works on. The window may have forgotten them.
    running: BTreeSet<MsgId>,
    /// Messages of which the client was told that nothing is known.
    denied: BTreeSet<MsgId>,
    /// Messages up to this one were for an earlier owner of the session.
    floor: Option<MsgId>,
    pub(super) acks: AckQueue,
}

/// Denied messages that are remembered: as many as a client may ask about at once. The lowest make room.
const MAX_DENIED: usize = MAX_IDS_PER_LIST;

impl Inbox {
    pub(super) const fn new(received_ids: usize) -> Self {
        Self {
            received: DuplicateWindow::new(received_ids),
            running: BTreeSet::new(),
            denied: BTreeSet::new(),
            floor: None,
            acks: AckQueue::new(),
        }
    }

    /// Leaves all messages up to this one to an earlier owner of the session.
    pub(super) fn set_floor(&mut self, floor: MsgId) {
        self.floor = Some(floor);
        // As if it had been received: what is above it was not, and what is below it is not asked of the window.
        self.received.insert(floor, Received { seq_no: SeqNo::default(), status: Status(Status::RECEIVED) });
    }

    /// Returns whether a message was for an earlier owner of the session. What became of it is not known.
    pub(super) fn is_settled(&self, msg_id: MsgId) -> bool {
        self.floor.is_some_and(|floor| msg_id <= floor)
    }

    /// Returns how many queries the owner works on.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Returns the highest id of a message that was received.
    pub(super) fn last_received(&self) -> Option<MsgId> {
        self.received.highest()
    }

    /// Returns whether the owner works on a query.
    pub(super) fn is_running(&self, msg_id: MsgId) -> bool {
        self.running.contains(&msg_id)
    }
}

/// Checks. They change nothing.
///
/// Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#notice-of-ignored-error-message>.
impl Inbox {
    /// Checks the outer message of a frame: low bits, age, repetition. The salt is checked elsewhere.
    pub(super) fn check_outer(
        &self,
        config: &ServerConfig,
        now: UnixTime,
        msg_id: MsgId,
        constructor: u32,
    ) -> MessageCheck {
        if msg_id.origin() != Some(MsgOrigin::Client) {
            // Code 18: ids of clients are divisible by 4.
            return MessageCheck::Refused(BadMsgCode::WrongLowBits);
        }
        // The age of a query that runs does not matter: a client that is told 16 would send it again under a new id, and
        // it would run twice.
        let age = if self.is_running(msg_id) { Age::Plausible } else { config.age.check(msg_id, now) };
        match age {
            // Codes 16 and 17: the client sets its clock by the id of the notification, and sends again.
            Age::TooOld => return MessageCheck::Refused(BadMsgCode::MsgIdTooLow),
            Age::TooNew => return MessageCheck::Refused(BadMsgCode::MsgIdTooHigh),
            Age::Plausible => {}
        }
        if self.is_settled(msg_id) {
            return MessageCheck::Duplicate;
        }
        match self.seen(msg_id) {
            Seen::Fresh => MessageCheck::Fresh,
            // Code 20: whether it was received cannot be told any more, so the client must not assume either.
            Seen::TooOld => MessageCheck::Refused(BadMsgCode::TooOld),
            Seen::Duplicate if constructor == MSG_CONTAINER && config.policy == Policy::Strict => {
                MessageCheck::Refused(BadMsgCode::ContainerIdReused)
            }
            Seen::Duplicate => MessageCheck::Duplicate,
        }
    }

    /// Checks a single message, alone or in a container: repetition, and parity and order of its sequence number.
    pub(super) fn check_message(
        &self,
        policy: Policy,
        MessageHeader { msg_id, seq_no }: MessageHeader,
        constructor: u32,
    ) -> MessageCheck {
        if self.is_settled(msg_id) {
            return MessageCheck::Duplicate;
        }
        match self.seen(msg_id) {
            Seen::Duplicate => return MessageCheck::Duplicate,
            Seen::TooOld => return MessageCheck::Refused(BadMsgCode::TooOld),
            Seen::Fresh => {}
        }
        if policy == Policy::Lenient {
            return MessageCheck::Fresh;
        }
        // Codes 34 and 35: a number is odd exactly if its message must be acknowledged.
        match (Parity::of(constructor), seq_no.is_content_related()) {
            (Parity::Even, true) => MessageCheck::Refused(BadMsgCode::EvenSeqNoExpected),
            (Parity::Odd, false) => MessageCheck::Refused(BadMsgCode::OddSeqNoExpected),
            _ => self.check_order(msg_id, seq_no),
        }
    }

    /// Checks that sequence numbers grow with ids: by two over each content-related message (SEC-84).
    fn check_order(&self, msg_id: MsgId, seq_no: SeqNo) -> MessageCheck {
        let (below, above) = self.received.neighbours(msg_id);
        let least = below.map_or(i32::MIN, |(_, received)| received.seq_no.to_raw());
        let most = above.map_or(i32::MAX, |(_, received)| received.seq_no.to_raw());
        // An even number repeats the count so far; after an odd one the count is higher by one.
        let follows = |low: i32, high: i32| {
            if low & 1 == 1 { high > low } else { high >= low }
        };
        // Codes 32 and 33.
        if !follows(least, seq_no.to_raw()) {
            MessageCheck::Refused(BadMsgCode::SeqNoTooLow)
        } else if !follows(seq_no.to_raw(), most) {
            MessageCheck::Refused(BadMsgCode::SeqNoTooHigh)
        } else {
            MessageCheck::Fresh
        }
    }

    fn seen(&self, msg_id: MsgId) -> Seen {
        match self.received.check(msg_id) {
            _ if self.denied.contains(&msg_id) => Seen::TooOld,
            // A message that was withdrawn may come again.
            Seen::Duplicate if self.received.note(msg_id).is_some_and(|note| note.status.is_missing()) => {
                Seen::Fresh
            }
            // The window may have forgotten a query that still runs.
            Seen::TooOld if self.is_running(msg_id) => Seen::Duplicate,
            seen => seen,
        }
    }

    /// Returns what is known of a message, for `msgs_state_info`.
    pub(super) fn status_of(&self, msg_id: MsgId) -> Status {
        if let Some(received) = self.received.note(msg_id) {
            return received.status;
        }
        // A query that runs is known, however many messages came since. A client reads "unknown" as "never
        // executed" and would send it again.
        if self.is_running(msg_id) {
            return Status(Status::RECEIVED | Status::PROCESSING);
        }
        Status(match (self.received.lowest(), self.received.highest()) {
            (Some(lowest), _) if msg_id < lowest => Status::UNKNOWN,
            (_, Some(highest)) if msg_id > highest => Status::NOT_RECEIVED_HIGH,
            (None, _) => Status::UNKNOWN,
            _ => Status::NOT_RECEIVED,
        })
    }
}

/// Changes.
impl Inbox {
    /// Notes that the client is told of a message that nothing is known of it. The client may send it again under a new id
    /// then, so the message itself is refused from now on: it may still be under way, over a connection that the client
    /// gave up. A message that was *not received* keeps its id (SEC-107).
    pub(super) fn deny(&mut self, msg_id: MsgId) {
        if self.denied.len() >= MAX_DENIED {
            self.denied.pop_first();
        }
        self.denied.insert(msg_id);
    }

    /// Takes in a query that the owner is shown.
    pub(super) fn accept_query(&mut self, header: MessageHeader, now: MonoTime, config: &ServerConfig) {
        self.remember(header, Status::PROCESSING);
        self.running.insert(header.msg_id);
        if header.seq_no.is_content_related() {
            self.acks.push(header.msg_id, now, config.ack_delay, MAX_IDS_PER_LIST);
        }
    }

    /// Remembers a message that the session itself handles, with bits of its status besides "received".
    pub(super) fn remember(&mut self, MessageHeader { msg_id, seq_no }: MessageHeader, status: u8) {
        let received = Received { seq_no, status: Status(Status::RECEIVED | status) };
        match self.received.note_mut(msg_id) {
            Some(known) => *known = received,
            None => {
                self.received.insert(msg_id, received);
            }
        }
    }

    /// Owes an acknowledgement that goes out with the next packet.
    pub(super) fn ack_now(&mut self, MessageHeader { msg_id, seq_no }: MessageHeader, now: MonoTime) {
        if seq_no.is_content_related() {
            self.acks.push(msg_id, now, Duration::ZERO, MAX_IDS_PER_LIST);
        }
    }

    /// Notes that a query was answered.
    pub(super) fn end_query(&mut self, query: MsgId) {
        if let Some(received) = self.received.note_mut(query) {
            received.status.0 |= Status::ANSWERED;
        }
        self.running.remove(&query);
    }

    /// Marks queries as not received that the owner was not shown after all.
    pub(super) fn withdraw(&mut self, mut queries: Vec<MsgId>) {
        queries.sort_unstable();
        for msg_id in &queries {
            self.running.remove(msg_id);
            // It keeps its place in the window: a gap would let something older in that was forgotten.
            if let Some(received) = self.received.note_mut(*msg_id) {
                received.status = Status(Status::NOT_RECEIVED);
            }
        }
        self.acks.retain(|id| queries.binary_search(&id).is_err());
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("floor", &self.floor)
            .field("received", &self.received.len())
            .field("running", &self.running.len())
            .field("denied", &self.denied.len())
            .field("acks", &self.acks.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: u32 = 0xc4f9_186b;
    const NOW: UnixTime = UnixTime::from_secs(1_707_425_104);

    fn header(step: i64, seq_no: i32) -> MessageHeader {
        let first = MsgId::at(NOW, MsgOrigin::Client).to_raw();
        MessageHeader { msg_id: MsgId::from_raw(first + 4 * step), seq_no: SeqNo::from_raw(seq_no) }
    }

    #[test]
    fn a_running_query_is_known_whatever_the_window_has_forgotten() {
        let config = ServerConfig::default();
        let mut inbox = Inbox::new(4);
        let query = header(0, 1);
        inbox.accept_query(query, MonoTime::ZERO, &config);
        (1..10).for_each(|step| inbox.remember(header(step, 2), 0));
        assert_eq!(inbox.status_of(query.msg_id), Status(Status::RECEIVED | Status::PROCESSING));
        assert_eq!(inbox.check_message(Policy::Strict, query, QUERY), MessageCheck::Duplicate);
        let late = NOW.saturating_add(Duration::from_secs(3600));
        assert_eq!(inbox.check_outer(&config, late, query.msg_id, QUERY), MessageCheck::Duplicate);
        inbox.end_query(query.msg_id);
        assert_eq!(inbox.status_of(query.msg_id), Status(Status::UNKNOWN));
        let too_old = MessageCheck::Refused(BadMsgCode::TooOld);
        assert_eq!(inbox.check_message(Policy::Strict, query, QUERY), too_old);
    }

    #[test]
    fn a_message_of_which_the_client_was_told_that_it_is_unknown_is_refused_when_it_comes_late() {
        let mut inbox = Inbox::new(4);
        inbox.remember(header(2, 1), 0);
        let late = header(1, 1);
        assert_eq!(inbox.status_of(late.msg_id), Status(Status::UNKNOWN));
        inbox.deny(late.msg_id);
        let too_old = MessageCheck::Refused(BadMsgCode::TooOld);
        assert_eq!(inbox.check_message(Policy::Lenient, late, QUERY), too_old);
        assert_eq!(inbox.check_outer(&ServerConfig::default(), NOW, late.msg_id, QUERY), too_old);
        assert_eq!(inbox.check_message(Policy::Lenient, header(4, 5), QUERY), MessageCheck::Fresh);
        (0..2 * MAX_DENIED as i64).for_each(|step| inbox.deny(header(step, 1).msg_id));
        assert_eq!(inbox.denied.len(), MAX_DENIED);
    }

    #[test]
    fn a_withdrawn_query_is_owed_nothing_and_may_come_again() {
        let config = ServerConfig::default();
        let mut inbox = Inbox::new(4);
        for step in [0, 1] {
            inbox.accept_query(header(step, 1), MonoTime::ZERO, &config);
        }
        inbox.withdraw(alloc::vec![header(1, 1).msg_id]);
        assert_eq!((inbox.running(), inbox.acks.len()), (1, 1));
        assert_eq!(inbox.status_of(header(1, 1).msg_id), Status(Status::NOT_RECEIVED));
        assert_eq!(inbox.check_message(Policy::Lenient, header(1, 1), QUERY), MessageCheck::Fresh);
    }
}
