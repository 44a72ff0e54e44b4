//! CPU time of one exchange.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// CPU time of one exchange in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    steps: [f64; 3],
    server: f64,
}

impl Costs {
    /// Does a part of the client's step.
    pub fn at_client<T>(&mut self, step: usize, work: impl FnOnce() -> T) -> T {
        let (result, nanos) = timed(work);
        self.steps[step] += nanos;
        result
    }

    /// Does a part of the server's half.
    pub fn at_server<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (result, nanos) = timed(work);
        self.server += nanos;
        result
    }

    /// The client's half.
    pub fn client(&self) -> f64 {
        self.steps.iter().sum()
    }

    /// One of the client's steps.
    pub fn step(&self, index: usize) -> f64 {
        self.steps[index]
    }

    /// The server's half.
    pub fn server(&self) -> f64 {
        self.server
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = cpu_nanos();
    let result = work();
    (result, cpu_nanos() - start)
}

/// What this thread has used so far.
fn cpu_nanos() -> f64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    tv_sec as f64 * 1e9 + tv_nsec as f64
}
