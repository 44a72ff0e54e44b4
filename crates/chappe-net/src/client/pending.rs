//! A call under way: a future that any executor can poll and a thread can block on.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chappe_tl::DecodeError;

use super::{CallReference, InvokeError};
use crate::block_on::{block_on, block_on_for};
use crate::driver::Shared;
use crate::engine::Engine;

/// Where the outcome of a call is put.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Result<Vec<u8>, InvokeError>>,
    is_received: bool,
    waker: Option<Waker>,
}

impl Slot {
    /// Ends the call and returns the waker to wake.
    #[must_use = "the waiters must be woken"]
    pub(crate) fn settle(&self, outcome: Result<Vec<u8>, InvokeError>) -> Option<Waker> {
        let mut state = self.lock();
        state.is_received = true;
        state.outcome = Some(outcome);
        state.waker.take()
    }

    /// Records that the datacenter received the call and returns the waker to wake.
    #[must_use = "the waiters must be woken"]
    pub(crate) fn note_received(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.is_received = true;
        state.waker.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that an engine has accepted.
pub(super) struct Accepted {
    pub(super) slot: Arc<Slot>,
    pub(super) shared: Arc<Shared<Engine>>,
    pub(super) call: CallReference,
}

/// A call under way.
///
/// It was accepted already and is sent whether or not it is polled. It ends exactly once. Dropping it cancels the call:
/// if the call was sent, the datacenter is asked to drop the answer (`rpc_drop_answer`).
#[must_use = "dropping a call cancels it"]
pub struct PendingCall<T> {
    stage: Stage,
    decode: fn(Vec<u8>) -> Result<T, DecodeError>,
    result: PhantomData<fn() -> T>,
}

enum Stage {
    /// The call was not accepted.
    Refused(InvokeError),
    /// Not a call: the end of a client, or its first connection.
    Signal(Arc<Slot>),
    Waiting {
        slot: Arc<Slot>,
        shared: Arc<Shared<Engine>>,
        call: CallReference,
    },
    Over,
}

impl<T> PendingCall<T> {
    pub(super) fn new(
        accepted: Result<Accepted, InvokeError>,
        decode: fn(Vec<u8>) -> Result<T, DecodeError>,
    ) -> Self {
        let stage = match accepted {
            Ok(Accepted { slot, shared, call }) => Stage::Waiting { slot, shared, call },
            Err(error) => Stage::Refused(error),
        };
        Self { stage, decode, result: PhantomData }
    }

    /// Waits for something other than a call.
    pub(crate) fn signal(slot: Arc<Slot>) -> PendingCall<Vec<u8>> {
        PendingCall { stage: Stage::Signal(slot), decode: Ok, result: PhantomData }
    }

    /// Waits for the answer to something that is not a call.
    pub(super) fn answer(
        slot: Result<Arc<Slot>, InvokeError>,
        decode: fn(Vec<u8>) -> Result<T, DecodeError>,
    ) -> Self {
        let stage = slot.map_or_else(Stage::Refused, Stage::Signal);
        Self { stage, decode, result: PhantomData }
    }

    /// Returns what the call is referred to by; `None` if it was not accepted or is over.
    pub(super) const fn reference(&self) -> Option<CallReference> {
        match &self.stage {
            Stage::Waiting { call, .. } => Some(*call),
            Stage::Refused(_) | Stage::Signal(_) | Stage::Over => None,
        }
    }

    /// Returns whether the call has ended, so that the next poll returns its outcome.
    pub fn is_finished(&self) -> bool {
        match &self.stage {
            Stage::Waiting { slot, .. } | Stage::Signal(slot) => slot.lock().outcome.is_some(),
            Stage::Refused(_) | Stage::Over => true,
        }
    }

    /// Returns whether the datacenter is known to have received the call: by a quick acknowledgement, if
    /// [`InvokeOptions::quick_ack`](super::InvokeOptions::quick_ack) asked for one, or by its answer.
    pub fn is_received(&self) -> bool {
        match &self.stage {
            Stage::Waiting { slot, .. } | Stage::Signal(slot) => slot.lock().is_received,
            Stage::Refused(_) | Stage::Over => true,
        }
    }

    /// Returns a future that ends when [`is_received`](Self::is_received) returns `true`.
    pub fn received(&mut self) -> Received<'_, T> {
        Received { call: self }
    }

    /// Blocks until the answer arrives.
    ///
    /// # Errors
    ///
    /// As awaiting the call.
    pub fn wait(self) -> Result<T, InvokeError> {
        block_on(self)
    }

    /// Blocks until the answer arrives, no longer than `timeout`; `None` if it did not arrive. The call goes on.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, InvokeError>> {
        let outcome = block_on_for(&mut *self, timeout);
        self.forget_waker();
        outcome
    }

