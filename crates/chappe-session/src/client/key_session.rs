//! An `auth_key` in use and the session under it.

use alloc::boxed::Box;

use chappe_crypto::AuthKey;
use chappe_framing::{SeqNoCounter, SessionId};
use rand_core::CryptoRng;

use super::inbox::Inbox;
use super::salt_supply::SaltSupply;
use crate::SessionLimits;
use crate::salts::SaltTable;

/// Former sessions of a key whose late messages are ignored instead of closing the connection.
const FORMER_SESSIONS: usize = 4;

/// Announcements of new sessions remembered (SEC-91).
const UNIQUE_IDS: usize = 4;

/// Counts the sessions of a client, under whatever key, so that nothing is concluded in one about messages of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation(u32);

impl Generation {
    /// Returns the number of the session after this one.
    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A key in use, and the session under it.
#[derive(Debug)]
pub(super) struct KeySession {
    pub(super) key: AuthKey,
    pub(super) generation: Generation,
    /// `None` until the next packet draws one.
    pub(super) session_id: Option<SessionId>,
    pub(super) seq: SeqNoCounter,
    pub(super) salts: SaltSupply,
    pub(super) inbox: Inbox,
    /// Whether a call inside `initConnection` was answered without an error.
    pub(super) is_initialized: bool,
    history: Option<Box<History>>,
}

/// What a session remembers of sessions before it and of announcements. Most sessions never need it.
#[derive(Debug, Default)]
struct History {
    /// The last one first.
    former: [Option<SessionId>; FORMER_SESSIONS],
    unique_ids: [Option<i64>; UNIQUE_IDS],
}

impl KeySession {
    pub(super) const fn new(
        key: AuthKey,
        salts: SaltTable,
        limits: &SessionLimits,
        generation: Generation,
    ) -> Self {
        Self {
            key,
            generation,
            session_id: None,
            seq: SeqNoCounter::new(),
            salts: SaltSupply::new(salts),
            inbox: Inbox::new(limits),
            is_initialized: false,
            history: None,
        }
    }

    /// Returns the session, drawing one if there is none.
    pub(super) fn session(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> SessionId {
        *self.session_id.get_or_insert_with(|| SessionId::random(rng))
    }

    /// Ends the session: everything that counts within one starts anew with the next packet, in session `next`.
    pub(super) fn retire_session(&mut self, next: Generation) {
        self.generation = next;
        if let Some(session_id) = self.session_id.take() {
            let former = &mut self.history.get_or_insert_default().former;
            former.rotate_right(1);
            former[0] = Some(session_id);
        }
        self.seq = SeqNoCounter::new();
        self.inbox.begin_session();
        if let Some(history) = &mut self.history {
            history.unique_ids = [None; UNIQUE_IDS];
        }
        self.salts.forget_request();
    }

    /// Returns whether a session was in use under this key not long ago.
    pub(super) fn was_session(&self, session_id: SessionId) -> bool {
        self.history.as_ref().is_some_and(|history| history.former.contains(&Some(session_id)))
    }

    /// Returns whether an announcement of a new session is new, and remembers it (SEC-91).
    pub(super) fn is_new_announcement(&mut self, unique_id: i64) -> bool {
        let unique_ids = &mut self.history.get_or_insert_default().unique_ids;
        if unique_ids.contains(&Some(unique_id)) {
            return false;
        }
        unique_ids.rotate_right(1);
        unique_ids[0] = Some(unique_id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> KeySession {
        let limits = SessionLimits::default();
        let salts = SaltTable::from_salts([], limits.salts);
        KeySession::new(AuthKey::from_bytes([1; 256]), salts, &limits, Generation::default())
    }

    #[test]
    fn the_last_sessions_of_a_key_are_remembered() {
        let mut session = session();
        for raw in 1..=6 {
            session.session_id = Some(SessionId::from_raw(raw));
            session.retire_session(Generation::default());
        }
        let known: Vec<i64> = (1..=6).filter(|raw| session.was_session(SessionId::from_raw(*raw))).collect();
        assert_eq!(known, [3, 4, 5, 6]);
    }

    #[test]
    fn sec_091_an_announcement_counts_once_in_a_session() {
        let mut session = session();
        assert!(session.is_new_announcement(7));
        assert!(!session.is_new_announcement(7));
        session.retire_session(Generation::default());
        assert!(session.is_new_announcement(7));
    }
}
