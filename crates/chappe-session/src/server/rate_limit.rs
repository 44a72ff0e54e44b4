//! How often a client may draw an answer that costs it less than the server.

use core::time::Duration;

use crate::time::MonoTime;

/// The time within which answers are counted.
const PERIOD: Duration = Duration::from_secs(10);

/// Allows so many answers in ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RateLimit {
    count: u16,
    since: MonoTime,
}

impl RateLimit {
    /// Returns whether one more is allowed, and counts it if so.
    pub(super) fn allows(&mut self, now: MonoTime, most: u16) -> bool {
        if self.since + PERIOD <= now {
            *self = Self { count: 0, since: now };
        }
        let is_allowed = self.count < most;
        self.count += u16::from(is_allowed);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_allowed_in_ten_seconds_and_not_more() {
        let mut limit = RateLimit::default();
        let allowed: [bool; 6] = [0, 1, 9, 10, 10, 10].map(|second| {
            let now = MonoTime::from_duration(Duration::from_secs(second));
            limit.allows(now, 2)
        });
        assert_eq!(allowed, [true, true, false, true, true, false]);
    }
}
