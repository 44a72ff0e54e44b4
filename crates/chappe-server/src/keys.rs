//! The keys of a server.
//!
//! Connections on many threads share them, and each key carries its sessions. Any number of temporary keys may be bound
//! to one permanent key, because clients make one for each connection. The oldest key makes room for a new one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::{MsgId, ServerSalt, SessionId, UnixTime};
use chappe_handshake::{CreatedKey, DcId};

use crate::session::Attached;

/// Whether a key is permanent, and if not, when it ends and what it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It stays until it is destroyed.
    Permanent,
    /// It ends by itself, and may be bound to a permanent key.
    Temporary {
        /// When it ends.
        expires_at: UnixTime,
        /// The permanent key it stands for.
        bound_to: Option<AuthKeyId>,
    },
}

/// A key and the sessions under it.
#[derive(Debug)]
pub struct KeyState {
    key: AuthKey,
    first_salt: Option<(ServerSalt, UnixTime)>,
    dc: Option<DcId>,
    kind: Mutex<KeyStatus>,
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<SessionId, Attached>,
    /// The oldest first.
    order: VecDeque<SessionId>,
    /// The highest id of a message received in a session that is gone. Messages up to it may have been executed there,
    /// and the window that would know is gone too, so none of them begins a session.
    floor: Option<MsgId>,
}

impl KeyState {
    /// Makes the state of a key that was made elsewhere, such as one from a store.
    pub fn new(key: AuthKey, kind: KeyStatus) -> Self {
        Self { key, first_salt: None, dc: None, kind: Mutex::new(kind), sessions: Mutex::default() }
    }

    pub(crate) fn created(created: CreatedKey, salt_until: UnixTime) -> Self {
        let kind = match created.expires_at {
            None => KeyStatus::Permanent,
            Some(expires_at) => KeyStatus::Temporary { expires_at, bound_to: None },
        };
        let first_salt = Some((created.first_salt, salt_until));
        let dc = created.dc.and_then(DcId::from_raw);
        Self { key: created.auth_key, first_salt, dc, kind: Mutex::new(kind), sessions: Mutex::default() }
    }

    /// Returns the key.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key
    }

    /// Returns the datacenter that the client named when it made the key. `None` for keys that were made elsewhere, and of
    /// old clients, which name none.
    pub const fn dc(&self) -> Option<DcId> {
        self.dc
    }

    /// Returns what kind of key it is.
    pub fn kind(&self) -> KeyStatus {
        *lock(&self.kind)
    }

    /// Returns the permanent key that calls under this key belong to; `None` for a temporary key that is not bound.
    pub fn permanent_id(&self) -> Option<AuthKeyId> {
        match self.kind() {
            KeyStatus::Permanent => Some(self.key.id()),
            KeyStatus::Temporary { bound_to, .. } => bound_to,
        }
    }

    /// Returns the sessions that are remembered.
    pub fn sessions(&self) -> Vec<Attached> {
        lock(&self.sessions).by_id.values().cloned().collect()
    }

    pub(crate) const fn first_salt(&self) -> Option<(ServerSalt, UnixTime)> {
        self.first_salt
    }

    pub(crate) fn bind_to(&self, permanent: AuthKeyId) {
        if let KeyStatus::Temporary { bound_to, .. } = &mut *lock(&self.kind) {
            *bound_to = Some(permanent);
        }
    }

    /// Returns whether the key is temporary and has ended: then it is forgotten (SEC-127).
    pub(crate) fn is_expired(&self, now: UnixTime) -> bool {
        matches!(self.kind(), KeyStatus::Temporary { expires_at, .. } if expires_at <= now)
    }

    /// Returns a session.
    pub(crate) fn session(&self, id: SessionId) -> Option<Attached> {
        lock(&self.sessions).by_id.get(&id).cloned()
    }

    /// Returns whether a message may begin a session: it is newer than all messages of sessions that are gone.
    pub(crate) fn may_begin_session(&self, msg_id: MsgId) -> bool {
        lock(&self.sessions).floor.is_none_or(|floor| msg_id > floor)
    }

    /// Keeps a new session and returns it, or the one of the same id that another connection has made meanwhile.
    ///
    /// The oldest session without a connection makes room. Returns `None` if all `max` sessions have one: a session in
    /// use is never removed, whoever asks for a new one.
    pub(crate) fn keep_session(&self, made: Attached, max: usize) -> Option<Attached> {
        let mut sessions = lock(&self.sessions);
        if let Some(known) = sessions.by_id.get(&made.session_id()) {
            return Some(known.clone());
        }
        if sessions.order.len() >= max.max(1) {
            sessions.remove_unused()?;
        }
        sessions.order.push_back(made.session_id());
        sessions.by_id.insert(made.session_id(), made.clone());
        Some(made)
    }

    /// Removes a session, as the message `request` of another one asks; returns whether there was one.
    pub(crate) fn forget_session(&self, id: SessionId, request: MsgId) -> bool {
        let mut sessions = lock(&self.sessions);
        sessions.order.retain(|known| *known != id);
        let existed = sessions.by_id.remove(&id).is_some();
        if existed {
            // The client wrote the messages of that session before it asked to destroy it.
            sessions.floor = sessions.floor.max(Some(request));
        }
        existed
    }
}

