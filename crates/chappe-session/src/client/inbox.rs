//! What came in under one key: ids seen, and acknowledgements owed.

use alloc::vec::Vec;
use core::fmt;

use chappe_framing::{MessageHeader, MsgId};
use chappe_types::Rule;

use crate::SessionLimits;
use crate::acks::AckQueue;
use crate::counters::Counters;
use crate::service::{Ids, Status};
use crate::time::MonoTime;
use crate::window::{DuplicateWindow, Seen};

/// Received messages of one session.
pub(super) struct Inbox {
    window: DuplicateWindow,
    pub(super) acks: AckQueue,
    /// The highest id when updates were last reported as possibly missing; zero before.
    reported: MsgId,
}

impl Inbox {
    pub(super) const fn new(limits: &SessionLimits) -> Self {
        Self {
            window: DuplicateWindow::new(limits.received_ids),
            acks: AckQueue::new(),
            reported: MsgId::from_raw(0),
        }
    }

    /// Remembers a message and the acknowledgement owed for it; returns whether it was seen before.
    #[inline]
    pub(super) fn take(
        &mut self,
        MessageHeader { msg_id, seq_no }: MessageHeader,
        now: MonoTime,
        limits: &SessionLimits,
        counters: &mut Counters,
    ) -> Seen {
        let seen = self.window.insert(msg_id, ());
        // Every content-related message is acknowledged, a duplicate again, and one that cannot be read too
        // (SEC-76, SEC-102): otherwise the server would repeat it without end.
        if seq_no.is_content_related() {
            self.owe(msg_id, now, limits);
        }
        match seen {
            Seen::Fresh => {}
            Seen::Duplicate => {
                counters.duplicates += 1;
                counters.refused.count(Rule::new(76));
            }
            Seen::TooOld => counters.refused.count(Rule::new(77)),
        }
        seen
    }

    /// Schedules an acknowledgement.
    #[inline]
    pub(super) fn owe(&mut self, msg_id: MsgId, now: MonoTime, limits: &SessionLimits) {
        self.acks.push(msg_id, now, limits.ack_delay, limits.acks);
    }

    /// Returns whether a message has arrived, or may have.
    pub(super) fn has_seen(&self, msg_id: MsgId) -> bool {
        self.window.check(msg_id) != Seen::Fresh
    }

    /// Returns whether a message that is too old must be reported as possibly missing.
    ///
    /// A report covers every message sent before it, because its reader asks for the difference up to now. So each
    /// message is reported once, however often it is replayed.
    pub(super) fn report(&mut self, msg_id: MsgId) -> bool {
        let is_new = msg_id > self.reported;
        if is_new && let Some(highest) = self.window.highest() {
            self.reported = highest;
        }
        is_new
    }

    /// Returns what to answer to `msgs_state_req`, one status for each id.
    pub(super) fn statuses(&self, ids: Ids<'_>) -> Vec<u8> {
        let status = |id: MsgId| {
            if self.window.check(id) == Seen::Duplicate {
                return Status::RECEIVED;
            }
            match (self.window.lowest(), self.window.highest()) {
                (Some(lowest), _) if id < lowest => Status::UNKNOWN,
                (_, Some(highest)) if id > highest => Status::NOT_RECEIVED_HIGH,
                (None, _) => Status::UNKNOWN,
                _ => Status::NOT_RECEIVED,
            }
        };
        ids.iter().map(status).collect()
    }

    /// A new session begins under the same key. Acknowledgements belong to the one before.
    ///
    /// The ids that were seen stay: a server that repeats a message in the new session keeps its id, and ids only grow.
    pub(super) fn begin_session(&mut self) {
        self.acks.clear();
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("seen", &self.window.len())
            .field("acks", &self.acks.len())
            .field("reported", &self.reported)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use chappe_framing::SeqNo;

    use super::*;

    #[test]
    fn sec_076_and_sec_102_a_duplicate_is_acknowledged_again_and_not_taken() {
        let (limits, mut counters) = (SessionLimits::default(), Counters::default());
        let mut inbox = Inbox::new(&limits);
        let header = MessageHeader { msg_id: MsgId::from_raw(5), seq_no: SeqNo::from_raw(1) };
        let taken = [0, 1].map(|_| inbox.take(header, MonoTime::ZERO, &limits, &mut counters));
        assert_eq!((taken, inbox.acks.len(), counters.duplicates), ([Seen::Fresh, Seen::Duplicate], 2, 1));
        assert!(inbox.has_seen(header.msg_id) && !inbox.has_seen(MsgId::from_raw(9)));
    }
}
