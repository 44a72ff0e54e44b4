//! A directory, as an engine uses it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use chappe_crypto::AuthKeyId;

use super::{DirectoryError, KeyDirectory, KeyRecord, KeySealer};

/// The directory of an engine, how keys are sealed in it, and how the engine uses it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Directory {
    keys: Arc<dyn KeyDirectory>,
    sealer: KeySealer,
    /// How often the engine asks again for a key that it holds and that is in use. Default 60 s: a key that another process
    /// has forgotten is used for that long at most. The processes of a [fleet](crate::fleet) tell each other at once. While
    /// the directory cannot be reached, keys stay in use.
    pub recheck_after: Duration,
    /// How long a permanent key is kept that no client has used since it was made. Default 24 h.
    pub unused_for: Duration,
    /// Look-ups of different keys at the same time. Default 4096. If there are more, a client that names a key which the
    /// engine does not hold is answered with -429.
    pub look_ups: usize,
    /// The same for the clients of one network. Default 256.
    pub look_ups_per_network: usize,
}

impl Directory {
    chappe_types::setters! {
        with_recheck_after => recheck_after: Duration,
        with_unused_for => unused_for: Duration,
        with_look_ups => look_ups: usize,
        with_look_ups_per_network => look_ups_per_network: usize,
    }

    /// Uses a directory, whose keys `sealer` seals.
    pub fn new(keys: Arc<dyn KeyDirectory>, sealer: KeySealer) -> Self {
        Self {
            keys,
            sealer,
            recheck_after: Duration::from_secs(60),
            unused_for: Duration::from_secs(24 * 3600),
            look_ups: 4096,
            look_ups_per_network: 256,
        }
    }

    /// Looks up a key. For a bound key, returns its permanent key too; a key whose permanent key is gone is not found.
    pub(crate) async fn look_up(&self, id: AuthKeyId) -> Result<Option<Records>, DirectoryError> {
        let Some(found) = self.keys.look_up(id).await? else { return Ok(None) };
        let key = self.sealer.open(&found.key)?;
        // What is sealed counts: the other columns of a store are there to find keys by.
        let permanent = match (key.bound_to(), found.permanent) {
            (None, _) => None,
            (Some(bound_to), Some(permanent)) if permanent.id == bound_to => {
                Some(self.sealer.open(&permanent)?)
            }
            (Some(_), _) => return Ok(None),
        };
        Ok(Some(Records { key, permanent }))
    }

    pub(crate) async fn insert(&self, key: &KeyRecord) -> Result<bool, DirectoryError> {
        self.keys.insert(self.sealer.seal(key)).await
    }

    pub(crate) async fn replace(
        &self,
        expected: &KeyRecord,
        new: &KeyRecord,
    ) -> Result<bool, DirectoryError> {
        self.keys.replace(self.sealer.seal(expected), self.sealer.seal(new)).await
    }

    pub(crate) async fn bound_to(&self, permanent: AuthKeyId) -> Result<Vec<AuthKeyId>, DirectoryError> {
        self.keys.bound_to(permanent).await
    }

    pub(crate) async fn forget(&self, id: AuthKeyId) -> Result<(), DirectoryError> {
        self.keys.forget(id).await
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) key: KeyRecord,
    pub(crate) permanent: Option<KeyRecord>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("sealer", &self.sealer)
            .field("recheck_after", &self.recheck_after)
            .field("look_ups", &self.look_ups)
            .finish_non_exhaustive()
    }
}
