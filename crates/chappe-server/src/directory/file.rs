//! Keys in a file.

use core::fmt;
use std::path::Path;
use std::sync::Arc;

use chappe_crypto::AuthKeyId;
use chappe_framing::UnixTime;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use zeroize::Zeroizing;

use super::{DirectoryError, DirectoryFuture, Found, KeyDirectory, SealedKey};

/// A directory in one file, which one process uses at a time. A change is on the disk when its future returns, and a
/// crash at any point leaves the file as it was before a change or after it (engine: redb).
///
/// Its futures block on the disk, for some milliseconds for each change.
#[derive(Clone)]
pub struct FileDirectory(Arc<Database>);

/// Keys by id. A value: the permanent key and the time at which it ends, 0 for none, and the sealed bytes.
const KEYS: TableDefinition<'_, i64, (i64, u64, &[u8])> = TableDefinition::new("keys");

/// Temporary keys by the permanent key that they are bound to.
const BOUND: TableDefinition<'_, (i64, i64), ()> = TableDefinition::new("bound");

/// Keys by the time at which they end.
const ENDS: TableDefinition<'_, (u64, i64), ()> = TableDefinition::new("ends");

/// Keys that have ended and are removed with each key that is added.
const SWEPT: usize = 16;

impl FileDirectory {
    /// Opens a file, or makes one.
    ///
    /// # Errors
    ///
    /// Another process has it open, it is not such a file, or the disk fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DirectoryError> {
        let database = Database::create(path).map_err(DirectoryError::unavailable)?;
        let tables = || {
            let change = database.begin_write()?;
            change.open_table(KEYS)?;
            change.open_table(BOUND)?;
            change.open_table(ENDS)?;
            Ok(change.commit()?)
        };
        tables().map_err(unavailable)?;
        Ok(Self(Arc::new(database)))
    }

    fn read(&self, id: AuthKeyId) -> Result<Option<Found>, redb::Error> {
        let view = self.0.begin_read()?;
        let keys = view.open_table(KEYS)?;
        let Some(key) = get(&keys, id)? else { return Ok(None) };
        let permanent = match key.permanent {
            None => None,
            Some(permanent) => get(&keys, permanent)?,
        };
        Ok(Some(Found { key, permanent }))
    }

    /// Stores what `decide` makes of the key that is stored. Returns whether `new` is stored then.
    fn change(
        &self,
        new: &SealedKey,
        decide: impl FnOnce(Option<&SealedKey>) -> bool,
    ) -> Result<bool, redb::Error> {
        let change = self.0.begin_write()?;
        let is_stored = {
            let mut keys = change.open_table(KEYS)?;
            let known = get(&keys, new.id)?;
            let is_wanted = decide(known.as_ref());
            if is_wanted {
                let mut indices =
                    Indices { bound: change.open_table(BOUND)?, ends: change.open_table(ENDS)? };
                if let Some(known) = &known {
                    indices.remove(known)?;
                }
                indices.insert(new)?;
                let (permanent, expires_at) = (raw_id(new.permanent), raw_time(new.expires_at));
                keys.insert(new.id.to_raw(), (permanent, expires_at, &new.bytes[..]))?;
                if known.is_none() {
                    indices.sweep(&mut keys)?;
                }
            }
            is_wanted || known.as_ref() == Some(new)
        };
        change.commit()?;
        Ok(is_stored)
    }

    fn remove(&self, id: AuthKeyId) -> Result<(), redb::Error> {
        let change = self.0.begin_write()?;
        {
            let mut keys = change.open_table(KEYS)?;
            if let Some(known) = get(&keys, id)? {
                let mut indices =
                    Indices { bound: change.open_table(BOUND)?, ends: change.open_table(ENDS)? };
                indices.remove(&known)?;
                keys.remove(id.to_raw())?;
            }
        }
        Ok(change.commit()?)
    }

    fn bound(&self, permanent: AuthKeyId) -> Result<Vec<AuthKeyId>, redb::Error> {
        let view = self.0.begin_read()?;
        let (bound, raw) = (view.open_table(BOUND)?, permanent.to_raw());
        let range = bound.range((raw, i64::MIN)..=(raw, i64::MAX))?;
        range.map(|entry| Ok(AuthKeyId::from_raw(entry?.0.value().1))).collect()
    }
}

