//! The clocks of the operating system, for [`Now::from_system`].
//!
//! Reading a clock takes about 25 ns, a twentieth of the cost of a short message, and a driver reads it for each frame.
//! The wall clock serves for first guesses only, so it is read at most ten times a second; between two readings it is
//! assumed to run with the monotonic clock.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use crate::mono_time::saturating_nanos;
use crate::{MonoTime, Now, UnixTime};

/// Nanoseconds after which the wall clock is read again.
const FRESH: u64 = 100_000_000;

/// Both clocks, and the last reading of the wall clock.
struct Clocks {
    origin: Instant,
    /// Nanoseconds from the origin to the last reading of the wall clock.
    read_at: AtomicU64,
    /// Nanoseconds by which the wall clock was ahead then, modulo 2^64.
    ahead: AtomicU64,
}

impl Clocks {
    fn start() -> Self {
        Self { origin: Instant::now(), read_at: AtomicU64::new(0), ahead: AtomicU64::new(wall_nanos()) }
    }

    fn now(&self) -> Now {
        let mono = saturating_nanos(self.origin.elapsed());
        let read_at = self.read_at.load(Ordering::Acquire);
        let mut ahead = self.ahead.load(Ordering::Relaxed);
        if mono.saturating_sub(read_at) >= FRESH {
            ahead = wall_nanos().wrapping_sub(mono);
            self.ahead.store(ahead, Ordering::Relaxed);
            self.read_at.store(mono, Ordering::Release);
        }
        Now::new(MonoTime::from_nanos(mono), UnixTime::from_nanos(mono.wrapping_add(ahead)))
    }
}

/// Nanoseconds since 1970. A clock before that reads as 1970: the first answer of the server repairs it.
fn wall_nanos() -> u64 {
    saturating_nanos(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Reads both clocks. The origin of the monotonic one is the first call in this process.
pub(crate) fn now() -> Now {
    static CLOCKS: OnceLock<Clocks> = OnceLock::new();
    CLOCKS.get_or_init(Clocks::start).now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nanoseconds between a reading and the wall clock, which is read right after it.
    fn behind(now: Now) -> u64 {
        wall_nanos().saturating_sub(now.unix.as_nanos())
    }

    #[test]
    fn the_wall_clock_is_guessed_between_two_readings_and_read_again_afterwards() {
        let clocks = Clocks::start();
        assert!(behind(clocks.now()) < 1_000_000_000);
        // As if the wall clock had been set since it was read.
        clocks.ahead.store(5, Ordering::Relaxed);
        let guess = clocks.now();
        if guess.mono.as_nanos() < FRESH {
            assert_eq!(guess.unix.as_nanos(), guess.mono.as_nanos() + 5);
        }
        let old = Clocks {
            origin: Instant::now().checked_sub(core::time::Duration::from_secs(1)).unwrap(),
            ..clocks
        };
        assert!(behind(old.now()) < 1_000_000_000, "a reading from a second ago is too old");
        assert_ne!(old.ahead.load(Ordering::Relaxed), 5);
    }
}
