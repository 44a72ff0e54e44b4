//! Stores that await instead of blocking: databases, other machines.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::ptr;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{KeyStore, Slot, StoreError};
use crate::block_on::block_on;

/// What the methods of an [`AsyncKeyStore`] return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A [`KeyStore`] whose methods await, so that a client over tokio needs no thread for it.
///
/// Each method promises what the one of the same name promises there. A future may be dropped before it ends; then it is
/// not known whether its change was made, and the slot holds either state whole.
///
/// A client over threads blocks on these futures: a store that needs a runtime brings its own there.
///
/// ```
/// use std::sync::Arc;
/// use chappe_net::ConnectOptions;
/// use chappe_net::store::{AsyncKeyStore, MemoryStore, KeyStore as _, Slot, StoreFuture, Zeroizing};
///
/// /// Stands for a client of a database.
/// struct Database(MemoryStore);
///
/// impl AsyncKeyStore for Database {
///     fn load(&self, slot: Slot) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
///         Box::pin(async move { self.0.load(slot) })
///     }
///
///     fn save<'a>(&'a self, slot: Slot, state: &'a [u8]) -> StoreFuture<'a, ()> {
///         Box::pin(async move { self.0.save(slot, state) })
///     }
///
///     fn remove(&self, slot: Slot) -> StoreFuture<'_, ()> {
///         Box::pin(async move { self.0.remove(slot) })
///     }
///
///     fn keep_aside(&self, slot: Slot) -> StoreFuture<'_, Option<String>> {
///         Box::pin(async move { self.0.keep_aside(slot) })
///     }
/// }
///
/// # #[cfg(feature = "client")]
/// let options = ConnectOptions::production(2).with_async_store(Arc::new(Database(MemoryStore::new())));
/// ```
pub trait AsyncKeyStore: Send + Sync {
    /// See [`KeyStore::load`].
    fn load(&self, slot: Slot) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>>;

    /// See [`KeyStore::save`].
    fn save<'a>(&'a self, slot: Slot, state: &'a [u8]) -> StoreFuture<'a, ()>;

    /// See [`KeyStore::remove`].
    fn remove(&self, slot: Slot) -> StoreFuture<'_, ()>;

    /// See [`KeyStore::keep_aside`].
    fn keep_aside(&self, slot: Slot) -> StoreFuture<'_, Option<String>>;

    /// See [`KeyStore::id`].
    fn id(&self) -> usize {
        ptr::from_ref(self).cast::<()>().addr()
    }
}

impl<S: AsyncKeyStore + ?Sized> AsyncKeyStore for Arc<S> {
    fn load(&self, slot: Slot) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        (**self).load(slot)
    }

    fn save<'a>(&'a self, slot: Slot, state: &'a [u8]) -> StoreFuture<'a, ()> {
        (**self).save(slot, state)
    }

    fn remove(&self, slot: Slot) -> StoreFuture<'_, ()> {
        (**self).remove(slot)
    }

    fn keep_aside(&self, slot: Slot) -> StoreFuture<'_, Option<String>> {
        (**self).keep_aside(slot)
    }

    fn id(&self) -> usize {
        (**self).id()
    }
}

/// Makes a [`KeyStore`] of an [`AsyncKeyStore`]: its methods block the thread until the future ends.
///
/// [`contract::check`](super::contract::check) takes an async store in this wrapper.
#[derive(Clone, Debug)]
pub struct BlockOn<S>(pub S);

impl<S: AsyncKeyStore> KeyStore for BlockOn<S> {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        block_on(self.0.load(slot))
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        block_on(self.0.save(slot, state))
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        block_on(self.0.remove(slot))
    }

    fn keep_aside(&self, slot: Slot) -> Result<Option<String>, StoreError> {
        block_on(self.0.keep_aside(slot))
    }

    fn id(&self) -> usize {
        self.0.id()
    }
}

/// A store of either kind, as a client holds it.
#[derive(Clone)]
#[non_exhaustive]
pub enum Store {
    /// Methods block: a client over tokio calls them on a blocking thread.
    Blocking(Arc<dyn KeyStore>),
    /// Methods await: a client over threads blocks on them.
    Async(Arc<dyn AsyncKeyStore>),
}

impl Store {
    /// Returns whether methods block the thread that polls their futures.
    pub(crate) const fn is_blocking(&self) -> bool {
        matches!(self, Self::Blocking(_))
    }
}

/// A store of either kind awaits; one that blocks does so when the future is polled.
impl AsyncKeyStore for Store {
    fn load(&self, slot: Slot) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        match self {
            Self::Blocking(store) => Box::pin(async move { store.load(slot) }),
            Self::Async(store) => store.load(slot),
        }
    }

    fn save<'a>(&'a self, slot: Slot, state: &'a [u8]) -> StoreFuture<'a, ()> {
        match self {
            Self::Blocking(store) => Box::pin(async move { store.save(slot, state) }),
            Self::Async(store) => store.save(slot, state),
        }
    }

    fn remove(&self, slot: Slot) -> StoreFuture<'_, ()> {
        match self {
            Self::Blocking(store) => Box::pin(async move { store.remove(slot) }),
            Self::Async(store) => store.remove(slot),
        }
    }

    fn keep_aside(&self, slot: Slot) -> StoreFuture<'_, Option<String>> {
        match self {
            Self::Blocking(store) => Box::pin(async move { store.keep_aside(slot) }),
            Self::Async(store) => store.keep_aside(slot),
        }
    }

    fn id(&self) -> usize {
        match self {
            Self::Blocking(store) => store.id(),
            Self::Async(store) => store.id(),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_blocking() { "Blocking" } else { "Async" };
        f.debug_tuple(kind).finish_non_exhaustive()
    }
}
