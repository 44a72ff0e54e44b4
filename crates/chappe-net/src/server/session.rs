//! A session together with the connection it is reached over.

use std::fmt;
use std::sync::{Arc, Mutex};

use chappe_framing::{MsgId, SessionId};
use chappe_session::Now;
use chappe_session::server::{RespondError, ServerSession};

use super::handler::Verdict;
use super::keys::lock;

/// Tells a driver that a connection has something to send.
pub(super) type Waker = Arc<dyn Fn() + Send + Sync>;

/// A session, to be answered and pushed to from anywhere. Clones are the same session.
#[derive(Clone)]
pub struct Attached {
    inner: Arc<Mutex<Inner>>,
    session_id: SessionId,
}

pub(super) struct Inner {
    pub(super) session: ServerSession,
    /// The connection that answers go to: the one that spoke last.
    pub(super) outlet: Option<Outlet>,
}

#[derive(Clone)]
pub(super) struct Outlet {
    pub(super) connection: u64,
    pub(super) waker: Waker,
}

impl Attached {
    pub(super) fn new(session: ServerSession) -> Self {
        let session_id = session.session_id();
        Self { inner: Arc::new(Mutex::new(Inner { session, outlet: None })), session_id }
    }

    /// Returns the `session_id`.
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Answers a query that was left for [`Later`](Verdict::Later).
    ///
    /// Must not be called from within a [`Handler`](super::Handler): there, the verdict is the answer.
    ///
    /// # Errors
    ///
    /// The answer cannot be encoded, or the client acknowledges too little of what it gets.
    pub fn respond(&self, now: Now, query: MsgId, verdict: Verdict) -> Result<(), RespondError> {
        self.with(|session| apply(session, now, query, verdict))
    }

    /// Sends an update, encoded, constructor id first.
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    pub fn push(&self, now: Now, update: &[u8]) -> Result<(), RespondError> {
        self.with(|session| session.push_bytes(now, update))
    }

    /// Sends a service message that the session would not send by itself, for tests of clients.
    pub fn send_raw(&self, body: &[u8]) {
        self.with(|session| session.send_raw(body));
    }

    /// Says whether a connection is up.
    pub fn is_connected(&self) -> bool {
        lock(&self.inner).outlet.is_some()
    }

    /// Works on the session, then lets its connection send what came of it.
    fn with<T>(&self, work: impl FnOnce(&mut ServerSession) -> T) -> T {
        let mut inner = self.lock();
        let result = work(&mut inner.session);
        let waker = inner.outlet.as_ref().map(|outlet| Arc::clone(&outlet.waker));
        drop(inner);
        if let Some(wake) = waker {
            wake();
        }
        result
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// Gives a session the answer to a query.
pub(super) fn apply(
    session: &mut ServerSession,
    now: Now,
    query: MsgId,
    verdict: Verdict,
) -> Result<(), RespondError> {
    match verdict {
        Verdict::Answer(result) | Verdict::AnswerAlone(result) => session.respond_bytes(now, query, &result),
        Verdict::Error { code, message } => session.respond_error(now, query, code, &message),
        Verdict::Instead(object) => {
            session.send_raw(&object);
            Ok(())
        }
        Verdict::Later => Ok(()),
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}
