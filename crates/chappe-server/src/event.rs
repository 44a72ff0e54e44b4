//! What happens to keys, sessions and logins, for an application that wants to know.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chappe_carrier::lock;
use chappe_crypto::AuthKeyId;
use chappe_framing::UnixTime;
use chappe_types::DcId;

use crate::session::Attached;

/// What happened to a key, a session or a login.
///
/// [`Handler::event`](crate::Handler::event) is called with it, on the thread where it happened, shortly after. No lock of the
/// server is held then: it may call everything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client has made a key.
    KeyMade {
        /// The key.
        key_id: AuthKeyId,
        /// When it ends, if it is temporary.
        expires_at: Option<UnixTime>,
        /// The datacenter that the client named.
        dc: Option<DcId>,
    },
    /// A temporary key was bound to a permanent one, or again to the same.
    KeyBound {
        /// The temporary key.
        temporary: AuthKeyId,
        /// The key that calls under it belong to from now on.
        permanent: AuthKeyId,
    },
    /// A client has begun a session.
    SessionBegan {
        /// The session.
        session: Attached,
    },
    /// A session has ended: the client or a limit ended it, it had no connection for too long, or its key is gone.
    SessionEnded {
        /// The session. Nothing that is pushed to it is sent.
        session: Attached,
    },
    /// A login was imported under another key.
    LoginMoved {
        /// Who is logged in.
        user_id: i64,
        /// The permanent key that the login was exported from.
        from: AuthKeyId,
        /// The permanent key that it was imported under.
        to: AuthKeyId,
    },
}

/// Events that were not delivered yet. They wait until no lock of the engine is held.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Spares the lock while there are no events.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<ServerEvent>>,
}

impl Events {
    pub(crate) fn push(&self, event: ServerEvent) {
        lock(&self.queue).push_back(event);
        self.waiting.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn pop(&self) -> Option<ServerEvent> {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let event = lock(&self.queue).pop_front()?;
        self.waiting.fetch_sub(1, Ordering::Release);
        Some(event)
    }
}
