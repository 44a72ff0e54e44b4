//! When the application may be asked for a temporary key.

use core::time::Duration;

use crate::time::MonoTime;

/// How long a requested temporary key may take until it is requested again.
const REQUEST_PAUSE: Duration = Duration::from_secs(30);

/// Least time between two requests if the key before could not be bound: a key costs the server more than the client.
const REBIND_PAUSE: Duration = Duration::from_secs(5);

/// The same in a renewal: calls go on under the key before, and there is an hour for it.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// When a temporary key may be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyRequest {
    /// At once.
    Allowed,
    /// The last one was requested then, and has not come.
    Open { since: MonoTime },
    /// The last one was requested then, and has come; it is not bound.
    Unproven { since: MonoTime },
    /// The last one was requested then and could not be bound; the key before is in use again.
    Failed { since: MonoTime },
}

impl KeyRequest {
    /// Returns the earliest time of the next request.
    pub(super) fn earliest(self) -> MonoTime {
        match self {
            Self::Allowed => MonoTime::ZERO,
            Self::Open { since } => since + REQUEST_PAUSE,
            Self::Unproven { since } => since + REBIND_PAUSE,
            Self::Failed { since } => since + RENEWAL_PAUSE,
        }
    }

    /// The key has come.
    pub(super) const fn on_installed(&mut self) {
        if let Self::Open { since } = *self {
            *self = Self::Unproven { since };
        }
    }

    /// The key could not be bound, and the one before is in use again.
    pub(super) const fn on_failed(&mut self) {
        if let Self::Open { since } | Self::Unproven { since } = *self {
            *self = Self::Failed { since };
        }
    }
}
