//! A store that ends with the process.

use core::fmt;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::{KeyStore, Slot, StoreError, check_len};

/// Keeps states in memory. They are wiped when they are replaced, removed, or when the store is dropped.
#[derive(Default)]
pub struct MemoryStore {
    states: Mutex<HashMap<Slot, Zeroizing<Vec<u8>>>>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Slot, Zeroizing<Vec<u8>>>> {
        // Each change is one call of the map: it is whole whoever panicked.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyStore for MemoryStore {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(self.states().get(&slot).cloned())
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        check_len(state)?;
        self.states().insert(slot, Zeroizing::new(state.to_vec()));
        Ok(())
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        self.states().remove(&slot);
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    /// Names the slots, and nothing of what they hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.states().keys()).finish()
    }
}
