//! What a driver holds as long as it works: the store, and the promise to tell when it has ended.

use core::fmt;
use std::sync::Arc;

use chappe_session::client::KeyMaterial;
use zeroize::Zeroizing;

use super::shared::Shared;
use super::{ConnectError, ConnectOptions};
use crate::store::{KeyStore, Slot, StoreError, load_state};

/// The place of a client in a store.
#[derive(Clone)]
pub(crate) struct Keeper {
    store: Arc<dyn KeyStore>,
    slot: Slot,
}

impl Keeper {
    /// Takes the store out of the options: the driver alone is to hold it, so that it is let go when the client ends.
    pub(crate) fn take(options: &mut ConnectOptions) -> Option<Self> {
        Some(Self { store: options.store.take()?, slot: options.slot() })
    }

    /// Loads the key; a damaged state counts as missing (`SEC-08`).
    pub(crate) fn load(&self) -> Result<Option<KeyMaterial>, ConnectError> {
        match load_state(&*self.store, self.slot) {
            Ok(state) => Ok(state.map(|state| state.key)),
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::warn!(%error, "a new key will be made");
                Ok(None)
            }
            Err(error) => Err(ConnectError::Store(error)),
        }
    }

    /// Has the store keep a state. May wait for a disk.
    pub(crate) fn save(&self, state: &Zeroizing<Vec<u8>>) {
        Self::report(self.store.save(self.slot, state));
    }

    /// Has the store forget the key. May wait for a disk.
    pub(crate) fn forget(&self) {
        Self::report(self.store.remove(self.slot));
    }

    fn report(done: Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::error!(%error, "the store of keys failed");
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// Dropped with its driver, whether that has done all it had to, or its runtime stops: lets the store go, then tells
/// whoever waits for the end.
pub(crate) struct Duty {
    pub(crate) shared: Arc<Shared>,
    pub(crate) keeper: Option<Keeper>,
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.keeper = None;
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
    use crate::client::PendingCall;
    use crate::client::core::Core;
    use crate::client::shared;
    use crate::store::MemoryStore;

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
        let keeper = Keeper::take(&mut options);
        let (clock, rng) = (Box::new(Now::from_system), Drbg::from_seed([1; 32]));
        let shared = Shared::new(Arc::new(options), None, true, rng, clock, Box::new(Nobody));
        let mut closing = PendingCall::<Vec<u8>>::signal(shared.command(Core::close));
        let waker = Waker::from(Arc::clone(&holders));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut closing).poll(&mut context).is_pending(), "the driver has not ended");
        drop(Duty { shared: Arc::clone(&shared), keeper });
        assert!(Pin::new(&mut closing).poll(&mut context).is_ready());
        assert_eq!(holders.seen.load(Ordering::SeqCst), 1, "the test alone");
        assert!(PendingCall::<Vec<u8>>::signal(shared.command(Core::close)).is_finished(), "closing again");
    }
}
