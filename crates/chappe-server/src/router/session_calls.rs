//! The calls of one session: those that run and those that wait.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_framing::MsgId;

use super::pending::Pending;
use super::stop::Stop;

/// The calls of one session. Their number is bounded by [`ServerConfig::running_queries`](chappe_session::server::ServerConfig).
#[derive(Default)]
pub(crate) struct SessionCalls(Mutex<State>);

#[derive(Default)]
struct State {
    running: Vec<(MsgId, Arc<Stop>)>,
    /// In the order in which they came.
    waiting: VecDeque<Waiting>,
    is_over: bool,
}

struct Waiting {
    pending: Pending,
    /// Calls of this session that must end before it begins, as `invokeAfterMsg` asks.
    after: Vec<MsgId>,
}

/// What to do with a call that has come.
pub(super) enum Begun {
    Run(Pending, Arc<Stop>),
    /// It waits for others.
    Waits,
    /// The session has ended.
    Over,
}

/// What to do after the end of another call.
pub(super) enum Next {
    Run(Pending, Arc<Stop>),
    /// A call that it was to follow failed.
    Fail(Pending),
}

impl SessionCalls {
    /// Takes a call that has come, of which at most `most` run.
    pub(super) fn begin(&self, pending: Pending, most: usize) -> Begun {
        let mut state = lock(&self.0);
        if state.is_over {
            return Begun::Over;
        }
        let mut after = pending.context().after().to_vec();
        after.retain(|id| state.has(*id));
        if !after.is_empty() || state.running.len() >= most {
            state.waiting.push_back(Waiting { pending, after });
            return Begun::Waits;
        }
        let stop = state.run(&pending);
        Begun::Run(pending, stop)
    }

    /// Notes the end of a call that ran. Returns what that makes possible.
    pub(super) fn end(&self, id: MsgId, succeeded: bool, most: usize) -> Vec<Next> {
        let mut state = lock(&self.0);
        state.running.retain(|(running, _)| *running != id);
        let mut next = Vec::new();
        state.note_end(id, succeeded, &mut next);
        state.run_waiting(most, &mut next);
        next
    }

    /// Ends a call that the client no longer wants. Returns what that makes possible.
    pub(super) fn stop(&self, id: MsgId, most: usize) -> Vec<Next> {
        let mut state = lock(&self.0);
        if let Some((_, stop)) = state.running.iter().find(|(running, _)| *running == id) {
            let stop = Arc::clone(stop);
            drop(state);
            // What it leaves behind follows when its future is gone.
            stop.stop();
            return Vec::new();
        }
        let mut next = Vec::new();
        if let Some(place) = state.waiting.iter().position(|waiting| waiting.pending.msg_id() == id) {
            state.waiting.remove(place);
            state.note_end(id, false, &mut next);
            state.run_waiting(most, &mut next);
        }
        next
    }

    /// Ends all calls, since the session has ended.
    pub(super) fn stop_all(&self) {
        let mut state = lock(&self.0);
        state.is_over = true;
        let (running, waiting) = (mem::take(&mut state.running), mem::take(&mut state.waiting));
        drop(state);
        drop(waiting);
        for (_, stop) in running {
            stop.stop();
        }
    }
}

impl State {
    fn has(&self, id: MsgId) -> bool {
        let is_waiting = || self.waiting.iter().any(|waiting| waiting.pending.msg_id() == id);
        self.running.iter().any(|(running, _)| *running == id) || is_waiting()
    }

    fn run(&mut self, pending: &Pending) -> Arc<Stop> {
        let stop = Arc::<Stop>::default();
        self.running.push((pending.msg_id(), Arc::clone(&stop)));
        stop
    }

    /// Frees the calls that waited for one that has ended. If it failed, they fail, and so do those that wait for them.
    fn note_end(&mut self, id: MsgId, succeeded: bool, next: &mut Vec<Next>) {
        let mut failed = if succeeded { Vec::new() } else { vec![id] };
        if succeeded {
            self.waiting.iter_mut().for_each(|waiting| waiting.after.retain(|after| *after != id));
        }
        while let Some(id) = failed.pop() {
            for waiting in mem::take(&mut self.waiting) {
                if waiting.after.contains(&id) {
                    failed.push(waiting.pending.msg_id());
                    next.push(Next::Fail(waiting.pending));
                } else {
                    self.waiting.push_back(waiting);
                }
            }
        }
    }

    fn run_waiting(&mut self, most: usize, next: &mut Vec<Next>) {
        while self.running.len() < most {
            let first = self.waiting.iter().position(|waiting| waiting.after.is_empty());
            let Some(Waiting { pending, .. }) = first.and_then(|place| self.waiting.remove(place)) else {
                return;
            };
            let stop = self.run(&pending);
            next.push(Next::Run(pending, stop));
        }
    }
}

impl fmt::Debug for SessionCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0);
        f.debug_struct("SessionCalls")
            .field("running", &state.running.len())
            .field("waiting", &state.waiting.len())
            .finish()
    }
}
