//! Readings of a monotonic clock.

use core::ops::Add;
use core::time::Duration;

/// Reading of a monotonic clock, in nanoseconds since an origin that the caller chooses.
///
/// The origin must stay the same for the life of a session. The range is 584 years. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime(u64);

impl MonoTime {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// Wraps a time since the origin.
    pub const fn from_duration(since_origin: Duration) -> Self {
        Self(saturating_nanos(since_origin))
    }

    /// Wraps nanoseconds since the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time since the origin.
    pub const fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// Returns the time that passed since `earlier`, or zero if `earlier` is later.
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Adds nanoseconds.
    #[must_use]
    pub const fn saturating_add_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

impl Add<Duration> for MonoTime {
    type Output = Self;

    #[inline]
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(after)))
    }
}

/// A duration as nanoseconds, at most 584 years.
#[inline]
pub(crate) const fn saturating_nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_never_wraps() {
        let late = MonoTime::from_nanos(u64::MAX - 1);
        assert_eq!(late + Duration::from_secs(1), MonoTime::from_nanos(u64::MAX));
        assert_eq!(MonoTime::ZERO.since(late), Duration::ZERO);
        assert_eq!(MonoTime::from_duration(Duration::MAX), MonoTime::from_nanos(u64::MAX));
    }
}
