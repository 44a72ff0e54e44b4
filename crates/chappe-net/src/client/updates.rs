//! Updates: a bounded queue that reports what it drops.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chappe_framing::MsgId;
use chappe_session::client::AuthorizationTrouble;
use chappe_tl::{DecodeError, Deserializable};

use super::UpdateLimits;
use crate::block_on::{block_on, block_on_for};
use crate::store::StoreError;
use crate::waiters::{Ticket, Waiters, Woken};

/// Something that the datacenter sent unasked, or that happened to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// An object, such as `updates`.
    Object(UpdateObject),
    /// Updates are missing. Fetch the difference (`updates.getDifference`).
    Gap(Gap),
    /// The state of the key or of the login changed.
    Authorization(AuthorizationTrouble),
    /// The state of the client could not be saved. The client tries again by itself; until that succeeds,
    /// [`Status::store_error`](super::Status::store_error) returns the error.
    StoreFailed(StoreFailure),
}

/// Why the state of a client could not be saved. Two are equal if they are the same failure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreFailure {
    /// The error of the store.
    pub error: Arc<StoreError>,
}

impl PartialEq for StoreFailure {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.error, &other.error)
    }
}

impl Eq for StoreFailure {}

/// An object that answers no call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateObject {
    /// Identifier of its message.
    pub msg_id: MsgId,
    /// The object, constructor id first.
    pub bytes: Vec<u8>,
}

impl UpdateObject {
    /// Reads the object.
    ///
    /// # Errors
    ///
    /// Fails if it is of another type; its bytes are still there.
    pub fn decode<T: Deserializable>(&self) -> Result<T, DecodeError> {
        T::from_bytes(&self.bytes)
    }
}

/// Why updates are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gap {
    /// The server made a new session and dropped what it held for the former one. The first session of a run reports
    /// this too.
    NewSession,
    /// The queue was full, because updates were not fetched.
    Overflow {
        /// How many were dropped.
        dropped: u64,
    },
}

/// The queue between a client and the readers of its updates.
#[derive(Debug)]
pub(crate) struct UpdateQueue {
    limits: UpdateLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Update>,
    bytes: usize,
    readers: Waiters,
    is_over: bool,
}

impl UpdateQueue {
    pub(crate) fn new(limits: UpdateLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Appends an object. If there is no room, counts it in a gap at the end of the queue.
    ///
    /// Every reader is to be woken: one that was woken alone could be dropped before it fetches anything.
    pub(crate) fn push_object(&self, msg_id: MsgId, body: &[u8]) -> Woken {
        let mut state = self.lock();
        let fits = state.waiting.len() < self.limits.count
            && state.bytes.saturating_add(body.len()) <= self.limits.bytes;
        match state.waiting.back_mut() {
            Some(Update::Gap(Gap::Overflow { dropped })) => *dropped += 1,
            _ if fits => {
                state.bytes += body.len();
                let object = UpdateObject { msg_id, bytes: body.to_vec() };
                state.waiting.push_back(Update::Object(object));
            }
            // One place above the limit, so that the gap is always reported.
            _ => state.waiting.push_back(Update::Gap(Gap::Overflow { dropped: 1 })),
        }
        state.readers.take()
    }

    /// Appends something other than an object. Such updates are few; of two equal ones in a row the second is dropped.
    pub(crate) fn push(&self, update: Update) -> Woken {
        let mut state = self.lock();
        // In a full queue a second gap behind a first adds nothing: either makes the reader fetch the difference.
        let is_second_gap =
            matches!(update, Update::Gap(_)) && matches!(state.waiting.back(), Some(Update::Gap(_)));
        let is_repeated = state.waiting.back() == Some(&update);
        if !(is_repeated || is_second_gap && state.waiting.len() > self.limits.count) {
            state.waiting.push_back(update);
        }
        state.readers.take()
    }

    /// Ends the queue: readers get what is left, then [`None`].
    pub(crate) fn finish(&self) -> Woken {
        let mut state = self.lock();
        state.is_over = true;
        state.readers.take()
    }

    fn poll_next(&self, ticket: &mut Option<Ticket>, context: &Context<'_>) -> Poll<Option<Update>> {
        let mut state = self.lock();
        if let Some(update) = state.waiting.pop_front() {
            if let Update::Object(object) = &update {
                state.bytes -= object.bytes.len();
            }
            return Poll::Ready(Some(update));
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        state.readers.register(ticket, context);
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The updates of a client, in the order they came. Clones take from the same queue.
///
/// The queue is bounded. If it is full, further updates are counted, and a [`Gap::Overflow`] stands in their place.
#[derive(Clone, Debug)]
pub struct Updates {
    queue: Arc<UpdateQueue>,
}

/// What a wait for an update with a time-out ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// An update came.
    Update(Update),
    /// No update came in time. The next wait may have more luck.
    TimedOut,
    /// The client is closed and every update was fetched.
    Closed,
}

impl Updates {
    pub(crate) const fn new(queue: Arc<UpdateQueue>) -> Self {
        Self { queue }
    }

    /// Returns the next update as soon as there is one; `None` once the client is closed and every update was fetched.
    ///
    /// Cancel safe: dropping the future loses no update and leaves nothing behind.
    pub fn recv(&mut self) -> NextUpdate<'_> {
        NextUpdate { queue: &self.queue, ticket: None }
    }

    /// Blocks until the next update comes; `None` as for [`recv`](Self::recv).
    pub fn wait(&mut self) -> Option<Update> {
        block_on(self.recv())
    }

    /// Blocks until the next update comes, no longer than `timeout`.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Waited {
        match block_on_for(self.recv(), timeout) {
            Some(Some(update)) => Waited::Update(update),
            Some(None) => Waited::Closed,
            None => Waited::TimedOut,
        }
    }
}

/// Future of the next update; see [`Updates::recv`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct NextUpdate<'a> {
    queue: &'a UpdateQueue,
    ticket: Option<Ticket>,
}

