//! Readings of a wall clock.
//!
//! No function below the drivers reads a clock; each takes the time as an argument, so a test runs through a day of
//! protocol time in milliseconds.
//!
//! Not here: the offset to the server's clock, which the session keeps.

use core::time::Duration;

use crate::mono_time::saturating_nanos;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// The last year is 2554. Arithmetic saturates at both ends, so a wrong clock cannot make the protocol code overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The latest time that can be written.
    pub const MAX: Self = Self(u64::MAX);

    /// Makes a time from whole seconds since 1970.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SEC))
    }

    /// Makes a time from nanoseconds since 1970.
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Returns the whole seconds since 1970, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / NANOS_PER_SEC
    }

    /// Returns the nanoseconds since 1970.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the nanoseconds past the whole second, below 10⁹.
    pub const fn subsec_nanos(self) -> u32 {
        (self.0 % NANOS_PER_SEC) as u32
    }

    /// Returns the seconds as the `int` that TL fields such as `server_time` hold.
    ///
    /// The field wraps in 2038; readers that treat it as unsigned work until 2106.
    pub const fn to_tl_int(self) -> i32 {
        self.as_secs() as u32 as i32
    }

    /// Reads the `int` of a TL field such as `server_time` or `expires_at`, as unsigned seconds.
    pub const fn from_tl_int(seconds: i32) -> Self {
        Self::from_secs(seconds as u32 as u64)
    }

    /// Adds a duration.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(duration)))
    }

    /// Subtracts a duration.
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(duration)))
    }

    /// Moves the time by a signed number of nanoseconds, such as the offset to a server's clock.
    #[must_use]
    pub const fn saturating_offset(self, nanoseconds: i64) -> Self {
        Self(self.0.saturating_add_signed(nanoseconds))
    }

    /// Returns the time that passed since `earlier`, or zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns `self - other` in nanoseconds, negative if `other` is later.
    pub const fn offset_from(self, other: Self) -> i64 {
        let magnitude = self.0.abs_diff(other.0);
        let magnitude = if magnitude > i64::MAX as u64 { i64::MAX } else { magnitude as i64 };
        if self.0 >= other.0 { magnitude } else { -magnitude }
    }

    /// Reads the operating system's clock. A clock before 1970 reads as 1970.
    #[cfg(feature = "std")]
    pub fn now() -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(saturating_nanos(since_epoch.unwrap_or_default()))
    }
}

const NANOS_PER_SEC: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_overflowing() {
        assert_eq!(UnixTime::MAX.saturating_add(Duration::from_secs(1)), UnixTime::MAX);
        assert_eq!(UnixTime::EPOCH.saturating_sub(Duration::MAX), UnixTime::EPOCH);
        assert_eq!(UnixTime::EPOCH.saturating_offset(i64::MIN), UnixTime::EPOCH);
        assert_eq!(UnixTime::MAX.offset_from(UnixTime::EPOCH), i64::MAX);
        assert_eq!(UnixTime::EPOCH.offset_from(UnixTime::MAX), -i64::MAX);
        assert_eq!(UnixTime::from_secs(u64::MAX), UnixTime::MAX);
    }

    #[test]
    fn tl_seconds_survive_2038() {
        let time = UnixTime::from_secs(1 << 31);
        assert!(time.to_tl_int() < 0);
        assert_eq!(UnixTime::from_tl_int(time.to_tl_int()), time);
    }

    #[test]
    fn offsets_are_signed() {
        let (early, late) = (UnixTime::from_secs(10), UnixTime::from_secs(12));
        assert_eq!(late.offset_from(early), 2_000_000_000);
        assert_eq!(early.saturating_offset(early.offset_from(late)), UnixTime::from_secs(8));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
    }
}
