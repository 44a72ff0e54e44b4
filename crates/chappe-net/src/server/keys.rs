//! The keys of a server.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::{ServerSalt, SessionId, UnixTime};
use chappe_handshake::CreatedKey;
use chappe_session::server::KeyKind;

use super::session::Attached;

/// A key and the sessions under it.
#[derive(Debug)]
pub struct KeyState {
    key: AuthKey,
    first_salt: Option<(ServerSalt, UnixTime)>,
    kind: Mutex<KeyKind>,
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<SessionId, Attached>,
    order: VecDeque<SessionId>,
}

impl KeyState {
    /// Takes a key that was made elsewhere, such as one that a store kept.
    pub fn new(key: AuthKey, kind: KeyKind) -> Self {
        Self { key, first_salt: None, kind: Mutex::new(kind), sessions: Mutex::default() }
    }

    pub(super) fn created(created: CreatedKey, salt_until: UnixTime) -> Self {
        let kind = match created.expires_at {
            None => KeyKind::Permanent,
            Some(expires_at) => KeyKind::Temporary { expires_at, bound_to: None },
        };
        let first_salt = Some((created.first_salt, salt_until));
        Self { key: created.auth_key, first_salt, kind: Mutex::new(kind), sessions: Mutex::default() }
    }

    /// Returns the key.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key
    }

    /// Returns what kind of key it is.
    pub fn kind(&self) -> KeyKind {
        *lock(&self.kind)
    }

    /// Returns the permanent key that calls under this key count for; `None` for a key that is not bound.
    pub fn permanent_id(&self) -> Option<AuthKeyId> {
        match self.kind() {
            KeyKind::Permanent => Some(self.key.id()),
            KeyKind::Temporary { bound_to, .. } => bound_to,
        }
    }

    /// Returns the sessions that are remembered.
    pub fn sessions(&self) -> Vec<Attached> {
        lock(&self.sessions).by_id.values().cloned().collect()
    }

    pub(super) const fn first_salt(&self) -> Option<(ServerSalt, UnixTime)> {
        self.first_salt
    }

    pub(super) fn bind_to(&self, permanent: AuthKeyId) {
        if let KeyKind::Temporary { bound_to, .. } = &mut *lock(&self.kind) {
            *bound_to = Some(permanent);
        }
    }

    pub(super) fn is_expired(&self, now: UnixTime) -> bool {
        matches!(self.kind(), KeyKind::Temporary { expires_at, .. } if expires_at <= now)
    }

    /// Returns the session of this id, or makes it; the oldest makes room.
    pub(super) fn session_or(&self, id: SessionId, max: usize, make: impl FnOnce() -> Attached) -> Attached {
        let mut sessions = lock(&self.sessions);
        if let Some(known) = sessions.by_id.get(&id) {
            return known.clone();
        }
        while sessions.order.len() >= max.max(1) {
            if let Some(oldest) = sessions.order.pop_front() {
                sessions.by_id.remove(&oldest);
            }
        }
        let made = make();
        sessions.order.push_back(id);
        sessions.by_id.insert(id, made.clone());
        made
    }

    pub(super) fn forget_session(&self, id: SessionId) -> bool {
        let mut sessions = lock(&self.sessions);
        sessions.order.retain(|known| *known != id);
        sessions.by_id.remove(&id).is_some()
    }
}

/// All keys, bounded.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_id: HashMap<AuthKeyId, Arc<KeyState>>,
    order: VecDeque<AuthKeyId>,
}

impl Keys {
    /// Returns a key that is still good.
    pub(super) fn get(&mut self, id: AuthKeyId, now: UnixTime) -> Option<Arc<KeyState>> {
        let found = self.by_id.get(&id)?;
        if found.is_expired(now) {
            self.forget(id);
            return None;
        }
        Some(Arc::clone(found))
    }

    pub(super) fn contains(&self, id: AuthKeyId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Adds a key; the oldest make room.
    pub(super) fn insert(&mut self, state: Arc<KeyState>, max: usize) {
        let id = state.auth_key().id();
        if !self.contains(id) {
            while self.order.len() >= max.max(1) {
                let oldest = self.order[0];
                self.forget(oldest);
            }
            self.order.push_back(id);
        }
        self.by_id.insert(id, state);
    }

    /// Forgets a key, and the temporary keys that speak for it; says whether there was one.
    pub(super) fn forget(&mut self, id: AuthKeyId) -> bool {
        let existed = self.by_id.remove(&id).is_some();
        self.by_id.retain(
            |_, state| !matches!(state.kind(), KeyKind::Temporary { bound_to: Some(to), .. } if to == id),
        );
        self.order.retain(|known| self.by_id.contains_key(known));
        existed
    }

    pub(super) fn all(&self) -> Vec<Arc<KeyState>> {
        self.by_id.values().cloned().collect()
    }
}

/// A panic elsewhere must not make every other session unusable: what is guarded here is whole between any two
/// statements that can panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
