//! How many calls a server works on.

/// Bounds on the calls that a [`Dispatcher`](crate::Dispatcher) works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallLimits {
    /// Calls of one session that run at the same time. Default 64. Others wait, in the order in which they came; their
    /// number is bounded by `ServerConfig::running_queries`.
    pub per_session: usize,
    /// Calls of all sessions, running or waiting. Default 65 536. Further ones are answered with `FLOOD_WAIT_1`, upon which
    /// clients repeat them after a second.
    pub in_all: usize,
    /// Bytes of these calls. Default 256 MiB.
    pub bytes: usize,
}

impl CallLimits {
    chappe_types::with!();
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { per_session: 64, in_all: 65_536, bytes: 256 << 20 }
    }
}
