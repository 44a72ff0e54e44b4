//! A session and the connection that it is reached over.

use core::time::Duration;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use chappe_carrier::lock;
use chappe_framing::{MsgId, SessionId, UnixTime};
use chappe_session::server::{RespondError, ServerSession};
use chappe_session::{KeyDestruction, MonoTime};

use crate::Budgets;
use crate::counters::add;
use crate::fleet::{Entry, Ownership};
use crate::handler::QueryResponse;
use crate::key_life::KeyLife;
use crate::observed::Observed;
use crate::router::SessionCalls;
use crate::unacked::Unacked;

/// Notifies a driver that a connection has something to send.
pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

/// A handle of a session, for answers and updates from any thread. Clones share the session.
#[derive(Clone)]
pub struct Attached {
    inner: Arc<Mutex<Inner>>,
    session_id: SessionId,
    /// Of the session's key.
    life: Arc<KeyLife>,
    budgets: Arc<Budgets>,
    observed: Arc<Observed>,
    calls: Arc<SessionCalls>,
    fate: Arc<Fate>,
}

/// What ends a session besides its key.
#[derive(Default)]
struct Fate {
    /// The server has removed it.
    is_ended: AtomicBool,
    /// In a fleet: the right to execute its messages.
    ownership: OnceLock<Arc<Ownership>>,
}

pub(crate) struct Inner {
    pub(crate) session: ServerSession,
    /// The connection that messages go to: the one that the client used last.
    pub(crate) outlet: Option<Outlet>,
    /// Over HTTP: other connections whose requests have no response yet.
    held: Vec<Outlet>,
    unacked: Unacked,
    late: VecDeque<Late>,
}

/// An answer that came after its frame was handled, and needs an envelope of its own.
#[derive(Debug)]
pub(crate) enum Late {
    Answer(MsgId, Vec<u8>),
    /// The last message under the key.
    KeyDestruction(KeyDestruction),
}

#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) connection: u64,
    pub(crate) waker: Waker,
    pub(crate) is_http: bool,
    /// Over HTTP: a request has no response yet.
    pub(crate) is_open: bool,
}

/// Requests of one session that may wait for a response besides the last.
const MAX_HELD: usize = 8;

impl Inner {
    /// Returns whether answers go to a connection.
    pub(crate) fn is_outlet(&self, connection: u64) -> bool {
        self.outlet.as_ref().is_some_and(|outlet| outlet.connection == connection)
    }

    /// Returns when the session has something to do that this connection can serve.
    ///
    /// Over HTTP nothing can be sent without an open request.
    pub(crate) fn next_timeout(&self, connection: u64) -> Option<MonoTime> {
        let outlet = self.outlet.as_ref().filter(|outlet| outlet.connection == connection)?;
        if outlet.is_http && !outlet.is_open { None } else { self.session.poll_timeout() }
    }

    /// Returns whether an answer waits that needs an envelope of its own.
    pub(crate) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Takes out the first of these.
    pub(crate) fn take_late(&mut self) -> Option<Late> {
        self.late.pop_front()
    }

    /// Notes what the session holds after a change.
    pub(crate) fn count_unacked(&mut self) {
        self.unacked.set(self.session.unacked_bytes());
    }

    /// Checks that the session may hold so many bytes more.
    pub(crate) fn require_room(&self, bytes: usize, budgets: &Budgets) -> Result<(), RespondError> {
        if self.unacked.may_grow(bytes, budgets) {
            return Ok(());
        }
        let (messages, bytes) = (self.session.unacked(), self.session.unacked_bytes());
        Err(RespondError::TooMuchUnacked { messages, bytes })
    }

    /// Makes a connection the one that messages go to. Returns whether unacknowledged messages must be sent again there.
    pub(crate) fn attach(&mut self, outlet: Outlet) -> bool {
        let number = outlet.connection;
        if let Some(old) = self.outlet.as_mut().filter(|old| old.connection == number) {
            old.is_open = true;
            return false;
        }
        self.held.retain(|held| held.connection != number);
        let is_http = outlet.is_http;
        match self.outlet.replace(outlet) {
            Some(old) if old.is_http => {
                if self.held.len() == MAX_HELD {
                    self.held.remove(0);
                }
                if old.is_open {
                    self.held.push(old);
                }
                // The old HTTP connection stays open, so no message was lost with it.
                !is_http
            }
            _ => true,
        }
    }

