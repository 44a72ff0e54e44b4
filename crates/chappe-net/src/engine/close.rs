//! The end of a client, wanted or not.
//!
//! A client is over when nothing new is begun; it has ended when its driver has nothing left to do, such as saving the
//! state. Calls are told of the first, callers of `close` of the second.

use std::sync::Arc;

use chappe_session::Now;

use super::telling::{tell, tell_of};
use super::{ConnectionId, Engine, Life};
use crate::client::pending::Slot;
use crate::client::{ConnectError, InvokeError};

impl Engine {
    /// Refuses new calls, lets those under way end, flushes what is owed, and ends. The slot is told when the driver has
    /// done all of that.
    pub(crate) fn close(&mut self, now: Now) -> Arc<Slot> {
        if matches!(self.life, Life::Starting { .. } | Life::Running) {
            self.life = Life::Closing { deadline: now.mono + self.options.timing.close };
            // It would not help any more.
            self.tell_ready(&Err(InvokeError::Closed));
        }
        let slot = Arc::<Slot>::default();
        match &mut self.closers {
            Some(closers) => {
                // A dropped wait for the end leaves nothing behind.
                closers.retain(|closer| Arc::strong_count(closer) > 1);
                closers.push(Arc::clone(&slot));
            }
            None => self.sink.wakers.extend(slot.settle(Ok(Vec::new()))),
        }
        slot
    }

    /// The driver has ended: it was told to, or it was stopped. Those who wait for it are woken.
    pub(super) fn end_driver(&mut self) {
        self.stop(None);
        for closer in self.closers.take().into_iter().flatten() {
            self.sink.wakers.extend(closer.settle(Ok(Vec::new())));
        }
    }

    /// Returns whether the client can end now.
    pub(super) fn may_end(&self, now: Now) -> bool {
        match self.life {
            Life::Closing { deadline } => {
                deadline <= now.mono || self.sink.calls.is_empty() || self.in_use().is_none()
            }
            _ => false,
        }
    }

    /// Ends because the caller wants it; everything was sent.
    pub(super) fn end(&mut self, now: Now) {
        if self.session.is_some() {
            self.save();
        }
        self.tell_counters(now);
        self.stop(None);
    }

    /// Ends because it cannot go on.
    pub(super) fn die(&mut self, error: Arc<ConnectError>) {
        tell!(WARN, self, error = %error.report(), "client over");
        self.stop(Some(error));
    }

    fn stop(&mut self, error: Option<Arc<ConnectError>>) {
        if matches!(self.life, Life::Over(_)) {
            return;
        }
        if let Some(store) = &mut self.store {
            store.finish();
        }
        self.leave_key_to_others();
        let ending = error.clone().map_or(InvokeError::Closed, InvokeError::Connection);
        self.life = Life::Over(error);
        while let Some(connection) = self.connections.first().map(|known| known.id) {
            self.close_connection(connection);
        }
        self.sink.finish_all(&ending);
        self.sink.finish_updates();
        self.tell_ready(&Err(ending));
    }

    pub(super) fn close_connection(&mut self, connection: ConnectionId) {
        if self.in_use() == Some(connection) {
            tell_of!(INFO, self, connection, "disconnected, as planned");
        }
        self.connections.retain(|known| known.id != connection);
        self.links.close(connection);
    }
}
