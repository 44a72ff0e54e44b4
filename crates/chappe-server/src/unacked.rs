//! Bytes that sessions hold for their clients, counted by key and in all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Budgets;

/// A sum of bytes that many sessions add to.
pub(crate) type Total = Arc<AtomicUsize>;

/// What one session holds. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Unacked {
    own: usize,
    of_key: Total,
    of_all: Total,
}

impl Unacked {
    pub(crate) const fn new(of_key: Total, of_all: Total) -> Self {
        Self { own: 0, of_key, of_all }
    }

    /// Notes what the session holds now.
    pub(crate) fn set(&mut self, bytes: usize) {
        for total in [&self.of_key, &self.of_all] {
            total.fetch_add(bytes, Ordering::Relaxed);
            total.fetch_sub(self.own, Ordering::Relaxed);
        }
        self.own = bytes;
    }

    /// Returns whether the session may hold so many bytes more.
    ///
    /// While the server holds too much, sessions that hold little go on: strangers must not use up what others need.
    pub(crate) fn may_grow(&self, bytes: usize, budgets: &Budgets) -> bool {
        let sum = |total: &Total| total.load(Ordering::Relaxed).saturating_add(bytes);
        let is_small = self.own.saturating_add(bytes) <= budgets.unacked_bytes / 1024;
        sum(&self.of_key) <= budgets.unacked_bytes_per_key
            && (is_small || sum(&self.of_all) <= budgets.unacked_bytes)
    }
}

impl Drop for Unacked {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_share_the_budget_of_their_key_and_of_the_server() {
        let budgets = Budgets::default().with(|budgets| {
            budgets.unacked_bytes = 4096;
            budgets.unacked_bytes_per_key = 2048;
        });
        let (all, [first, second, third]) = (Total::default(), [(); 3].map(|()| Total::default()));
        let mut sessions =
            [&first, &first, &second, &third].map(|key| Unacked::new(Arc::clone(key), Arc::clone(&all)));
        sessions[0].set(1500);
        assert!(sessions[1].may_grow(548, &budgets) && !sessions[1].may_grow(549, &budgets));
        sessions[2].set(2040);
        sessions[3].set(550);
        assert!(sessions[3].may_grow(6, &budgets) && !sessions[3].may_grow(7, &budgets));
        assert!(sessions[1].may_grow(4, &budgets), "who holds little goes on");
        sessions[0].set(10);
        assert!(sessions[3].may_grow(1400, &budgets));
        drop(sessions);
        assert_eq!([&all, &first, &second, &third].map(|total| total.load(Ordering::Relaxed)), [0; 4]);
    }
}
