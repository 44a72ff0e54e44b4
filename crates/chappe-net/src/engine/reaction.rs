//! What a engine does about the events of its session.

use chappe_session::Now;
use chappe_session::client::{AuthorizationTrouble, ReconnectReason};
use std::sync::Arc;

use super::sink::Next;
use super::telling::tell_of;
use super::{Engine, Life};
use crate::client::ConnectError;
use crate::client::updates::Update;

impl Engine {
    /// Takes the events that commands and timers left in the session.
    pub(super) fn drain_events(&mut self, now: Now) {
        if let Some(session) = self.session.as_deref_mut() {
            session.events().for_each(|event| self.sink.on_event(now.mono, event));
        }
    }

    /// Does what the events of the session ask for.
    pub(super) fn after_session(&mut self, now: Now) {
        self.drain_events(now);
        for next in std::mem::take(&mut self.sink.next) {
            match next {
                Next::Reconnect(reason) => self.reconnect(now, reason),
                Next::MakeTemporaryKey => self.on_temporary_key_wanted(now),
                Next::Bound => self.on_bound(),
                Next::Trouble(trouble) => self.on_trouble(now, trouble),
                Next::KeyDestroyed(destruction) => self.on_key_destroyed(now, destruction),
            }
        }
        self.check_ready();
    }

    fn on_temporary_key_wanted(&mut self, now: Now) {
        self.wants_temporary_key = true;
        let Some(connection) = self.in_use() else {
            return;
        };
        if std::mem::take(&mut self.is_binding) {
            // The last one was of no use. The next would fail alike if it were made at once, and a key costs the server
            // more than us: it is made on a new connection, after a pause. The datacenter answers, so this is no attempt to
            // connect that failed: how long a young permanent key may be unknown is a matter of time.
            self.lose(now, connection, ConnectError::Session(ReconnectReason::Refused));
            self.pause_dialling(now);
        } else {
            self.get_temporary_key(now);
        }
    }

    fn reconnect(&mut self, now: Now, reason: ReconnectReason) {
        if let Some(connection) = self.in_use() {
            tell_of!(DEBUG, self, connection, ?reason, "connection given up");
            self.lose(now, connection, ConnectError::Session(reason));
        }
    }

    fn on_trouble(&mut self, now: Now, trouble: AuthorizationTrouble) {
        self.sink.push_update(Update::Authorization(trouble));
        match trouble {
            AuthorizationTrouble::PermanentKeyDoubtful => {
                // Binding a temporary key proves it either way.
                self.is_key_doubtful = true;
                self.wants_temporary_key = true;
                if self.in_use().is_some() {
                    self.make_key(now, self.temporary());
                }
            }
            trouble if trouble.is_terminal() => {
                if let Some(store) = &mut self.store {
                    store.request_forget();
                }
                self.die(Arc::new(ConnectError::Authorization(trouble)));
            }
            _ => {}
        }
    }

    pub(super) fn check_ready(&mut self) {
        let is_usable = self.session.as_deref().is_some_and(chappe_session::client::ClientSession::is_usable);
        // A key that is in no store would be lost with the process, and the login with it.
        if is_usable && self.is_kept() && self.is_proven() && matches!(self.life, Life::Starting { .. }) {
            self.life = Life::Running;
            self.tell_ready(&Ok(Vec::new()));
        }
    }
}