    /// Cancels the call, as dropping it does.
    pub fn cancel(self) {
        drop(self);
    }

    /// Drops the waker of a wait that is over.
    fn forget_waker(&self) {
        if let Stage::Waiting { slot, .. } | Stage::Signal(slot) = &self.stage {
            slot.lock().waker = None;
        }
    }

    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, InvokeError>> {
        let outcome = match &self.stage {
            Stage::Waiting { slot, .. } | Stage::Signal(slot) => {
                let mut state = slot.lock();
                let Some(outcome) = state.outcome.take() else {
                    register(&mut state.waker, context);
                    return Poll::Pending;
                };
                outcome
            }
            Stage::Refused(error) => Err(error.clone()),
            Stage::Over => return Poll::Pending,
        };
        self.stage = Stage::Over;
        Poll::Ready(outcome)
    }
}

fn register(waker: &mut Option<Waker>, context: &Context<'_>) {
    match waker {
        Some(known) => known.clone_from(context.waker()),
        None => *waker = Some(context.waker().clone()),
    }
}

impl<T> Future for PendingCall<T> {
    type Output = Result<T, InvokeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.poll_outcome(context) {
            Poll::Ready(outcome) => {
                Poll::Ready(outcome.and_then(|body| (self.decode)(body).map_err(InvokeError::Answer)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for PendingCall<T> {
    fn drop(&mut self) {
        if let Stage::Waiting { slot, shared, call } = &self.stage
            && slot.lock().outcome.is_none()
        {
            shared.command(|engine, now| engine.cancel(now, call.call));
        }
    }
}

impl<T> fmt::Debug for PendingCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// Future of the datacenter having received a call; see [`PendingCall::received`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct Received<'a, T> {
    call: &'a mut PendingCall<T>,
}

impl<T> Future for Received<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Stage::Waiting { slot, .. } = &self.call.stage {
            let mut state = slot.lock();
            if !state.is_received {
                register(&mut state.waker, context);
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl<T> Drop for Received<'_, T> {
    fn drop(&mut self) {
        self.call.forget_waker();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_over_leaves_no_waker_behind() {
        let slot = Arc::<Slot>::default();
        let mut call = PendingCall::<Vec<u8>>::signal(Arc::clone(&slot));
        for _ in 0..10_000 {
            assert!(call.wait_timeout(Duration::ZERO).is_none());
            assert!(slot.lock().waker.is_none());
        }
        drop(call.received());
        assert!(slot.lock().waker.is_none());
    }

    #[test]
    fn any_time_out_can_be_waited_for() {
        for timeout in [Duration::ZERO, Duration::from_secs(60), Duration::from_secs(u64::MAX), Duration::MAX]
        {
            let slot = Arc::<Slot>::default();
            assert!(slot.settle(Ok(vec![7])).is_none(), "nobody waits yet");
            let outcome = PendingCall::<Vec<u8>>::signal(slot).wait_timeout(timeout);
            assert!(matches!(outcome, Some(Ok(body)) if body == [7]), "{timeout:?}");
        }
    }
}
