//! The state of the session on its way from the store and to it.
//!
//! Not here: when a state is saved, and what follows if that fails ([`StoreSchedule`]).

use std::sync::Arc;

use chappe_session::{MonoTime, Now};

use super::action::{StoreTask, Task};
use super::telling::tell;
use super::{Engine, Life};
use crate::client::ConnectError;
use crate::client::updates::{StoreFailure, Update};
use crate::store::StoreError;
use crate::store::handle::{Loaded, StoreHandle, Work};
use crate::store::schedule::{Fingerprint, Job, Outcome, StoreSchedule};

/// How far the loading of the state has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loading {
    /// Nothing was asked of the store yet.
    Wanted,
    /// Another client of the process may have the slot. This one gives up at that time.
    Claiming(MonoTime),
    /// The slot is ours; the driver is to be told to load.
    Claimed,
    /// The driver loads.
    Reading,
}

/// Loading, before anything is dialled.
impl Engine {
    /// The slot in the store is ours; returns whether it is still wanted.
    pub(super) fn on_claimed(&mut self) -> bool {
        let is_wanted = matches!(self.loading, Some(Loading::Claiming(_)));
        if is_wanted {
            self.loading = Some(Loading::Claimed);
        }
        is_wanted
    }

    /// The store gave its key, or none.
    pub(super) fn on_loaded(&mut self, now: Now, loaded: Result<Loaded, StoreError>) {
        self.loading = None;
        if matches!(self.life, Life::Over(_)) {
            return;
        }
        match loaded {
            Ok(Loaded { key, schedule }) => {
                self.store = Some(schedule);
                self.begin(now, key);
            }
            Err(error) => self.die(Arc::new(ConnectError::Store(error))),
        }
    }

    /// Gives up if another client does not let go of the slot.
    pub(super) fn check_claim(&mut self, now: Now) {
        if self.claim_deadline().is_some_and(|deadline| deadline <= now.mono) {
            self.loading = None;
            let error = StoreHandle::in_use(self.options.slot());
            self.die(Arc::new(ConnectError::Store(error)));
        }
    }

    pub(super) const fn claim_deadline(&self) -> Option<MonoTime> {
        match self.loading {
            Some(Loading::Claiming(deadline)) => Some(deadline),
            _ => None,
        }
    }

    /// Returns whether the driver is still busy with the store.
    pub(super) fn is_storing(&self) -> bool {
        self.loading == Some(Loading::Reading) || self.store.as_ref().is_some_and(|store| !store.is_idle())
    }

    /// Returns what the driver is to do with the store.
    pub(super) fn poll_store_task(&mut self, now: Now) -> Option<StoreTask> {
        let is_over = matches!(self.life, Life::Over(_));
        let task = match self.loading {
            None => Task::Run(self.poll_store(now)?),
            Some(Loading::Wanted) if !is_over => {
                // A client that is being closed lets go of its store within this time.
                self.loading = Some(Loading::Claiming(now.mono + self.options.timing.close));
                Task::Claim
            }
            Some(Loading::Claimed) if !is_over => {
                self.loading = Some(Loading::Reading);
                Task::Load
            }
            Some(_) => return None,
        };
        Some(StoreTask(task))
    }
}

/// Saving.
impl Engine {
    /// Takes the result of what [`poll_store`](Self::poll_store) returned.
    pub(super) fn on_stored(&mut self, now: Now, result: Result<(), StoreError>) {
        let Some(store) = &mut self.store else { return };
        match store.handle_done(now.mono, result) {
            Outcome::Fine => {}
            Outcome::NeverKept(error) => {
                self.sink.metrics.store_failures += 1;
                tell!(ERROR, self, %error, "the new key cannot be saved");
                self.die(Arc::new(ConnectError::Store(error)));
            }
            Outcome::Failed(error) => {
                self.sink.metrics.store_failures += 1;
                tell!(ERROR, self, %error, "the state cannot be saved");
                self.sink.push_update(Update::StoreFailed(StoreFailure { error }));
            }
        }
        self.check_ready();
    }

    /// A session was started with the key that the client was given.
    pub(super) fn keep_first_key(&mut self, now: Now) {
        let current = self.fingerprint(now);
        match &mut self.store {
            Some(store) if store.is_kept() => store.assume_saved(now.mono, current),
            _ => self.save(),
        }
    }

    /// Wants the state saved as it is when the driver asks what to do.
    pub(super) fn save(&mut self) {
        if let Some(store) = &mut self.store {
            store.request_save();
        }
    }

    /// Returns whether the store has something to do. Called for every frame: without a store it looks at nothing else.
    pub(super) fn wants_store(&mut self, now: Now) -> bool {
        if self.store.is_none() {
            return false;
        }
        let current = self.fingerprint(now);
        let is_over = matches!(self.life, Life::Over(_));
        let Some(store) = &mut self.store else { return false };
        if !is_over && self.session.is_some() {
            store.note(now.mono, current);
        }
        store.has_job(now.mono)
    }

    /// Returns what the store is to do now. The driver reports the result by [`on_stored`](Self::on_stored).
    fn poll_store(&mut self, now: Now) -> Option<Work> {
        if !self.wants_store(now) {
            return None;
        }
        let current = self.fingerprint(now);
        match self.store.as_mut()?.poll(now.mono, current)? {
            Job::Forget => Some(Work::Forget),
            Job::Save => {
                let state = self.export(now);
                if state.is_none() {
                    // Without a session there is nothing to save.
                    let _ = self.store.as_mut().map(|store| store.handle_done(now.mono, Ok(())));
                }
                state.map(Work::Save)
            }
        }
    }

    /// Returns whether the key in use is in the store, if there is one.
    pub(super) fn is_kept(&self) -> bool {
        self.store.as_ref().is_none_or(StoreSchedule::is_kept)
    }

    fn fingerprint(&self, now: Now) -> Fingerprint {
        self.session.as_deref().map_or_else(Fingerprint::default, |session| Fingerprint {
            salts_until: session.salts().last().map_or(0, |salt| salt.valid_until),
            time_offset: session.time_offset(now),
        })
    }
}