/// The tables that keys are found by.
struct Indices<'a> {
    bound: redb::Table<'a, (i64, i64), ()>,
    ends: redb::Table<'a, (u64, i64), ()>,
}

impl Indices<'_> {
    fn insert(&mut self, key: &SealedKey) -> Result<(), redb::Error> {
        if let Some(permanent) = key.permanent {
            self.bound.insert((permanent.to_raw(), key.id.to_raw()), ())?;
        }
        if let Some(expires_at) = key.expires_at {
            self.ends.insert((expires_at.as_nanos(), key.id.to_raw()), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, key: &SealedKey) -> Result<(), redb::Error> {
        if let Some(permanent) = key.permanent {
            self.bound.remove((permanent.to_raw(), key.id.to_raw()))?;
        }
        if let Some(expires_at) = key.expires_at {
            self.ends.remove((expires_at.as_nanos(), key.id.to_raw()))?;
        }
        Ok(())
    }

    /// Removes a few keys that have ended. As many are removed as are added, so the file does not grow with them.
    fn sweep(
        &mut self,
        keys: &mut redb::Table<'_, i64, (i64, u64, &'static [u8])>,
    ) -> Result<(), redb::Error> {
        let now = UnixTime::now().as_nanos();
        let mut ended = Vec::new();
        for entry in self.ends.range(..(now, i64::MIN))?.take(SWEPT) {
            ended.push(entry?.0.value().1);
        }
        for raw in ended {
            if let Some(key) = get(keys, AuthKeyId::from_raw(raw))? {
                self.remove(&key)?;
                keys.remove(raw)?;
            }
        }
        Ok(())
    }
}

fn get(
    keys: &impl redb::ReadableTable<i64, (i64, u64, &'static [u8])>,
    id: AuthKeyId,
) -> Result<Option<SealedKey>, redb::Error> {
    Ok(keys.get(id.to_raw())?.map(|entry| {
        let (permanent, expires_at, bytes) = entry.value();
        SealedKey {
            id,
            permanent: (permanent != 0).then(|| AuthKeyId::from_raw(permanent)),
            expires_at: (expires_at != 0).then(|| UnixTime::from_nanos(expires_at)),
            bytes: Zeroizing::new(bytes.to_vec()),
        }
    }))
}

fn raw_id(id: Option<AuthKeyId>) -> i64 {
    id.map_or(0, AuthKeyId::to_raw)
}

fn raw_time(time: Option<UnixTime>) -> u64 {
    time.map_or(0, UnixTime::as_nanos)
}

fn unavailable(error: redb::Error) -> DirectoryError {
    DirectoryError::unavailable(error)
}

impl KeyDirectory for FileDirectory {
    fn look_up(&self, id: AuthKeyId) -> DirectoryFuture<'_, Option<Found>> {
        Box::pin(async move { self.read(id).map_err(unavailable) })
    }

    fn insert(&self, key: SealedKey) -> DirectoryFuture<'_, bool> {
        Box::pin(async move { self.change(&key, |known| known.is_none()).map_err(unavailable) })
    }

    fn replace(&self, expected: SealedKey, new: SealedKey) -> DirectoryFuture<'_, bool> {
        Box::pin(async move { self.change(&new, |known| known == Some(&expected)).map_err(unavailable) })
    }

    fn forget(&self, id: AuthKeyId) -> DirectoryFuture<'_, ()> {
        Box::pin(async move { self.remove(id).map_err(unavailable) })
    }

    fn bound_to(&self, permanent: AuthKeyId) -> DirectoryFuture<'_, Vec<AuthKeyId>> {
        Box::pin(async move { self.bound(permanent).map_err(unavailable) })
    }
}

impl fmt::Debug for FileDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileDirectory").finish_non_exhaustive()
    }
}
