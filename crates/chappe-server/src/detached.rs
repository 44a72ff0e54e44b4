//! Sessions without a connection, in the order in which they end.

use core::time::Duration;
use std::collections::VecDeque;

use chappe_crypto::AuthKeyId;
use chappe_framing::SessionId;
use chappe_session::MonoTime;

/// A session that lost its connection. It may have another one since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detached {
    pub(crate) key: AuthKeyId,
    pub(crate) session: SessionId,
    at: MonoTime,
}

/// Sessions that lost their connections, the first in front.
#[derive(Debug, Default)]
pub(crate) struct DetachedSessions(VecDeque<Detached>);

/// Most entries. Beyond it, the first ends before its time: clients that come and go often must not fill memory.
const MAX_DETACHED: usize = 1 << 18;

impl DetachedSessions {
    /// Adds a session. Returns one that must end at once to make room, if it is still without a connection.
    pub(crate) fn push(&mut self, key: AuthKeyId, session: SessionId, at: MonoTime) -> Option<Detached> {
        self.0.push_back(Detached { key, session, at });
        if self.0.len() > MAX_DETACHED { self.0.pop_front() } else { None }
    }

    /// Takes out the first session, if it lost its connection so long ago.
    pub(crate) fn pop(&mut self, now: MonoTime, lifetime: Duration) -> Option<Detached> {
        let is_due = self.0.front().is_some_and(|first| first.at + lifetime <= now);
        if is_due { self.0.pop_front() } else { None }
    }
}
