//! The names of exchanges that failed (SEC-57).

use alloc::collections::{BTreeSet, VecDeque};
use core::time::Duration;

use chappe_framing::MonoTime;

use super::exchange::Name;

/// Names of exchanges that failed, where first answers are computed: there is no entry in the table that could be missing.
///
/// The oldest is forgotten if there are too many, and its exchange may be tried once more. Each try is charged to its peer.
#[derive(Debug, Default)]
pub(super) struct Failed {
    names: BTreeSet<Name>,
    order: VecDeque<(MonoTime, Name)>,
}

impl Failed {
    pub(super) fn contains(&self, name: &Name) -> bool {
        self.names.contains(name)
    }

    pub(super) fn insert(&mut self, name: Name, now: MonoTime, most: usize) {
        if !self.names.insert(name) {
            return;
        }
        self.order.push_back((now, name));
        if self.order.len() > most {
            self.forget_oldest();
        }
    }

    /// Forgets names that are no longer taken, since their first answers are too old.
    pub(super) fn expire(&mut self, now: MonoTime, lifetime: Duration) {
        while self.order.front().is_some_and(|(failed_at, _)| now.since(*failed_at) >= lifetime) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, name)) = self.order.pop_front() {
            self.names.remove(&name);
        }
    }
}
