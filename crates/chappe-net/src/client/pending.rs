//! A call under way, as a future that any executor can poll and a thread can wait for.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use chappe_session::client::CallId;
use chappe_tl::deserialize;

use super::InvokeError;
use super::shared::Shared;

/// Where the answer to a call is put.
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
    /// Ends the call; returns who is to be told.
    pub(crate) fn settle(&self, outcome: Result<Vec<u8>, InvokeError>) -> Option<Waker> {
        let mut state = self.lock();
        state.is_received = true;
        state.outcome = Some(outcome);
        state.waker.take()
    }

    /// Notes that the datacenter has the call; returns who is to be told.
    pub(crate) fn note_received(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.is_received = true;
        state.waker.take()
    }

    /// Ends what is waited for, and tells.
    pub(crate) fn finish(&self, outcome: Result<Vec<u8>, InvokeError>) {
        if let Some(waker) = self.settle(outcome) {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way.
///
/// It was accepted already and goes out whether or not anybody polls it. It ends exactly once. Dropping it cancels the
/// call: if it was sent, the datacenter is asked to drop the answer (`rpc_drop_answer`).
#[must_use = "dropping a call cancels it"]
pub struct PendingCall<T> {
    stage: Stage,
    decode: fn(Vec<u8>) -> Result<T, deserialize::Error>,
    result: PhantomData<fn() -> T>,
}

enum Stage {
    /// It was not accepted.
    Refused(InvokeError),
    /// Not a call but something else that is waited for.
    Signal(Arc<Slot>),
    Waiting {
        slot: Arc<Slot>,
        shared: Arc<Shared>,
        call: CallId,
    },
    Over,
}

impl<T> PendingCall<T> {
    pub(super) fn new(
        accepted: Result<(Arc<Slot>, Arc<Shared>, CallId), InvokeError>,
        decode: fn(Vec<u8>) -> Result<T, deserialize::Error>,
    ) -> Self {
        let stage = match accepted {
            Ok((slot, shared, call)) => Stage::Waiting { slot, shared, call },
            Err(error) => Stage::Refused(error),
        };
        Self { stage, decode, result: PhantomData }
    }

    /// Waits for something that is no call.
    pub(crate) fn signal(slot: Arc<Slot>) -> PendingCall<Vec<u8>> {
        PendingCall { stage: Stage::Signal(slot), decode: Ok, result: PhantomData }
    }

    /// Says whether the answer is there, so that the next poll gives it.
    pub fn is_finished(&self) -> bool {
        match &self.stage {
            Stage::Waiting { slot, .. } | Stage::Signal(slot) => slot.lock().outcome.is_some(),
            Stage::Refused(_) | Stage::Over => true,
        }
    }

    /// Says whether the datacenter is known to have the call: by a quick acknowledgement, if
    /// [`InvokeOptions::quick_ack`](super::InvokeOptions::quick_ack) asked for one, or by its answer.
    pub fn is_received(&self) -> bool {
        match &self.stage {
            Stage::Waiting { slot, .. } | Stage::Signal(slot) => slot.lock().is_received,
            Stage::Refused(_) | Stage::Over => true,
        }
    }

    /// Waits until [`is_received`](Self::is_received).
    pub fn received(&mut self) -> Received<'_, T> {
        Received { call: self }
    }

    /// Has the current thread wait for the answer.
    ///
    /// # Errors
    ///
    /// As awaiting the call.
    pub fn wait(self) -> Result<T, InvokeError> {
        block_on(self)
    }

    /// Has the current thread wait for the answer, no longer than `timeout`; `None` if it did not come. The call goes on.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, InvokeError>> {
        block_on_until(self, Instant::now() + timeout)
    }

    /// Gives the call up, as dropping it does.
    pub fn cancel(self) {
        drop(self);
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
            shared.cancel(*call);
        }
    }
}

impl<T> fmt::Debug for PendingCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// Waits until the datacenter is known to have a call; see [`PendingCall::received`].
#[derive(Debug)]
#[must_use = "nothing is waited for unless this is"]
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

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Has the current thread wait for a future that something in another thread wakes.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// The same, no longer than until `deadline`.
pub(crate) fn block_on_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
