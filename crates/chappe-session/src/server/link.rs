//! The connection beneath a session.

use core::time::Duration;

use chappe_framing::TransportTail;

use crate::time::MonoTime;

/// Whether a connection is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Down {
        since: MonoTime,
    },
    Up {
        tail: TransportTail,
        /// When the client wants the connection closed (`ping_delay_disconnect`).
        close_at: Option<MonoTime>,
    },
}

impl Link {
    pub(super) const fn is_up(self) -> bool {
        matches!(self, Self::Up { .. })
    }

    pub(super) const fn close_at(self) -> Option<MonoTime> {
        match self {
            Self::Up { close_at, .. } => close_at,
            Self::Down { .. } => None,
        }
    }

    /// Sets when the connection is to be closed: `delay` seconds from now, but `most` at the latest.
    ///
    /// The bound keeps a client from holding the connection of a dead peer open indefinitely (SEC-109).
    pub(super) fn close_after(&mut self, now: MonoTime, delay: i32, most: Duration) {
        if let Self::Up { close_at, .. } = self {
            let delay = Duration::from_secs(u64::try_from(delay).unwrap_or(0));
            *close_at = Some(now + delay.min(most));
        }
    }
}
