//! Handshake work that waits for a worker: bounded, and fair by network.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use chappe_carrier::lock;
use chappe_handshake::{PeerId, Work};

use crate::Budgets;
use crate::replies::Replies;

/// Work for a connection.
pub(crate) struct Task {
    pub(crate) work: Work,
    pub(crate) replies: Arc<Replies>,
}

/// Work that waits, and the number of workers.
#[derive(Debug, Default)]
pub(crate) struct HandshakeQueue {
    tasks: Mutex<Tasks<Task>>,
    changed: Condvar,
    workers: AtomicUsize,
}

impl HandshakeQueue {
    /// Returns whether a worker runs.
    pub(crate) fn has_workers(&self) -> bool {
        self.workers.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn add_worker(&self) {
        self.workers.fetch_add(1, Ordering::SeqCst);
    }

    /// The last worker that ends refuses the work that is left.
    pub(crate) fn remove_worker(&self) {
        if self.workers.fetch_sub(1, Ordering::SeqCst) == 1 {
            while let Some(task) = self.pop() {
                task.replies.refuse();
            }
        }
    }

    /// Adds work. If there is no room, refuses it, or the latest of the network with the most. Returns whether nothing was
    /// refused.
    pub(crate) fn push(&self, task: Task, budgets: &Budgets) -> bool {
        let (most, most_of_network) = (budgets.handshakes_queued, budgets.handshakes_queued_per_network);
        let network = task.work.peer();
        let refused = lock(&self.tasks).push(network, task, most, most_of_network);
        self.changed.notify_one();
        if let Some(task) = &refused {
            task.replies.refuse();
        }
        refused.is_none()
    }

    /// Takes out the next work whose connection still waits.
    pub(crate) fn pop(&self) -> Option<Task> {
        let mut tasks = lock(&self.tasks);
        // A connection that is closed has dropped its half of the replies.
        core::iter::from_fn(|| tasks.pop()).find(|task| Arc::strong_count(&task.replies) > 1)
    }

    /// Blocks until there is work, or `is_over` returns true, for `most` at most.
    pub(crate) fn wait(&self, most: Duration, is_over: impl Fn() -> bool) {
        let is_idle = |tasks: &mut Tasks<Task>| tasks.is_empty() && !is_over();
        let waiting = self.changed.wait_timeout_while(lock(&self.tasks), most, is_idle);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    /// Wakes all workers, so that they look whether they are over. `change` makes them so.
    pub(crate) fn wake_all(&self, change: impl FnOnce()) {
        // Within the lock: a worker that has just looked must not miss it.
        let tasks = lock(&self.tasks);
        change();
        drop(tasks);
        self.changed.notify_all();
    }
}

/// Queues of many networks, which take turns.
#[derive(Debug)]
struct Tasks<T> {
    by_network: BTreeMap<PeerId, VecDeque<T>>,
    /// The networks that have work, each once.
    turns: VecDeque<PeerId>,
    len: usize,
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self { by_network: BTreeMap::new(), turns: VecDeque::new(), len: 0 }
    }
}

impl<T> Tasks<T> {
    const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a task; returns the one that there is no room for.
    fn push(&mut self, network: PeerId, task: T, most: usize, most_of_network: usize) -> Option<T> {
        let own = self.by_network.get(&network).map_or(0, VecDeque::len);
        if own >= most_of_network {
            return Some(task);
        }
        let mut displaced = None;
        if self.len >= most {
            let longest = self.by_network.iter().max_by_key(|(_, tasks)| tasks.len());
            let longest = longest.filter(|(_, tasks)| tasks.len() > own + 1).map(|(network, _)| *network);
            let Some(tasks) = longest.and_then(|longest| self.by_network.get_mut(&longest)) else {
                return Some(task);
            };
            displaced = tasks.pop_back();
            self.len -= 1;
        }
        if own == 0 {
            self.turns.push_back(network);
        }
        self.by_network.entry(network).or_default().push_back(task);
        self.len += 1;
        displaced
    }

    /// Takes out the oldest task of the network whose turn it is.
    fn pop(&mut self) -> Option<T> {
        let network = self.turns.pop_front()?;
        let tasks = self.by_network.get_mut(&network)?;
        let task = tasks.pop_front();
        if tasks.is_empty() {
            self.by_network.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        self.len -= 1;
        task
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("work", &self.work).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(tasks: &mut Tasks<u32>) -> Vec<u32> {
        core::iter::from_fn(|| tasks.pop()).collect()
    }

    #[test]
    fn networks_take_turns_however_much_each_has() {
        let mut tasks = Tasks::default();
        for number in 0..5 {
            assert_eq!(tasks.push(PeerId(1), number, 100, 100), None);
        }
        assert_eq!(tasks.push(PeerId(2), 20, 100, 100), None);
        assert_eq!(tasks.push(PeerId(3), 30, 100, 100), None);
        assert_eq!(tasks.pop(), Some(0));
        assert_eq!(tasks.push(PeerId(2), 21, 100, 100), None);
        assert_eq!(drained(&mut tasks), [20, 30, 1, 21, 2, 3, 4]);
        assert!(tasks.is_empty() && tasks.by_network.is_empty() && tasks.turns.is_empty());
    }

    #[test]
    fn a_full_queue_takes_from_the_network_with_the_most() {
        let mut tasks = Tasks::default();
        for number in 0..4 {
            assert_eq!(tasks.push(PeerId(1), number, 4, 4), None);
        }
        assert_eq!(tasks.push(PeerId(1), 9, 4, 4), Some(9), "its own share is used up");
        assert_eq!(tasks.push(PeerId(2), 20, 4, 4), Some(3));
        assert_eq!(tasks.push(PeerId(3), 30, 4, 4), Some(2));
        assert_eq!(tasks.push(PeerId(2), 21, 4, 4), Some(21), "nobody has more than one more");
        assert_eq!((tasks.len, drained(&mut tasks)), (4, vec![0, 20, 30, 1]));
    }
}
