//! Where handlers go on that have not answered at once.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};

/// Runs a future: as a task of the tokio runtime that it is called in, otherwise on a thread of its own. Returns whether that
/// is possible.
pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> bool {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(future);
        return true;
    }
    let thread = thread::Builder::new().name("chappe-call".into()).spawn(move || block_on(future));
    thread.inspect_err(|error| tracing::warn!(%error, "no thread for a call")).is_ok()
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    while future.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}