impl Future for NextUpdate<'_> {
    type Output = Option<Update>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        let this = &mut *self;
        this.queue.poll_next(&mut this.ticket, context)
    }
}

impl Drop for NextUpdate<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.queue.lock().readers.remove(self.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Waker;

    use super::*;

    fn queue(count: usize, bytes: usize) -> (Arc<UpdateQueue>, Updates) {
        let queue = Arc::new(UpdateQueue::new(UpdateLimits { count, bytes }));
        (Arc::clone(&queue), Updates::new(queue))
    }

    fn object(number: i64) -> (MsgId, [u8; 4]) {
        (MsgId::from_raw(number), [number as u8; 4])
    }

    #[test]
    fn what_does_not_fit_is_counted_where_it_is_missing() {
        let (queue, mut updates) = queue(2, 100);
        for number in 1..=5 {
            let (msg_id, body) = object(number);
            queue.push_object(msg_id, &body).wake();
        }
        assert!(matches!(updates.wait(), Some(Update::Object(object)) if object.bytes == [1; 4]));
        // Room again, but not before the gap was read: what comes now belongs behind it.
        queue.push_object(object(6).0, &object(6).1).wake();
        assert!(matches!(updates.wait(), Some(Update::Object(object)) if object.bytes == [2; 4]));
        assert_eq!(updates.wait(), Some(Update::Gap(Gap::Overflow { dropped: 4 })));
        queue.push_object(object(7).0, &object(7).1).wake();
        assert!(matches!(updates.wait(), Some(Update::Object(object)) if object.bytes == [7; 4]));
        queue.finish().wake();
        assert_eq!(updates.wait(), None);
    }

    #[test]
    fn bytes_count_as_well_as_updates() {
        let (queue, mut updates) = queue(100, 6);
        queue.push_object(object(1).0, &object(1).1).wake();
        queue.push_object(object(2).0, &object(2).1).wake();
        assert!(matches!(updates.wait(), Some(Update::Object(_))));
        assert_eq!(updates.wait(), Some(Update::Gap(Gap::Overflow { dropped: 1 })));
        assert_eq!(updates.wait_timeout(Duration::from_millis(1)), Waited::TimedOut);
        queue.finish().wake();
        assert_eq!(updates.wait_timeout(Duration::MAX), Waited::Closed);
    }

    #[test]
    fn waits_that_end_without_an_update_leave_no_waker_behind() {
        let (queue, mut updates) = queue(100, 100);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..10_000 {
            assert_eq!(updates.wait_timeout(Duration::ZERO), Waited::TimedOut);
            assert!(pin!(updates.recv()).poll(&mut context).is_pending(), "polled once and dropped");
        }
        assert_eq!(queue.lock().readers.len(), 0);
    }
}
