//! Requests to a directory that a worker has not taken yet.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;

use crate::Engine;

/// A request to a directory, and what the engine does with the answer. Dropping it before its end makes the request fail.
pub type DirectoryTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes the requests of an engine to its directory, for a runtime to run.
///
/// Poll all tasks at the same time: connections wait for each. While an engine has no worker, its directory is out of
/// reach.
pub struct DirectoryWorker {
    engine: Arc<Engine>,
}

impl DirectoryWorker {
    /// Registers a worker. Returns `None` if the engine has no directory.
    pub fn new(engine: &Arc<Engine>) -> Option<Self> {
        let tasks = &engine.directory()?.tasks;
        tasks.add_worker();
        if let Some(member) = engine.member() {
            tasks.push(member);
        }
        Some(Self { engine: Arc::clone(engine) })
    }

    /// Takes the next task, or waits for one. Polling it from several tasks or threads is allowed.
    pub fn poll_task(&self, context: &mut Context<'_>) -> Poll<DirectoryTask> {
        self.engine.directory().map_or(Poll::Pending, |directory| directory.tasks.poll_next(context))
    }

    /// Waits for the next task.
    pub async fn next_task(&self) -> DirectoryTask {
        poll_fn(|context| self.poll_task(context)).await
    }
}

impl Drop for DirectoryWorker {
    fn drop(&mut self) {
        if let Some(directory) = self.engine.directory() {
            directory.tasks.remove_worker();
        }
    }
}

impl fmt::Debug for DirectoryWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryWorker").finish_non_exhaustive()
    }
}

/// The tasks of an engine.
#[derive(Default)]
pub(crate) struct DirectoryTasks(Mutex<State>);

#[derive(Default)]
struct State {
    workers: usize,
    /// Bounded by those that make tasks: look-ups by the options, handshakes by their queue, and others by the number of
    /// connections.
    waiting: VecDeque<DirectoryTask>,
    wakers: Vec<Waker>,
}

impl DirectoryTasks {
    fn add_worker(&self) {
        lock(&self.0).workers += 1;
    }

    /// The last worker that ends drops the tasks that are left.
    fn remove_worker(&self) {
        let mut state = lock(&self.0);
        state.workers -= 1;
        if state.workers == 0 {
            let left = core::mem::take(&mut state.waiting);
            drop(state);
            // Without the lock: what fails may make further tasks.
            drop(left);
        }
    }

    /// Adds a task; drops it if there is no worker. Returns whether it will run.
    pub(crate) fn push(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut state = lock(&self.0);
        if state.workers == 0 {
            drop(state);
            return false;
        }
        state.waiting.push_back(Box::pin(task));
        let wakers = core::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<DirectoryTask> {
        let mut state = lock(&self.0);
        if let Some(task) = state.waiting.pop_front() {
            return Poll::Ready(task);
        }
        if !state.wakers.iter().any(|known| known.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}
