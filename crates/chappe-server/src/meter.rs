//! What one client may spend in a time.

use core::time::Duration;

use chappe_session::MonoTime;

/// Counts what a client spends, as the time at which it has earned it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    earned_at: MonoTime,
}

impl Meter {
    /// Returns whether the client may spend something: it has not spent more than `burst` ahead.
    pub(crate) fn allows(self, now: MonoTime, burst: Duration) -> bool {
        self.earned_at.since(now) <= burst
    }

    /// Returns whether the client has earned everything that it has spent.
    pub(crate) fn is_paid(self, now: MonoTime) -> bool {
        self.earned_at <= now
    }

    /// Spends what takes `cost` to earn.
    pub(crate) fn spend(&mut self, now: MonoTime, cost: Duration) {
        self.earned_at = self.earned_at.max(now) + cost;
    }
}

/// Returns how long it takes to earn so many at this rate.
pub(crate) fn time_for(count: u64, per_second: u32) -> Duration {
    let nanos = u128::from(count) * 1_000_000_000 / u128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_earned_again() {
        let (mut meter, burst) = (Meter::default(), time_for(20, 10));
        let at = |seconds| MonoTime::from_duration(Duration::from_secs(seconds));
        meter.spend(at(100), time_for(20, 10));
        assert!(meter.allows(at(100), burst));
        meter.spend(at(100), time_for(10, 10));
        assert!(!meter.allows(at(100), burst) && meter.allows(at(101), burst));
        assert_eq!(time_for(u64::MAX, 0), Duration::from_nanos(u64::MAX));
    }
}
