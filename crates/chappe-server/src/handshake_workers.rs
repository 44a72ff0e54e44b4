//! Threads for the handshakes' RSA and Diffie-Hellman, apart from those that serve connections.

use core::time::Duration;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use chappe_crypto::rng::Drbg;
use chappe_session::Now;

use crate::Engine;

/// How often a thread without work looks for sessions that must end.
const PAUSE: Duration = Duration::from_secs(10);

/// Does the expensive work of an engine's handshakes.
///
/// While an engine has none, the work is done where the frames are handled, and everything else there waits for it.
pub struct HandshakeWorker {
    engine: Arc<Engine>,
}

impl HandshakeWorker {
    /// Registers a worker: from now on, the engine queues the work.
    pub fn new(engine: Arc<Engine>) -> Self {
        engine.handshake_queue().add_worker();
        Self { engine }
    }

    /// Does what waits for longest, in milliseconds. Returns whether there was something.
    pub fn try_work(&self, now: Now, rng: &mut Drbg) -> bool {
        self.engine.work(now, rng)
    }
}

impl Drop for HandshakeWorker {
    fn drop(&mut self) {
        self.engine.handshake_queue().remove_worker();
    }
}

impl fmt::Debug for HandshakeWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeWorker").finish_non_exhaustive()
    }
}

/// Threads that each run a [`HandshakeWorker`]. Dropping this ends them, each after the work it has begun.
pub struct HandshakeThreads {
    engine: Arc<Engine>,
    is_over: Arc<AtomicBool>,
}

impl HandshakeThreads {
    /// Starts so many threads; `seeder` seeds their generators.
    ///
    /// # Errors
    ///
    /// The operating system has no thread.
    pub fn start(engine: &Arc<Engine>, count: usize, seeder: &mut Drbg) -> io::Result<Self> {
        let threads = Self { engine: Arc::clone(engine), is_over: Arc::default() };
        for _ in 0..count {
            let (worker, is_over) = (HandshakeWorker::new(Arc::clone(engine)), Arc::clone(&threads.is_over));
            let mut rng = seeder.fork();
            let work = move || {
                while !is_over.load(Ordering::SeqCst) {
                    if !worker.try_work(Now::from_system(), &mut rng) {
                        worker.engine.handle_timeout(Now::from_system());
                        worker.engine.handshake_queue().wait(PAUSE, || is_over.load(Ordering::SeqCst));
                    }
                }
            };
            thread::Builder::new().name("chappe-handshake".into()).spawn(work)?;
        }
        Ok(threads)
    }
}

impl Drop for HandshakeThreads {
    fn drop(&mut self) {
        self.engine.handshake_queue().wake_all(|| self.is_over.store(true, Ordering::SeqCst));
    }
}

impl fmt::Debug for HandshakeThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeThreads").finish_non_exhaustive()
    }
}

/// Returns how many threads suit this machine: half of its processors, so that calls have the others.
pub(crate) fn suitable_threads() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2))
}
