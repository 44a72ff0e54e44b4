//! The machine slept, or the process was stopped: connections may be dead, and no time-out has noticed.
//!
//! In sleep the monotonic clock stands still on some systems and goes on on others. In the first case the wall clock is
//! ahead of it afterwards, in the second the driver comes long after the time at which it wanted to.

use std::time::Duration;

use chappe_framing::UnixTime;
use chappe_session::{MonoTime, Now};

use super::{Engine, HASTE, Life};

/// Shorter sleeps are not worth a ping, and neither are the steps by which clocks are kept right.
const SHORT: Duration = Duration::from_secs(5);

/// Longest time for which a driver sleeps while a client lives: on systems where timers stand still as the machine sleeps, so
/// long after waking up it is noticed.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The clocks as they were when they were last looked at.
#[derive(Debug)]
pub(super) struct Clocks {
    mono: MonoTime,
    unix: UnixTime,
    /// When the driver wanted to look again.
    expected: Option<MonoTime>,
}

impl Clocks {
    pub(super) const fn new(now: Now) -> Self {
        Self { mono: now.mono, unix: now.unix, expected: None }
    }

    /// The driver sleeps until this time.
    pub(super) const fn expect(&mut self, at: Option<MonoTime>) {
        self.expected = at;
    }

    /// Returns whether the machine slept since the last look, which is made anew.
    fn have_slept(&mut self, now: Now) -> bool {
        let passed = now.mono.since(self.mono);
        let wall = Duration::from_nanos(now.unix.as_nanos().saturating_sub(self.unix.as_nanos()));
        let late = self.expected.map_or(Duration::ZERO, |at| now.mono.since(at));
        *self = Self::new(now);
        wall.saturating_sub(passed) >= SHORT || late >= SHORT
    }
}

impl Engine {
    /// Looks whether the machine slept. If it did, asks over the connection in use whether the datacenter is still there, or
    /// makes one soon.
    pub(super) fn notice_waking(&mut self, now: Now) {
        if !self.clocks.have_slept(now) || !matches!(self.life, Life::Running) {
            return;
        }
        tracing::debug!("the machine slept");
        if self.is_disconnected() {
            self.race.shorten_pause(now.mono, HASTE, &mut self.rng);
        }
        if let Some(session) = self.session.as_deref_mut().filter(|session| session.is_usable()) {
            session.request_ping();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64, unix: u64) -> Now {
        Now::new(MonoTime::from_duration(Duration::from_secs(mono)), UnixTime::from_secs(unix))
    }

    #[test]
    fn a_sleep_is_noticed_whether_or_not_the_monotonic_clock_went_on() {
        let mut clocks = Clocks::new(at(0, 1000));
        clocks.expect(Some(at(30, 0).mono));
        assert!(!clocks.have_slept(at(30, 1030)), "a driver that comes in time");
        clocks.expect(Some(at(60, 0).mono));
        assert!(clocks.have_slept(at(31, 1132)), "the monotonic clock stood still");
        assert!(!clocks.have_slept(at(31, 1132)), "it is noticed once");
        clocks.expect(Some(at(60, 0).mono));
        assert!(clocks.have_slept(at(100, 1201)), "it went on");
        assert!(!clocks.have_slept(at(200, 1301)), "nobody expected the driver");
        assert!(!clocks.have_slept(at(201, 900)), "a clock that is set back is no sleep");
    }
}
