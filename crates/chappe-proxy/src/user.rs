//! A user while the proxy runs: limits and counters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;

/// What a user may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserLimits {
    /// Connections at the same time.
    pub(crate) connections: Option<usize>,
    /// Bytes in both directions together.
    pub(crate) bytes: Option<u64>,
    /// Unix time, in seconds, from which the user is refused.
    pub(crate) expires: Option<u64>,
}

/// Why a user is refused although the secret is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserRefusal {
    TooMany,
    UsedUp,
    Expired,
    /// The user or the secret is no longer in the configuration.
    Removed,
}

/// Counters of a user. They survive a reload of the configuration.
#[derive(Debug, Default)]
pub(crate) struct UserCounters {
    pub(crate) open: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Bytes from clients, as they came, and to clients.
    pub(crate) bytes_up: AtomicU64,
    pub(crate) bytes_down: AtomicU64,
}

/// A user, with the secret that the configuration gives.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) counters: Arc<UserCounters>,
    limits: Mutex<UserLimits>,
    is_removed: AtomicBool,
}

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl User {
    pub(crate) fn new(name: String, limits: UserLimits, counters: Arc<UserCounters>) -> Self {
        Self { name, counters, limits: Mutex::new(limits), is_removed: AtomicBool::new(false) }
    }

    pub(crate) fn set_limits(&self, limits: UserLimits) {
        *lock(&self.limits) = limits;
    }

    /// Refuses all further bytes: the configuration no longer has this user with this secret.
    pub(crate) fn remove(&self) {
        self.is_removed.store(true, Ordering::Relaxed);
    }

    /// Returns why connections of this user have to end, if they have to.
    pub(crate) fn refusal(&self, unix_time: u64) -> Option<UserRefusal> {
        let limits = *lock(&self.limits);
        if self.is_removed.load(Ordering::Relaxed) {
            Some(UserRefusal::Removed)
        } else if limits.expires.is_some_and(|expires| unix_time >= expires) {
            Some(UserRefusal::Expired)
        } else if limits.bytes.is_some_and(|most| self.bytes() >= most) {
            Some(UserRefusal::UsedUp)
        } else {
            None
        }
    }

    /// Admits a connection.
    pub(crate) fn admit(self: &Arc<Self>, unix_time: u64) -> Result<UserPermit, UserRefusal> {
        let most = lock(&self.limits).connections.map_or(u64::MAX, |most| most as u64);
        let refusal = self.refusal(unix_time).or_else(|| {
            let open = &self.counters.open;
            // Two connections must not both take the last place.
            let taken = open
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < most).then_some(open + 1));
            taken.is_err().then_some(UserRefusal::TooMany)
        });
        if let Some(refusal) = refusal {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return Err(refusal);
        }
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        Ok(UserPermit(Arc::clone(self)))
    }

    fn bytes(&self) -> u64 {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        read(&self.counters.bytes_up).saturating_add(read(&self.counters.bytes_down))
    }
}

/// The place of one connection of a user. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct UserPermit(Arc<User>);

impl UserPermit {
    pub(crate) const fn user(&self) -> &Arc<User> {
        &self.0
    }

    /// Counts bytes of clients. Returns whether more are allowed.
    pub(crate) fn count(&self, direction: Direction, bytes: usize) -> bool {
        let counters = &self.0.counters;
        let counter = match direction {
            Direction::Up => &counters.bytes_up,
            Direction::Down => &counters.bytes_down,
        };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
        let most = lock(&self.0.limits).bytes;
        most.is_none_or(|most| self.0.bytes() < most)
    }
}

impl Drop for UserPermit {
    fn drop(&mut self) {
        self.0.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(limits: UserLimits) -> Arc<User> {
        Arc::new(User::new("a".into(), limits, Arc::default()))
    }

    #[test]
    fn a_place_is_free_after_use() {
        let user = user(UserLimits { connections: Some(1), ..UserLimits::default() });
        let permit = user.admit(0).expect("a place is free");
        assert_eq!(user.admit(0).expect_err("it is taken"), UserRefusal::TooMany);
        drop(permit);
        assert!(user.admit(0).is_ok());
        assert_eq!(user.counters.refused.load(Ordering::Relaxed), 1);
        assert_eq!(user.counters.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn bytes_and_time_run_out() {
        let user = user(UserLimits { bytes: Some(10), expires: Some(100), connections: None });
        let permit = user.admit(99).expect("there is time");
        assert!(permit.count(Direction::Up, 4) && permit.count(Direction::Down, 5));
        assert_eq!(user.refusal(99), None);
        assert!(!permit.count(Direction::Down, 1));
        assert_eq!(user.refusal(99), Some(UserRefusal::UsedUp));
        assert_eq!(user.refusal(100), Some(UserRefusal::Expired));
        user.set_limits(UserLimits::default());
        assert!(user.admit(u64::MAX).is_ok());
        user.remove();
        assert_eq!(user.admit(0).expect_err("it is gone"), UserRefusal::Removed);
    }
}
