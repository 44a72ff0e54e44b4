//! The two clocks a session is told about.
//!
//! A session needs a clock that never jumps, for timers and for measuring round trips, and the wall
//! clock, to guess the server's time before the server has said it. [`Now`] carries both readings; no
//! type in this crate reads a clock by itself.
//!
//! Not here: what the server's time is ([`crate::clock`]).

use core::ops::Add;
use core::time::Duration;

use chappe_framing::UnixTime;

/// Reading of a monotonic clock, in nanoseconds since an origin that the caller chooses.
///
/// The origin must stay the same for the life of a session. 64 bits last for 584 years.
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

    /// Returns how long ago `earlier` was, zero if it lies in the future.
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Adds nanoseconds.
    pub(crate) const fn after(self, nanos: u64) -> Self {
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

/// One reading of both clocks, taken at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic clock: timers, round trips, and the server's time once it is known (SEC-177).
    pub mono: MonoTime,
    /// Wall clock: only the first guess of the server's time, and what is told to the caller.
    pub unix: UnixTime,
}

impl Now {
    /// Joins the readings of both clocks.
    pub const fn new(mono: MonoTime, unix: UnixTime) -> Self {
        Self { mono, unix }
    }

    /// Reads the clocks of the operating system.
    ///
    /// The origin of the monotonic reading is the first call in this process. The wall clock is read ten times a
    /// second at most; in between it is taken to run with the monotonic clock.
    #[cfg(feature = "std")]
    pub fn from_system() -> Self {
        crate::system_clock::now()
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
