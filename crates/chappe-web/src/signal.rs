//! Wakes the driver.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Wakes the driver, at most once until it looks.
#[derive(Debug, Default)]
pub(crate) struct Signal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_set: bool,
    waiting: Option<Waker>,
}

impl Signal {
    /// Wakes the driver, or lets it not wait the next time.
    pub(crate) fn set(&self) {
        let mut state = self.lock();
        state.is_set = true;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Waits until the signal is set, and clears it.
    pub(crate) async fn wait(&self) {
        poll_fn(|context| {
            let mut state = self.lock();
            if mem::take(&mut state.is_set) {
                return Poll::Ready(());
            }
            state.waiting = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Context;
    use std::future::Future as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_signal_wakes_once_and_is_not_lost_before_the_wait() {
        let (signal, count) = (Signal::default(), Arc::<Count>::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        signal.set();
        signal.set();
        assert!(pin!(signal.wait()).poll(&mut context).is_ready(), "it was set before");
        let mut wait = pin!(signal.wait());
        assert!(wait.as_mut().poll(&mut context).is_pending(), "it was cleared");
        signal.set();
        signal.set();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(wait.poll(&mut context).is_ready());
    }
}
