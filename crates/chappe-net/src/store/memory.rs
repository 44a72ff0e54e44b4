//! A store that ends with the process.

use core::fmt;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::{KeyStore, Slot, StoreError, check_len};

/// Keeps states in memory. They are wiped when they are replaced or removed, and when the store is dropped.
#[derive(Default)]
pub struct MemoryStore {
    states: Mutex<HashMap<Slot, Zeroizing<Vec<u8>>>>,
    aside: Mutex<Vec<(Slot, Zeroizing<Vec<u8>>)>>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the states of a slot that were kept aside, the oldest first.
    pub fn aside(&self, slot: Slot) -> Vec<Zeroizing<Vec<u8>>> {
        let aside = lock(&self.aside);
        aside.iter().filter(|(of, _)| *of == slot).map(|(_, state)| state.clone()).collect()
    }
}

impl KeyStore for MemoryStore {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(lock(&self.states).get(&slot).cloned())
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        check_len(state)?;
        lock(&self.states).insert(slot, Zeroizing::new(state.to_vec()));
        Ok(())
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        lock(&self.states).remove(&slot);
        Ok(())
    }

    fn keep_aside(&self, slot: Slot) -> Result<Option<String>, StoreError> {
        let Some(state) = self.load(slot)? else { return Ok(None) };
        let mut aside = lock(&self.aside);
        aside.push((slot, state));
        Ok(Some(format!("{slot}, number {} of those kept aside in memory", aside.len())))
    }
}

/// Each change is one call of a collection: it is whole even if a thread panicked.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MemoryStore {
    /// Names the slots, and nothing of what they hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(lock(&self.states).keys()).finish()
    }
}
