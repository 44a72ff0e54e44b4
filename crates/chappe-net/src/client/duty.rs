//! What a driver holds as long as it works: the store, and the promise to tell when it has ended.

use std::sync::Arc;

use super::shared::Shared;
use crate::store::handle::StoreHandle;

/// Dropped with its driver, whether that has done all it had to, or its runtime stops: lets the store go, then tells
/// whoever waits for the end.
pub(crate) struct Duty {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Option<StoreHandle>,
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.store = None;
        self.shared.with(|core, _| core.handle_driver_ended());
    }
}

#[cfg(test)]
mod tests {
    use core::future::Future as _;
    use core::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use chappe_crypto::rng::Drbg;
    use chappe_session::Now;

    use super::*;
    use crate::block_on::block_on;
    use crate::client::core::Core;
    use crate::client::shared;
    use crate::client::{ConnectOptions, PendingCall};
    use crate::store::MemoryStore;
    use crate::store::schedule::StoreSchedule;

    /// Nobody drives here.
    struct Nobody;

    impl shared::Wake for Nobody {
        fn wake(&self) {}

        fn prompt(&self, _shared: &Shared) {}
    }

    /// Counts who holds the store at the moment of being told.
    struct Holders {
        store: Arc<MemoryStore>,
        seen: AtomicUsize,
    }

    impl Wake for Holders {
        fn wake(self: Arc<Self>) {
            self.seen.store(Arc::strong_count(&self.store), Ordering::SeqCst);
        }
    }

    #[test]
    fn the_store_is_let_go_before_anybody_is_told_of_the_end() {
        let holders = Arc::new(Holders { store: Arc::new(MemoryStore::new()), seen: AtomicUsize::new(0) });
        let mut options = ConnectOptions::production(2).with_store(holders.store.clone());
        let handle = StoreHandle::claim(&mut options).map(block_on);
        let (clock, rng) = (Box::new(Now::from_system), Drbg::from_seed([1; 32]));
        let shared = Shared::new(
            Arc::new(options),
            None,
            Some(StoreSchedule::new(false)),
            rng,
            clock,
            Box::new(Nobody),
        );
        let mut closing = PendingCall::<Vec<u8>>::signal(shared.command(Core::close));
        let waker = Waker::from(Arc::clone(&holders));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut closing).poll(&mut context).is_pending(), "the driver has not ended");
        drop(Duty { shared: Arc::clone(&shared), store: handle });
        assert!(Pin::new(&mut closing).poll(&mut context).is_ready());
        assert_eq!(holders.seen.load(Ordering::SeqCst), 1, "the test alone");
        assert!(PendingCall::<Vec<u8>>::signal(shared.command(Core::close)).is_finished(), "closing again");
    }
}
