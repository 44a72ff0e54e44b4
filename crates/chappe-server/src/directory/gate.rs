//! Connections that wait for a directory.

use core::{fmt, mem};
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;

use crate::session::Waker;

/// What came of a request that connections wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The engine has now what was missing.
    Ready,
    /// There is no such key.
    Unknown,
    /// The frame may be a recorded one.
    Stale,
    /// The directory did not answer.
    Failed,
}

/// A request that connections wait for.
#[derive(Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    wakers: Vec<Waker>,
}

impl Gate {
    /// Calls `waker` at the end.
    pub(crate) fn wait(&self, waker: &Waker) {
        lock(&self.0).wakers.push(Arc::clone(waker));
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        lock(&self.0).outcome
    }

    fn open(&self, outcome: Outcome) {
        let mut state = lock(&self.0);
        state.outcome.get_or_insert(outcome);
        let wakers = mem::take(&mut state.wakers);
        drop(state);
        for wake in wakers {
            wake();
        }
    }
}

/// Ends a request. Dropping it makes the request fail.
pub(crate) struct GateGuard(pub(crate) Arc<Gate>);

impl GateGuard {
    pub(crate) fn open(self, outcome: Outcome) {
        self.0.open(outcome);
    }
}

impl Drop for GateGuard {
    fn drop(&mut self) {
        self.0.open(Outcome::Failed);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("outcome", &self.outcome()).finish_non_exhaustive()
    }
}
