//! The state of the session on its way to the store.
//!
//! Not here: when a state is saved, and what follows if that fails ([`StoreSchedule`]).

use std::sync::Arc;

use chappe_session::Now;

use super::{Core, Life};
use crate::client::ConnectError;
use crate::client::updates::{StoreFailure, Update};
use crate::store::StoreError;
use crate::store::handle::Work;
use crate::store::schedule::{Fingerprint, Job, Outcome, StoreSchedule};

impl Core {
    /// Takes the result of what [`poll_store`](Self::poll_store) returned.
    pub(crate) fn handle_stored(&mut self, now: Now, result: Result<(), StoreError>) {
        let Some(store) = &mut self.store else { return };
        match store.handle_done(now.mono, result) {
            Outcome::Fine => {}
            Outcome::NeverKept(error) => {
                tracing::error!(%error, "the new key cannot be saved");
                self.die(Arc::new(ConnectError::Store(error)));
            }
            Outcome::Failed(error) => {
                tracing::error!(%error, "the state cannot be saved");
                self.sink.updates.push(Update::StoreFailed(StoreFailure { error }));
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

    /// Returns what the store is to do now. The driver reports the result by [`handle_stored`](Self::handle_stored).
    pub(super) fn poll_store(&mut self, now: Now) -> Option<Work> {
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