impl Sessions {
    /// Removes the oldest session that no connection speaks for.
    fn remove_unused(&mut self) -> Option<()> {
        let unused = |id: &SessionId| self.by_id.get(id).and_then(Attached::last_received_if_unused);
        let (place, last) =
            self.order.iter().enumerate().find_map(|(place, id)| Some((place, unused(id)?)))?;
        self.floor = self.floor.max(Some(last));
        let id = self.order.remove(place)?;
        self.by_id.remove(&id);
        Some(())
    }
}

/// All keys, bounded. Strangers make them, so no operation on one key visits all.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_id: HashMap<AuthKeyId, Known>,
    /// The oldest first.
    order: BTreeMap<u64, AuthKeyId>,
    /// Temporary keys, those that end first in front.
    ends: BTreeSet<(UnixTime, AuthKeyId)>,
    /// Number of the next key.
    next: u64,
}

#[derive(Debug)]
struct Known {
    number: u64,
    state: Arc<KeyState>,
}

impl Keys {
    /// Returns a key that is still valid.
    pub(crate) fn get(&mut self, id: AuthKeyId, now: UnixTime) -> Option<Arc<KeyState>> {
        let found = &self.by_id.get(&id)?.state;
        if found.is_expired(now) || self.is_orphan(found) {
            self.forget(id);
            return None;
        }
        Some(Arc::clone(found))
    }

    /// Returns whether the permanent key that this one is bound to is gone. Lookups check it, so that no list of bound keys
    /// is needed.
    fn is_orphan(&self, state: &KeyState) -> bool {
        state.permanent_id().is_some_and(|permanent| !self.contains(permanent))
    }

    pub(crate) fn contains(&self, id: AuthKeyId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Adds a key. Expired keys make room first, then the oldest.
    pub(crate) fn insert(&mut self, state: Arc<KeyState>, max: usize, now: UnixTime) {
        let id = state.auth_key().id();
        let known = self.by_id.get(&id).map(|known| known.number);
        // The old state may have another expiry, which must leave `ends`.
        if !self.forget(id) {
            self.make_room(max.max(1), now);
        }
        if let KeyStatus::Temporary { expires_at, .. } = state.kind() {
            self.ends.insert((expires_at, id));
        }
        let number = known.unwrap_or(self.next);
        self.next += 1;
        self.order.insert(number, id);
        self.by_id.insert(id, Known { number, state });
    }

    fn make_room(&mut self, max: usize, now: UnixTime) {
        while self.by_id.len() >= max {
            let ended = self.ends.first().filter(|end| end.0 <= now).map(|end| end.1);
            let Some(least) = ended.or_else(|| self.order.first_key_value().map(|(_, oldest)| *oldest))
            else {
                return;
            };
            self.forget(least);
        }
    }

    /// Removes a key, and with it the temporary keys that are bound to it. Returns whether there was one.
    pub(crate) fn forget(&mut self, id: AuthKeyId) -> bool {
        let Some(Known { number, state }) = self.by_id.remove(&id) else {
            return false;
        };
        self.order.remove(&number);
        if let KeyStatus::Temporary { expires_at, .. } = state.kind() {
            self.ends.remove(&(expires_at, id));
        }
        true
    }

    pub(crate) fn all(&self) -> Vec<Arc<KeyState>> {
        let states = self.by_id.values().map(|known| &known.state);
        states.filter(|state| !self.is_orphan(state)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn state(number: u8, kind: KeyStatus) -> Arc<KeyState> {
        Arc::new(KeyState::new(AuthKey::from_bytes([number; 256]), kind))
    }

    fn temporary(number: u8, permanent: &KeyState) -> Arc<KeyState> {
        let expires_at = NOW.saturating_add(core::time::Duration::from_secs(60));
        state(number, KeyStatus::Temporary { expires_at, bound_to: Some(permanent.auth_key().id()) })
    }

    #[test]
    fn a_temporary_key_ends_with_the_permanent_one_however_that_ends() {
        let permanent = state(1, KeyStatus::Permanent);
        let bound = temporary(2, &permanent);
        let (id, bound_id) = (permanent.auth_key().id(), bound.auth_key().id());
        let mut keys = Keys::default();
        for is_destroyed in [true, false] {
            keys.insert(Arc::clone(&permanent), 2, NOW);
            keys.insert(Arc::clone(&bound), 2, NOW);
            assert!(keys.get(bound_id, NOW).is_some());
            if is_destroyed {
                assert!(keys.forget(id));
            } else {
                keys.insert(state(3, KeyStatus::Permanent), 2, NOW);
            }
            assert!(keys.all().iter().all(|state| state.auth_key().id() != bound_id));
            assert!(keys.get(bound_id, NOW).is_none());
            assert!(!keys.contains(bound_id), "and nothing is left of it");
        }
        assert_eq!((keys.order.len(), keys.ends.len()), (keys.by_id.len(), 0));
    }

    #[test]
    fn keys_that_have_ended_make_room_before_older_ones_that_are_good() {
        let permanent = state(1, KeyStatus::Permanent);
        let mut keys = Keys::default();
        keys.insert(Arc::clone(&permanent), 2, NOW);
        keys.insert(temporary(2, &permanent), 2, NOW);
        let later = NOW.saturating_add(core::time::Duration::from_secs(60));
        keys.insert(state(3, KeyStatus::Permanent), 2, later);
        assert!(keys.get(permanent.auth_key().id(), later).is_some());
        assert_eq!((keys.by_id.len(), keys.order.len(), keys.ends.len()), (2, 2, 0));
        keys.insert(Arc::clone(&permanent), 2, later);
        assert_eq!(
            (keys.by_id.len(), keys.order.len()),
            (2, 2),
            "a key that is known takes no further place"
        );
    }
}
