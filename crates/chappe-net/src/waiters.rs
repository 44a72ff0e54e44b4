//! Wakers of those who wait for one thing: one place for each waiter, which is empty once the waiter is gone.

use core::mem;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Waker};

/// Wakers, one for each waiter that was not woken since it was polled last.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Vec<(Ticket, Waker)>,
}

/// Names a waiter within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Ticket {
    fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Waiters {
    /// Keeps the waker of a waiter. It takes the place of the one that the same waiter left before.
    pub(crate) fn register(&mut self, ticket: &mut Option<Ticket>, context: &Context<'_>) {
        let ticket = *ticket.get_or_insert_with(Ticket::next);
        match self.waiting.iter_mut().find(|(known, _)| *known == ticket) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => self.waiting.push((ticket, context.waker().clone())),
        }
    }

    /// Drops the waker of a waiter that is gone.
    pub(crate) fn remove(&mut self, ticket: Option<Ticket>) {
        self.waiting.retain(|(known, _)| Some(*known) != ticket);
    }

    /// Returns all wakers. They are woken outside of the lock that guards this value, since waking may poll.
    pub(crate) fn take(&mut self) -> Woken {
        let first = self.waiting.pop().map(|(_, waker)| waker);
        // One waiter is the common case: the list keeps its memory, so that nothing is allocated for each message.
        let others = if self.waiting.is_empty() { Vec::new() } else { mem::take(&mut self.waiting) };
        Woken { first, others }
    }

    /// Returns how many waiters have left a waker.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// Wakers that were taken out.
#[derive(Debug)]
#[must_use = "the waiters must be woken"]
pub(crate) struct Woken {
    first: Option<Waker>,
    others: Vec<(Ticket, Waker)>,
}

impl Woken {
    /// Wakes all of them.
    pub(crate) fn wake(self) {
        self.into_wakers().for_each(Waker::wake);
    }

    /// Returns all of them, to be woken later.
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.first.into_iter().chain(self.others.into_iter().map(|(_, waker)| waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_has_one_place_however_often_it_is_polled() {
        let mut waiters = Waiters::default();
        let context = Context::from_waker(Waker::noop());
        let (mut one, mut other) = (None, None);
        for _ in 0..3 {
            waiters.register(&mut one, &context);
            waiters.register(&mut other, &context);
        }
        assert_eq!(waiters.len(), 2);
        waiters.remove(one);
        waiters.remove(None);
        assert_eq!(waiters.len(), 1);
        waiters.take().wake();
        assert_eq!(waiters.len(), 0);
        waiters.register(&mut other, &context);
        assert_eq!(waiters.len(), 1);
    }
}
