//! Sessions and keys that the caller wants destroyed.
//!
//! The session repeats such a request until the datacenter has answered. Spec:
//! <https://core.telegram.org/mtproto/service_messages#destroying-sessions>.

use std::sync::Arc;

use chappe_framing::SessionId;
use chappe_session::client::ClientSession;
use chappe_session::{KeyDestruction, Now};

use super::{Engine, Life};
use crate::client::InvokeError;
use crate::client::pending::Slot;

/// Most requests that wait for their answers. A session keeps no more.
const MOST_WAITING: usize = 64;

/// Who waits for which answer.
#[derive(Debug, Default)]
pub(super) struct Destructions {
    sessions: Vec<(SessionId, Arc<Slot>)>,
    keys: Vec<Arc<Slot>>,
}

impl Destructions {
    /// Takes those out who wait for the end of a session.
    pub(super) fn take_session(&mut self, session: SessionId) -> impl Iterator<Item = Arc<Slot>> {
        self.sessions.extract_if(.., move |(waiting, _)| *waiting == session).map(|(_, slot)| slot)
    }

    /// Takes those out who wait for the end of the key.
    pub(super) fn take_keys(&mut self) -> Vec<Arc<Slot>> {
        std::mem::take(&mut self.keys)
    }

    /// Takes everybody out.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Arc<Slot>> {
        let sessions = std::mem::take(&mut self.sessions).into_iter().map(|(_, slot)| slot);
        sessions.chain(self.take_keys())
    }

    /// Forgets those who no longer wait; returns whether there is room for another one.
    fn make_room(&mut self) -> bool {
        self.sessions.retain(|(_, slot)| Arc::strong_count(slot) > 1);
        self.keys.retain(|slot| Arc::strong_count(slot) > 1);
        self.sessions.len() + self.keys.len() < MOST_WAITING
    }
}

impl Engine {
    /// Returns the id of the session.
    pub(crate) fn session_id(&self) -> Option<SessionId> {
        self.session.as_deref().and_then(ClientSession::session_id)
    }

    /// Requests the destruction of another session of the same key.
    pub(crate) fn destroy_session(&mut self, session_id: SessionId) -> Result<Arc<Slot>, InvokeError> {
        let session = self.session_to_ask()?;
        if session.session_id() == Some(session_id) {
            return Err(InvokeError::NotPossible("a session cannot destroy itself: close the client"));
        }
        session.destroy_session(session_id);
        let slot = Arc::<Slot>::default();
        self.sink.destructions.sessions.push((session_id, Arc::clone(&slot)));
        Ok(slot)
    }

    /// Requests the destruction of the key.
    pub(crate) fn destroy_auth_key(&mut self) -> Result<Arc<Slot>, InvokeError> {
        if self.options.temporary_keys.is_some() {
            // The datacenter destroys the key that the request came under.
            return Err(InvokeError::NotPossible(
                "the key in use is temporary: connect without forward secrecy to destroy the permanent one",
            ));
        }
        self.session_to_ask()?.destroy_auth_key();
        let slot = Arc::<Slot>::default();
        self.sink.destructions.keys.push(Arc::clone(&slot));
        Ok(slot)
    }

    /// The datacenter answered a request to destroy the key. A key that is gone is removed from the store, and the client
    /// ends, since whatever it sent would be refused.
    pub(super) fn on_key_destroyed(&mut self, now: Now, destruction: KeyDestruction) {
        if destruction == KeyDestruction::Failed {
            return;
        }
        if let Some(store) = &mut self.store {
            store.request_forget();
        }
        self.end(now);
    }

    fn session_to_ask(&mut self) -> Result<&mut ClientSession, InvokeError> {
        match &self.life {
            Life::Over(Some(error)) => return Err(InvokeError::Connection(Arc::clone(error))),
            Life::Over(None) | Life::Closing { .. } => return Err(InvokeError::Closed),
            Life::Starting { .. } | Life::Running => {}
        }
        if !self.sink.destructions.make_room() {
            return Err(InvokeError::NotPossible("too many such requests wait for their answers"));
        }
        self.session.as_deref_mut().ok_or(InvokeError::NotPossible("there is no key yet: wait for `ready`"))
    }
}
