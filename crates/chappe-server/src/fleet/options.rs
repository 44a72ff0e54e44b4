//! A fleet, as an engine uses it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use super::SessionDirectory;

/// The fleet that an engine belongs to.
#[derive(Clone)]
#[non_exhaustive]
pub struct Fleet {
    pub(crate) sessions: Arc<dyn SessionDirectory>,
    /// How long a process stays in the fleet that does not renew its lease. Default 20 s. Sessions of a process that died wait for so
    /// long. A process that cannot reach the store for so long gives its sessions up.
    pub lease: Duration,
    /// How far ahead of the last message of a session its owner reserves ids. Default 5 s. When a process dies, its clients get the
    /// error 409 for queries of this time that were not executed; while the store is out of reach, sessions go on for half of
    /// this time at least.
    pub reserve: Duration,
    /// How long a process may take to finish the queries of a session that another process wants. Default 5 s; their answers are
    /// lost then.
    pub hand_over: Duration,
}

impl Fleet {
    chappe_types::setters! {
        with_lease => lease: Duration,
        with_reserve => reserve: Duration,
        with_hand_over => hand_over: Duration,
    }

    /// Uses a store.
    pub fn new(sessions: Arc<dyn SessionDirectory>) -> Self {
        let [lease, reserve, hand_over] = [20, 5, 5].map(Duration::from_secs);
        Self { sessions, lease, reserve, hand_over }
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("lease", &self.lease)
            .field("reserve", &self.reserve)
            .field("hand_over", &self.hand_over)
            .finish_non_exhaustive()
    }
}
