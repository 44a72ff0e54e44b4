//! Where keys are kept between runs of a program.
//!
//! A [`KeyStore`] holds one state for each [`Slot`]: the bytes of
//! [`ClientSession::export`](chappe_session::client::ClientSession::export), which carry their own check of integrity.
//! Two come with this crate, [`MemoryStore`] and [`FileStore`]; whoever writes another one, over a database say, proves
//! it with [`contract::check`]. `examples/redis_store` is such a one.
//!
//! A store belongs to one account: a second account gets a second store, a directory of its own for example. Temporary
//! keys are never saved (`SEC-07`).
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
//! # let exported = session.export(now, &[]).expect("it has a key");
//! store.save(slot, &exported)?;
//! let state = load_state(&store, slot)?.expect("it was saved");
//! assert_eq!(state.key.auth_key.as_bytes(), &[7; 256]);
//! # Ok::<(), chappe_net::store::StoreError>(())
//! ```

pub mod contract;
mod error;
mod file;
mod memory;
mod slot;

use std::sync::Arc;

use chappe_session::client::SavedState;

pub use error::StoreError;
pub use file::FileStore;
pub use memory::MemoryStore;
pub use slot::{Purpose, Slot};
/// What a store hands over: bytes that are wiped when they are dropped.
pub use zeroize::Zeroizing;

/// Most bytes of one state that a store must be able to keep. A state without a large block of the caller's own has
/// less than two thousand.
pub const MAX_STATE_LEN: usize = 1 << 20;

/// Keeps the states of one account's sessions.
///
/// Calls may wait for a disk or a network; a driver that must not wait calls them from a thread that may. All methods
/// take `&self` and may be called from several threads at once: whoever reads sees one state whole, never a mixture.
pub trait KeyStore: Send + Sync {
    /// Returns the state of a slot as it was saved last, or `None` if there is none.
    ///
    /// The bytes are handed over as they were found: [`load_state`] checks them.
    ///
    /// # Errors
    ///
    /// Fails if it is not known whether there is one. Callers must not take that for `None`: they would
    /// make a new key in place of one that is there.
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;

    /// Puts a state in place of what the slot held. Once this has returned, the state survives a crash of the
    /// machine, as far as the place keeps anything.
    ///
    /// # Errors
    ///
    /// Fails if the state could not be kept, or is larger than [`MAX_STATE_LEN`]; the slot holds what it held before.
    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError>;

    /// Forgets the state of a slot. It is not an error that there is none.
    ///
    /// # Errors
    ///
    /// Fails if the state may still be there.
    fn remove(&self, slot: Slot) -> Result<(), StoreError>;
}

/// Reads the state of a slot and checks it.
///
/// # Errors
///
/// Fails as [`KeyStore::load`] does, and with [`StoreError::Damaged`] if anything of the state is not as it was written.
/// A damaged state counts as missing (`SEC-08`): whoever goes on makes a new key, which the account must log in to again.
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
}
