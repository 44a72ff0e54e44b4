//! Where keys are kept between runs of a program.
//!
//! A [`KeyStore`] holds one state for each [`Slot`]: the bytes of
//! [`ClientSession::export`](chappe_session::client::ClientSession::export), which end with a digest. Two come with this
//! crate, [`MemoryStore`] and [`FileStore`]. A store that awaits, over a database or another machine, implements
//! [`AsyncKeyStore`]. [`contract::check`] tests any of them; `examples/redis_store` shows one.
//!
//! A store belongs to one account. A second account gets a second store, such as a directory of its own. Temporary keys
//! are never saved (`SEC-07`).
//!
//! # What a client does with its store
//!
//! - It claims the slot for as long as it lives. A second client of the process waits for the first one to end, and then
//!   fails with [`StoreError::InUse`], so that two never make a key for the same slot.
//! - It fails to connect if the state cannot be read, and leaves the state as it is. [`ConnectOptions::with_fresh_start`]
//!   makes it keep the state aside and make a new key. A state whose damage spares the key is kept aside and used.
//! - It fails to connect if a new key cannot be saved: the login that follows would be lost with the process.
//! - Later it tries again to save what could not be saved. [`Status::store_error`](crate::Status::store_error) and
//!   [`Update::StoreFailed`](crate::Update::StoreFailed) report the failure.
//!
//! [`ConnectOptions::with_fresh_start`]: crate::ConnectOptions::with_fresh_start
//!
//! ```
//! use chappe_net::store::{KeyStore, MemoryStore, Slot, load_state};
//!
//! let store = MemoryStore::new();
//! let slot = Slot::production(2);
//! assert!(load_state(&store, slot)?.is_none()); // no key yet: make one, and save the session's export
//! # let session = chappe_session::client::ClientSession::new(
//! #     chappe_session::client::ClientConfig::default(),
//! #     chappe_session::client::KeyMaterial::from_handshake([7; 256], 42, 0, 1_707_425_104),
//! #     chappe_session::Now::new(chappe_session::MonoTime::ZERO, chappe_session::UnixTime::from_secs(1_707_425_104)),
//! # );
//! # let now = chappe_session::Now::new(chappe_session::MonoTime::ZERO, chappe_session::UnixTime::from_secs(1_707_425_104));
//! # let exported = session.export(now, &[]);
//! store.save(slot, &exported)?;
//! let state = load_state(&store, slot)?.expect("it was saved");
//! assert_eq!(state.key.auth_key.as_bytes(), &[7; 256]);
//! # Ok::<(), chappe_net::store::StoreError>(())
//! ```

mod asynchronous;
pub mod contract;
mod error;
mod file;
#[cfg(feature = "client")]
pub(crate) mod handle;
#[cfg(feature = "client")]
mod lease;
mod memory;
#[cfg(feature = "client")]
pub(crate) mod schedule;
mod slot;

use core::ptr;
use std::sync::Arc;

use chappe_session::client::SavedState;

pub use asynchronous::{AsyncKeyStore, BlockOn, Store, StoreFuture};
pub use error::StoreError;
pub use file::FileStore;
pub use memory::MemoryStore;
pub use slot::{Purpose, Slot};
/// Wipes what it wraps when it is dropped: states are secret.
pub use zeroize::Zeroizing;

/// Most bytes of one state that a store must be able to keep. A state without a block of the caller's own has less than
/// two thousand.
pub const MAX_STATE_LEN: usize = 1 << 20;

/// Keeps the states of one account's sessions.
///
/// Methods may block on a disk or a network: drivers over tokio call them on a blocking thread. They take `&self` and may
/// be called from several threads at once. A reader sees one state whole, never a mixture.
pub trait KeyStore: Send + Sync {
    /// Returns the state of a slot as it was saved last, or `None` if there is none.
    ///
    /// The bytes are returned as they were found: [`load_state`] checks them.
    ///
    /// # Errors
    ///
    /// Fails if it is not known whether there is a state. Callers must not take that for `None`: they would make a new
    /// key in place of one that is there.
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;

    /// Replaces the state of a slot. Once this has returned, the state survives a crash of the machine, as far as the
    /// store keeps anything.
    ///
    /// # Errors
    ///
    /// Fails if the state could not be kept, or is larger than [`MAX_STATE_LEN`]; the slot holds what it held before.
    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError>;

    /// Removes the state of a slot. It is not an error that there is none.
    ///
    /// # Errors
    ///
    /// Fails if the state may still be there.
    fn remove(&self, slot: Slot) -> Result<(), StoreError>;

    /// Keeps what a slot holds in a second place, which the store never overwrites, and returns that place; `None` if the
    /// slot is empty. The slot keeps what it holds.
    ///
    /// Called before a state that cannot be read is replaced: a person may yet repair it.
    ///
    /// # Errors
    ///
    /// Fails if the state could not be kept in a second place.
    fn keep_aside(&self, slot: Slot) -> Result<Option<String>, StoreError>;

    /// Returns a number that tells this store from the others of the process.
    ///
    /// By default the address of the store. A store that wraps another one returns the number of that one: clients of
    /// the same store must not make keys for the same slot at the same time.
    fn id(&self) -> usize {
        ptr::from_ref(self).cast::<()>().addr()
    }
}

/// Loads the state of a slot and checks it.
///
/// # Errors
///
/// Fails as [`KeyStore::load`] does, and with [`StoreError::Damaged`] if the state is not as it was written (`SEC-08`).
/// The slot still holds it.
pub fn load_state(store: &(impl KeyStore + ?Sized), slot: Slot) -> Result<Option<SavedState>, StoreError> {
    let Some(bytes) = store.load(slot)? else { return Ok(None) };
    let state = SavedState::import(&bytes).map_err(|error| StoreError::Damaged { slot, error })?;
    Ok(Some(state))
}

/// Refuses a state that is too large for any store.
pub(crate) fn check_len(state: &[u8]) -> Result<(), StoreError> {
    if state.len() > MAX_STATE_LEN {
        return Err(StoreError::TooLarge { len: state.len() as u64, max: MAX_STATE_LEN });
    }
    Ok(())
}

impl<S: KeyStore + ?Sized> KeyStore for Arc<S> {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        (**self).load(slot)
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        (**self).save(slot, state)
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        (**self).remove(slot)
    }

    fn keep_aside(&self, slot: Slot) -> Result<Option<String>, StoreError> {
        (**self).keep_aside(slot)
    }

    fn id(&self) -> usize {
        (**self).id()
    }
}
