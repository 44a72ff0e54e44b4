//! Keys in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use chappe_carrier::lock;
use chappe_crypto::AuthKeyId;

use super::{DirectoryFuture, Found, KeyDirectory, SealedKey};

/// A directory in memory, for tests. Engines that share it behave as processes that share a store.
#[derive(Debug, Default)]
pub struct MemoryDirectory(Mutex<HashMap<AuthKeyId, SealedKey>>);

impl KeyDirectory for MemoryDirectory {
    fn look_up(&self, id: AuthKeyId) -> DirectoryFuture<'_, Option<Found>> {
        ready(self, move |keys| {
            let key = keys.get(&id)?.clone();
            let permanent = key.permanent.and_then(|id| keys.get(&id)).cloned();
            Some(Found { key, permanent })
        })
    }

    fn insert(&self, key: SealedKey) -> DirectoryFuture<'_, bool> {
        ready(self, move |keys| *keys.entry(key.id).or_insert_with(|| key.clone()) == key)
    }

    fn replace(&self, expected: SealedKey, new: SealedKey) -> DirectoryFuture<'_, bool> {
        ready(self, move |keys| match keys.get_mut(&new.id) {
            Some(known) if *known == expected => {
                *known = new;
                true
            }
            Some(known) => *known == new,
            None => false,
        })
    }

    fn forget(&self, id: AuthKeyId) -> DirectoryFuture<'_, ()> {
        ready(self, move |keys| drop(keys.remove(&id)))
    }

    fn bound_to(&self, permanent: AuthKeyId) -> DirectoryFuture<'_, Vec<AuthKeyId>> {
        ready(self, move |keys| {
            let bound = keys.values().filter(|key| key.permanent == Some(permanent));
            bound.map(|key| key.id).collect()
        })
    }
}

/// Does something when the future is polled, not before.
fn ready<'a, T>(
    directory: &'a MemoryDirectory,
    work: impl FnOnce(&mut HashMap<AuthKeyId, SealedKey>) -> T + Send + 'a,
) -> DirectoryFuture<'a, T> {
    Box::pin(async move { Ok(work(&mut lock(&directory.0))) })
}
