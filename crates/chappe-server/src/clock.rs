//! The clock of an engine.

use std::fmt;
use std::sync::Arc;

use chappe_session::Now;

/// Reads the time for an [`Engine`](crate::Engine).
///
/// Drivers pass the time with each input. An engine asks its clock only where no driver is: when a step of a handshake or a
/// call ends, and when a process of a [fleet](crate::fleet) renews its lease. It must be the clock whose times the drivers
/// pass.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// Makes a clock of a function, for simulated time.
    pub fn new(read: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The clocks of the operating system, which the listeners of this crate pass to their engines.
    pub fn system() -> Self {
        Self::new(Now::from_system)
    }

    pub(crate) fn now(&self) -> Now {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}