    /// Notes that a connection has sent its one response. Another one with an open request takes its place.
    fn release(&mut self, connection: u64) -> Option<Waker> {
        self.held.retain(|held| held.connection != connection);
        let outlet = self.outlet.as_mut().filter(|outlet| outlet.connection == connection)?;
        outlet.is_open = false;
        let next = self.held.pop()?;
        let waker = Arc::clone(&next.waker);
        *outlet = next;
        Some(waker)
    }

    /// Removes a connection. Returns whether the session has none left.
    pub(crate) fn detach(&mut self, connection: u64) -> bool {
        self.held.retain(|held| held.connection != connection);
        if self.outlet.as_ref().is_none_or(|outlet| outlet.connection != connection) {
            return false;
        }
        self.outlet = self.held.pop();
        self.outlet.is_none()
    }
}

impl Attached {
    pub(crate) fn new(
        session: ServerSession,
        life: Arc<KeyLife>,
        unacked: Unacked,
        budgets: &Arc<Budgets>,
        observed: Arc<Observed>,
    ) -> Self {
        let session_id = session.session_id();
        let (held, late) = (Vec::new(), VecDeque::new());
        let inner = Inner { session, outlet: None, held, unacked, late };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            session_id,
            life,
            budgets: Arc::clone(budgets),
            observed,
            calls: Arc::default(),
            fate: Arc::default(),
        }
    }

    pub(crate) fn with_ownership(self, ownership: Arc<Ownership>) -> Self {
        // A session has one owner from its beginning to its end.
        let _ = self.fate.ownership.set(ownership);
        self
    }

    pub(crate) fn ownership(&self) -> Option<&Arc<Ownership>> {
        self.fate.ownership.get()
    }

    /// Returns whether another process of the fleet owns the session, or may.
    pub(crate) fn is_lost(&self) -> bool {
        self.ownership().is_some_and(|ownership| ownership.is_lost())
    }

    /// Returns the `session_id`.
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Answers a query whose response was [`Later`](QueryResponse::Later).
    ///
    /// Within a [`Handler`](crate::Handler), return the response instead.
    ///
    /// # Errors
    ///
    /// The answer cannot be encoded, or the client leaves too many messages unacknowledged.
    pub fn respond(&self, query: MsgId, response: QueryResponse) -> Result<(), RespondError> {
        response.count(&self.observed.activity);
        self.with(response.len(), |inner| match response {
            QueryResponse::AnswerAlone(result) => {
                inner.late.push_back(Late::Answer(query, result));
                Ok(())
            }
            response => apply(&mut inner.session, query, response),
        })
    }

    /// Answers `destroy_auth_key`.
    pub(crate) fn respond_key_destroyed(&self, destruction: KeyDestruction) {
        // It needs no room.
        let _ = self.with(0, |inner| {
            inner.late.push_back(Late::KeyDestruction(destruction));
            Ok(())
        });
    }

    /// Sends an update, encoded, constructor id first.
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    pub fn push(&self, update: &[u8]) -> Result<(), RespondError> {
        add(&self.observed.activity.updates, 1);
        self.with(update.len(), |inner| inner.session.push_bytes(update))
    }

    /// Returns whether the session has ended, or its key may no longer be used.
    pub(crate) fn is_over(&self, now: UnixTime) -> bool {
        self.fate.is_ended.load(Ordering::Relaxed) || self.life.is_over(now) || self.is_lost()
    }

    /// Notes that the server has removed the session.
    pub(crate) fn end(&self) {
        if !self.fate.is_ended.swap(true, Ordering::Relaxed) {
            self.observed.note_session_ended(self);
        }
    }

    pub(crate) fn calls(&self) -> &SessionCalls {
        &self.calls
    }

    /// Wakes the connection of the session.
    pub(crate) fn wake(&self) {
        let waker = self.lock().outlet.as_ref().map(|outlet| Arc::clone(&outlet.waker));
        if let Some(wake) = waker {
            wake();
        }
    }

    /// Returns whether the session has a connection.
    pub fn is_connected(&self) -> bool {
        lock(&self.inner).outlet.is_some()
    }

    /// Calls `work` with the session, which may add so many bytes to it, then wakes its connection.
    fn with(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut Inner) -> Result<(), RespondError>,
    ) -> Result<(), RespondError> {
        let mut inner = self.lock();
        inner.require_room(bytes, &self.budgets)?;
        let result = work(&mut inner);
        inner.count_unacked();
        let waker = inner.outlet.as_ref().map(|outlet| Arc::clone(&outlet.waker));
        drop(inner);
        if let Some(wake) = waker {
            wake();
        }
        result
    }

    /// Queues entries of the store that were not queued yet, until the client has too many.
    pub(crate) fn put_entries(
        &self,
        ownership: &Ownership,
        entries: impl Iterator<Item = (u64, Option<Entry>)>,
    ) {
        let mut inner = self.lock();
        for (number, entry) in entries.filter(|(number, _)| *number > ownership.taken()).collect::<Vec<_>>() {
            let put = match entry {
                Some(Entry::Update(object)) => inner
                    .require_room(object.len(), &self.budgets)
                    .and_then(|()| inner.session.push_tagged(&object, number)),
                Some(Entry::Answer(query, object)) => inner
                    .require_room(object.len(), &self.budgets)
                    .and_then(|()| inner.session.respond_tagged(query, object, number)),
                // Written by a later version.
                None => Ok(()),
            };
            if matches!(put, Err(RespondError::TooMuchUnacked { .. })) {
                ownership.set_behind();
                break;
            }
            ownership.take(number);
        }
        inner.count_unacked();
        drop(inner);
        self.wake();
    }

    /// Over HTTP: notes that a connection has sent its response.
    pub(crate) fn release(&self, connection: u64) {
        let waker = self.lock().release(connection);
        if let Some(wake) = waker {
            wake();
        }
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Returns the highest id of a message received, zero if there is none; `None` if a connection speaks for the
    /// session.
    ///
    /// Never waits for the lock: a session that is being worked on is in use.
    pub(crate) fn last_received_if_unused(&self) -> Option<MsgId> {
        let inner = self.inner.try_lock().ok()?;
        let last = inner.session.last_received().unwrap_or(MsgId::from_raw(0));
        inner.outlet.is_none().then_some(last)
    }

    /// Returns whether the session has had no connection for so long. It may have had one meanwhile.
    pub(crate) fn is_detached_for(&self, now: MonoTime, lifetime: Duration) -> bool {
        let since = self.inner.try_lock().ok().and_then(|inner| inner.session.disconnected_since());
        since.is_some_and(|since| since + lifetime <= now)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// Passes the answer to a query to its session.
pub(crate) fn apply(
    session: &mut ServerSession,
    query: MsgId,
    response: QueryResponse,
) -> Result<(), RespondError> {
    match response {
        QueryResponse::Answer(result) | QueryResponse::AnswerAlone(result) => {
            session.respond_vec(query, result)
        }
        QueryResponse::Error { code, message } => session.respond_error(query, code, &message),
        QueryResponse::Instead(object) => session.push_bytes(&object),
        QueryResponse::Later => Ok(()),
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chappe_crypto::AuthKey;
    use chappe_session::server::{SaltSchedule, ServerConfig};

    use super::*;

    fn inner() -> Inner {
        let key = AuthKey::from_bytes([7; 256]);
        let salts = SaltSchedule::new([1; 32]);
        let session = ServerSession::new(ServerConfig::default(), key, SessionId::from_raw(5), salts, 77);
        let unacked = Unacked::new(Arc::default(), Arc::default());
        Inner { session, outlet: None, held: Vec::new(), unacked, late: VecDeque::new() }
    }

    fn request(connection: u64) -> Outlet {
        Outlet { connection, waker: Arc::new(|| ()), is_http: true, is_open: true }
    }

    #[test]
    fn so_many_requests_wait_and_the_latest_is_answered_first() {
        let mut inner = inner();
        for connection in 0..100 {
            inner.attach(request(connection));
            assert!(inner.held.len() <= MAX_HELD);
        }
        let mut answered = Vec::new();
        while let Some(outlet) = inner.outlet.as_ref().filter(|outlet| outlet.is_open) {
            let connection = outlet.connection;
            answered.push(connection);
            inner.release(connection);
        }
        let latest: Vec<_> = (0..100).rev().take(1 + MAX_HELD).collect();
        assert_eq!(answered, latest);
    }
}
