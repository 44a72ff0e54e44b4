//! Slots in use by the clients of this process.
//!
//! A client claims its slot before it loads the key and gives it back when it has ended: two clients that start at once on
//! one store would each make a key, and one of the keys would be lost.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::Slot;
use crate::waiters::{Ticket, Waiters};

/// What is claimed: a slot of the store with this [`id`](super::KeyStore::id).
pub(super) type Place = (usize, Slot);

/// Places in use, and who waits for them.
static CLAIMED: LazyLock<Mutex<HashMap<Place, Waiters>>> = LazyLock::new(Mutex::default);

fn claimed() -> MutexGuard<'static, HashMap<Place, Waiters>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A claim to a place. Dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Lease(Place);

impl Lease {
    /// Waits until the place is free, and claims it.
    pub(super) const fn claim(place: Place) -> Claim {
        Claim { place, ticket: None }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let waiting = claimed().remove(&self.0);
        if let Some(mut waiting) = waiting {
            waiting.take().wake();
        }
    }
}

/// Future of a [`Lease`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub(super) struct Claim {
    place: Place,
    ticket: Option<Ticket>,
}

impl Future for Claim {
    type Output = Lease;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Lease> {
        let this = &mut *self;
        let mut claimed = claimed();
        if let Some(waiters) = claimed.get_mut(&this.place) {
            waiters.register(&mut this.ticket, context);
            return Poll::Pending;
        }
        claimed.insert(this.place, Waiters::default());
        this.ticket = None;
        Poll::Ready(Lease(this.place))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.ticket.is_some()
            && let Some(waiters) = claimed().get_mut(&self.place)
        {
            waiters.remove(self.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Waker;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::block_on::{block_on, block_on_for};

    #[test]
    fn a_place_has_one_holder_and_the_next_one_waits_for_it() {
        let place = (1, Slot::production(1));
        let first = block_on(Lease::claim(place));
        assert!(block_on_for(Lease::claim(place), Duration::ZERO).is_none());
        drop(block_on(Lease::claim((1, Slot::production(2)))));
        let next = thread::spawn(move || block_on(Lease::claim(place)));
        while claimed()[&place].len() == 0 {
            thread::yield_now();
        }
        drop(first);
        drop(next.join().expect("it gets the lease"));
        assert!(!claimed().contains_key(&place));
    }

    #[test]
    fn whoever_stops_waiting_leaves_nothing_behind() {
        let place = (2, Slot::production(1));
        let lease = block_on(Lease::claim(place));
        for _ in 0..1000 {
            let mut claim = pin!(Lease::claim(place));
            assert!(claim.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(claimed()[&place].len(), 0);
        drop(lease);
    }
}
