//! Threads that ask a directory, for a server without a runtime.

use core::fmt;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread::{self, JoinHandle, Thread};

use crate::Engine;
use crate::directory::DirectoryWorker;

/// Requests to the directory at the same time. Each has a thread.
const THREADS: usize = 8;

/// Threads that ask the directory of an engine. Dropping this ends them; requests that are under way fail.
pub(crate) struct DirectoryThreads {
    threads: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl DirectoryThreads {
    /// Starts the threads, if the engine has a directory.
    pub(crate) fn start(engine: &Arc<Engine>) -> io::Result<Option<Self>> {
        let mut started = Self { threads: Vec::new(), is_over: Arc::default() };
        for _ in 0..THREADS {
            let Some(worker) = DirectoryWorker::new(engine) else { return Ok(None) };
            let is_over = Arc::clone(&started.is_over);
            let work =
                move || while let Some(()) = wait_for(async { worker.next_task().await.await }, &is_over) {};
            started.threads.push(thread::Builder::new().name("chappe-directory".into()).spawn(work)?);
        }
        Ok(Some(started))
    }
}

impl Drop for DirectoryThreads {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        for thread in &self.threads {
            thread.thread().unpark();
        }
    }
}

impl fmt::Debug for DirectoryThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryThreads").finish_non_exhaustive()
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks until the future is done; returns `None` once `is_over` is set.
fn wait_for<T>(future: impl Future<Output = T>, is_over: &AtomicBool) -> Option<T> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if is_over.load(Ordering::SeqCst) {
            return None;
        }
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
        thread::park();
    }
}
