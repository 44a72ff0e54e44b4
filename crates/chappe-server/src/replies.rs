//! What workers have for a connection.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;

use chappe_carrier::lock;
use chappe_framing::FrameBuf;
use chappe_transport::TransportErrorCode;

use crate::connection::Waiting;
use crate::session::Waker;

/// Answers of handshakes that other threads compute for a connection.
pub(crate) struct Replies {
    waker: Waker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Queries that are not answered yet.
    pending: usize,
    ready: VecDeque<Waiting>,
}

impl Replies {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { waker, state: Mutex::default() }
    }

    /// Notes a query whose answer will come.
    pub(crate) fn expect(&self) {
        lock(&self.state).pending += 1;
    }

    pub(crate) fn answer(&self, frame: FrameBuf) {
        self.put(Waiting::Frame(frame));
    }

    /// Ends the connection.
    pub(crate) fn end(&self, code: Option<TransportErrorCode>) {
        self.put(Waiting::End(code));
    }

    /// Ends the connection, since there is too much work.
    pub(crate) fn refuse(&self) {
        self.end(Some(TransportErrorCode::TooManyConnections));
    }

    fn put(&self, reply: Waiting) {
        let mut state = lock(&self.state);
        state.pending = state.pending.saturating_sub(1);
        state.ready.push_back(reply);
        drop(state);
        (self.waker)();
    }

    pub(crate) fn take(&self) -> Option<Waiting> {
        lock(&self.state).ready.pop_front()
    }

    /// Returns whether a query is not answered yet.
    pub(crate) fn is_pending(&self) -> bool {
        lock(&self.state).pending > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        let state = lock(&self.state);
        state.pending == 0 && state.ready.is_empty()
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").finish_non_exhaustive()
    }
}
