//! Acknowledgements waiting to be sent.
//!
//! [`AckQueue`] collects the ids of content-related messages. They ride along with the next packet; if
//! none is due, they go alone when enough have gathered or the oldest has waited long enough.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#acknowledgment-of-receipt>.

#[cfg(not(test))]
use alloc::collections::VecDeque;
use core::time::Duration;

use chappe_framing::MsgId;

#[cfg(test)]
use crate::counted::VecDeque;
use crate::time::MonoTime;

/// Ids that wait for their acknowledgement, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct AckQueue {
    ids: VecDeque<MsgId>,
    /// When the queue must be sent even if nothing else is; of no meaning while it is empty.
    due: MonoTime,
}

impl AckQueue {
    /// Creates an empty queue.
    pub(crate) const fn new() -> Self {
        Self { ids: VecDeque::new(), due: MonoTime::ZERO }
    }

    /// Returns how many ids wait.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Adds an id that may wait for `delay`; forgets the oldest beyond `limit`.
    ///
    /// A forgotten acknowledgement costs a repetition by the other side and nothing else.
    #[inline]
    pub(crate) fn push(&mut self, id: MsgId, now: MonoTime, delay: Duration, limit: usize) {
        if self.ids.is_empty() {
            // Time does not run backwards, so the first to wait is the first that is due.
            self.due = now + delay;
        } else if self.ids.len() >= limit {
            self.ids.pop_front();
        }
        if self.ids.len() == self.ids.capacity() {
            self.grow();
        }
        self.ids.push_back(id);
    }

    /// Grows by doubling from one: most sessions owe one acknowledgement at a time, and a deque would begin with four.
    #[cold]
    fn grow(&mut self) {
        self.ids.reserve_exact(self.ids.len().max(1));
    }

    /// Makes whatever waits due at once.
    pub(crate) fn hurry(&mut self, now: MonoTime) {
        self.due = now;
    }

    /// Returns whether a packet should be made for the acknowledgements alone.
    #[inline]
    pub(crate) fn is_due(&self, now: MonoTime, count: usize) -> bool {
        !self.ids.is_empty() && (self.ids.len() >= count || self.due <= now)
    }

    /// Returns when the queue must be sent at the latest.
    pub(crate) fn deadline(&self) -> Option<MonoTime> {
        (!self.ids.is_empty()).then_some(self.due)
    }

    /// Takes out the oldest ids, at most `max`.
    pub(crate) fn drain(&mut self, max: usize) -> impl ExactSizeIterator<Item = MsgId> + '_ {
        let count = self.ids.len().min(max);
        self.ids.drain(..count)
    }

    /// Forgets those that need not be sent.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(MsgId) -> bool) {
        self.ids.retain(|id| keep(*id));
    }

    /// Returns whether nothing waits and yet there is memory for more than so many.
    pub(crate) fn keeps_more_than(&self, ids: usize) -> bool {
        self.ids.is_empty() && self.ids.capacity() > ids
    }

    /// Gives the memory back if nothing waits.
    pub(crate) fn release(&mut self) {
        if self.ids.is_empty() {
            self.ids = VecDeque::new();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_secs(seconds))
    }

    #[test]
    fn the_deadline_is_that_of_the_oldest() {
        let mut queue = AckQueue::new();
        queue.push(MsgId::from_raw(1), at(0), DELAY, 10);
        queue.push(MsgId::from_raw(5), at(9), DELAY, 10);
        assert!(!queue.is_due(at(9), 3));
        assert!(queue.is_due(at(9), 2));
        assert!(queue.is_due(at(10), 3));
        assert_eq!(queue.drain(8).count(), 2);
        assert_eq!(queue.deadline(), None);
        assert!(!queue.is_due(at(1000), 1));
    }

    #[test]
    fn the_queue_is_bounded_and_keeps_the_newest() {
        let mut queue = AckQueue::new();
        for raw in 0..100 {
            queue.push(MsgId::from_raw(raw), at(0), DELAY, 10);
        }
        assert_eq!(queue.drain(3).map(MsgId::to_raw).collect::<Vec<_>>(), [90, 91, 92]);
        assert_eq!(queue.len(), 7);
        assert!(queue.deadline().is_some(), "what is left keeps its deadline");
    }
}
