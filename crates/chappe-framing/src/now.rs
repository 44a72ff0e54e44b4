//! One reading of both clocks.

use crate::{MonoTime, UnixTime};

/// One reading of both clocks, taken at the same moment.
///
/// A monotonic clock never jumps; it drives timers, deadlines and the measuring of round trips. The wall clock gives the
/// first guess of the server's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic clock: timers, round trips, and the server's time once it is known (SEC-177).
    pub mono: MonoTime,
    /// Wall clock: the first guess of the server's time, and times that are shown to the caller.
    pub unix: UnixTime,
}

impl Now {
    /// Joins the readings of both clocks.
    pub const fn new(mono: MonoTime, unix: UnixTime) -> Self {
        Self { mono, unix }
    }

    /// Reads the clocks of the operating system.
    ///
    /// The origin of the monotonic reading is the first call in this process. The wall clock is read at most ten times
    /// a second; between two readings it is assumed to run with the monotonic clock.
    #[cfg(feature = "std")]
    pub fn from_system() -> Self {
        crate::system_clock::now()
    }
}
