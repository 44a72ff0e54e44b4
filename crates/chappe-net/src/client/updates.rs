//! What comes without having been asked for, in a bounded queue that never loses anything silently.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chappe_framing::MsgId;
use chappe_session::client::AuthorizationTrouble;
use chappe_tl::deserialize::{self, Deserializable};

use super::UpdateLimits;
use super::pending::{block_on, block_on_until};

/// Something that came without having been asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// An object, such as `updates`.
    Object(UpdateObject),
    /// Updates are missing: fetch the difference (`updates.getDifference`).
    Gap(Gap),
    /// The datacenter says something about the login.
    Authorization(AuthorizationTrouble),
}

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
    pub fn decode<T: Deserializable>(&self) -> Result<T, deserialize::Error> {
        T::from_bytes(&self.bytes)
    }
}

/// Why updates are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gap {
    /// The server made a new session: what it had for the former one is lost. The first one of a run says so too.
    NewSession,
    /// They were not fetched, and the queue was full.
    Overflow {
        /// How many were dropped.
        dropped: u64,
    },
}

/// The queue between a driver and whoever wants updates.
#[derive(Debug)]
pub(crate) struct UpdateQueue {
    limits: UpdateLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Update>,
    bytes: usize,
    wakers: Vec<Waker>,
    is_over: bool,
}

impl UpdateQueue {
    pub(crate) fn new(limits: UpdateLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Puts an object in, or counts it as dropped at the end of the queue.
    pub(crate) fn push_object(&self, msg_id: MsgId, body: &[u8]) {
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
        wake(state);
    }

    /// Puts a remark in. Remarks are few; two of a kind in a row are one.
    pub(crate) fn push(&self, update: Update) {
        let mut state = self.lock();
        // If nobody fetches them, a gap at the end says what a further one would.
        let says_little =
            matches!(update, Update::Gap(_)) && matches!(state.waiting.back(), Some(Update::Gap(_)));
        let is_repeated = state.waiting.back() == Some(&update);
        if !(is_repeated || says_little && state.waiting.len() > self.limits.count) {
            state.waiting.push_back(update);
        }
        wake(state);
    }

    /// Nothing more will come.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        state.is_over = true;
        wake(state);
    }

    fn poll_next(&self, context: &Context<'_>) -> Poll<Option<Update>> {
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
        if !state.wakers.iter().any(|known| known.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let wakers = std::mem::take(&mut state.wakers);
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

/// The updates of a client, in the order they came. Clones take from the same queue.
///
/// The queue is bounded. If it is full, further updates are counted, and a [`Gap::Overflow`] stands in their place.
#[derive(Clone, Debug)]
pub struct Updates {
    queue: Arc<UpdateQueue>,
}

impl Updates {
    pub(crate) const fn new(queue: Arc<UpdateQueue>) -> Self {
        Self { queue }
    }

    /// Waits for the next update; `None` once the client is closed and everything was fetched. May be cancelled.
    pub fn recv(&mut self) -> NextUpdate<'_> {
        NextUpdate { queue: &self.queue }
    }

    /// Has the current thread wait for the next update; `None` as for [`recv`](Self::recv).
    pub fn wait(&mut self) -> Option<Update> {
        block_on(self.recv())
    }

    /// The same, no longer than `timeout`: `None` if nothing came, `Some(None)` if nothing will.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Option<Update>> {
        block_on_until(self.recv(), Instant::now() + timeout)
    }
}

/// Waits for the next update; see [`Updates::recv`].
#[derive(Debug)]
#[must_use = "nothing is waited for unless this is"]
pub struct NextUpdate<'a> {
    queue: &'a UpdateQueue,
}

impl Future for NextUpdate<'_> {
    type Output = Option<Update>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        self.queue.poll_next(context)
    }
}

#[cfg(test)]
mod tests {
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
            queue.push_object(msg_id, &body);
        }
        assert!(matches!(updates.wait(), Some(Update::Object(object)) if object.bytes == [1; 4]));
        // Room again, but not before the gap was read: what comes now belongs behind it.
        queue.push_object(object(6).0, &object(6).1);
        assert!(matches!(updates.wait(), Some(Update::Object(object)) if object.bytes == [2; 4]));
        assert_eq!(updates.wait(), Some(Update::Gap(Gap::Overflow { dropped: 4 })));
        queue.push_object(object(7).0, &object(7).1);
        assert!(matches!(updates.wait(), Some(Update::Object(object)) if object.bytes == [7; 4]));
        queue.finish();
        assert_eq!(updates.wait(), None);
    }

    #[test]
    fn bytes_count_as_well_as_updates() {
        let (queue, mut updates) = queue(100, 6);
        queue.push_object(object(1).0, &object(1).1);
        queue.push_object(object(2).0, &object(2).1);
        assert!(matches!(updates.wait(), Some(Update::Object(_))));
        assert_eq!(updates.wait(), Some(Update::Gap(Gap::Overflow { dropped: 1 })));
        assert_eq!(updates.wait_timeout(Duration::from_millis(1)), None);
    }
}
