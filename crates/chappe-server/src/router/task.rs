//! A handler's future, as it runs: it can be stopped, and a panic in it is an answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use chappe_types::RpcError;

use super::answer::Reply;
use super::context::CallContext;
use super::stop::Stop;

/// What a handler makes of a call.
pub(super) type Outcome = Result<Reply, RpcError>;

/// The future of a handler.
pub(super) type CallFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A running handler. Its result is `None` if it was stopped.
pub(super) struct Task {
    /// `None` once it has ended.
    future: Option<CallFuture>,
    stop: Arc<Stop>,
    context: CallContext,
}

impl Task {
    pub(super) const fn new(future: CallFuture, stop: Arc<Stop>, context: CallContext) -> Self {
        Self { future: Some(future), stop, context }
    }
}

impl Future for Task {
    type Output = Option<Outcome>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.stop.is_stopped(context.waker()) {
            self.future = None;
            return Poll::Ready(None);
        }
        let Some(future) = &mut self.future else { return Poll::Ready(None) };
        // A future that has panicked is dropped and never polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => {
                self.future = None;
                Poll::Ready(Some(outcome))
            }
            Err(_) => {
                self.future = None;
                self.context.engine().refusals().panics.fetch_add(1, Ordering::Relaxed);
                Poll::Ready(Some(Err(RpcError::new(500, "INTERNAL_SERVER_ERROR"))))
            }
        }
    }
}
