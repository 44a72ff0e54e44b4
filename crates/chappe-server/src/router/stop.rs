//! The end of a call that runs, from outside.

use std::sync::Mutex;
use std::task::Waker;

use chappe_carrier::lock;

/// Ends a running call: its future is dropped when it would be polled next, which this causes.
#[derive(Debug, Default)]
pub(crate) struct Stop(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    waker: Option<Waker>,
}

impl Stop {
    pub(crate) fn stop(&self) {
        let mut state = lock(&self.0);
        state.is_stopped = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns whether the call was stopped; if not, `waker` is woken when it is.
    pub(super) fn is_stopped(&self, waker: &Waker) -> bool {
        let mut state = lock(&self.0);
        if !state.is_stopped && state.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        state.is_stopped
    }
}
