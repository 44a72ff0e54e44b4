//! A client's slot in its store: claimed, loaded, saved, forgotten.
//!
//! Everything here is a future that needs no runtime. A store that blocks does so when the future is polled: drivers over
//! tokio poll it on a blocking thread then.

use core::fmt;
use core::future::Future;
use std::sync::Arc;

use chappe_session::client::{KeyMaterial, SavedState};
use zeroize::Zeroizing;

use super::lease::Lease;
use super::schedule::StoreSchedule;
use super::{AsyncKeyStore as _, Slot, Store, StoreError};
use crate::client::{ClientId, ConnectOptions};

/// A client's slot in its store. The slot is free for the next client when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct StoreHandle {
    store: Store,
    slot: Slot,
    /// Named in events.
    client: ClientId,
    /// Never read: held for as long as the client lives.
    _lease: Arc<Lease>,
}

/// What a store is to do, with what it takes.
pub(crate) enum Work {
    /// Save a state.
    Save(Zeroizing<Vec<u8>>),
    /// Remove the key.
    Forget,
}

/// What was found in a store.
pub(crate) struct Loaded {
    /// The key, if there is one.
    pub(crate) key: Option<KeyMaterial>,
    /// What becomes of the store from here on.
    pub(crate) schedule: StoreSchedule,
}

/// What to do about a state that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Fail, and leave it as it is.
    Refuse,
    /// Keep it aside, and go on without a key.
    KeepAside,
}

impl StoreHandle {
    /// Takes the store out of the options and returns a future that claims the slot; `None` if there is no store.
    ///
    /// The options give the store away, so that nothing but the client holds it: it is free when the client has ended.
    pub(crate) fn claim(
        options: &mut ConnectOptions,
        client: ClientId,
    ) -> Option<impl Future<Output = Self> + Send + use<>> {
        let (store, slot) = (options.store.take()?, options.slot());
        let lease = Lease::claim((store.id(), slot));
        Some(async move { Self { store, slot, client, _lease: Arc::new(lease.await) } })
    }

    /// Returns the error for a claim that was given up.
    pub(crate) fn in_use(slot: Slot) -> StoreError {
        let holder = "another client of this process: clone that one, or use `DataCenter`";
        StoreError::InUse { store: format!("the slot {slot}"), holder: Some(holder.into()) }
    }

    /// Returns whether the futures of this handle block the thread that polls them.
    pub(crate) const fn is_blocking(&self) -> bool {
        self.store.is_blocking()
    }

    /// Loads the key.
    ///
    /// A state with a wrong digest whose key is whole is kept aside, saved anew without the rest, and used: salts, clock
    /// and age are learned again.
    ///
    /// # Errors
    ///
    /// Fails if the store does, and if the state cannot be read and `unreadable` does not allow to go on without it.
    pub(crate) async fn load(self, unreadable: Unreadable) -> Result<Loaded, StoreError> {
        let error = match self.find().await {
            Ok(key) => {
                let schedule = StoreSchedule::new(key.is_some());
                return Ok(Loaded { key, schedule });
            }
            Err(error) => error,
        };
        if !error.is_unreadable() || unreadable == Unreadable::Refuse {
            return Err(error);
        }
        // The slot keeps what it holds until the new key takes its place.
        let place = self.store.keep_aside(self.slot).await?;
        let (client, slot) = (self.client.get(), self.slot);
        tracing::warn!(client, %slot, %error, place, "the saved state cannot be read: it was kept aside, and a new key will be made");
        Ok(Loaded { key: None, schedule: StoreSchedule::new(false) })
    }

    async fn find(&self) -> Result<Option<KeyMaterial>, StoreError> {
        let Some(bytes) = self.store.load(self.slot).await? else { return Ok(None) };
        let error = match SavedState::import(&bytes) {
            Ok(state) => return Ok(Some(state.key)),
            Err(error) => StoreError::Damaged { slot: self.slot, error },
        };
        let Some(salvaged) = SavedState::salvage(&bytes) else { return Err(error) };
        let place = self.store.keep_aside(self.slot).await?;
        self.store.save(self.slot, &salvaged.export()).await?;
        tracing::warn!(
            client = self.client.get(),
            slot = %self.slot,
            place,
            "the saved state was damaged: its key is whole and used, the rest was kept aside"
        );
        Ok(Some(salvaged.key))
    }

    /// Does a job.
    ///
    /// # Errors
    ///
    /// Fails if the store does.
    pub(crate) async fn run(self, work: Work) -> Result<(), StoreError> {
        match work {
            Work::Save(state) => self.store.save(self.slot, &state).await,
            Work::Forget => self.store.remove(self.slot).await,
        }
    }
}

impl fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Save(_) => "Save",
            Self::Forget => "Forget",
        })
    }
}
