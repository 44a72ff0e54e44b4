//! The keys a server knows: permanent and temporary, and which is bound to which.
//!
//! [`KeyTable`] is bounded; temporary keys are forgotten when they expire (SEC-127). No operation looks through all keys:
//! strangers decide how many there are.
//!
//! Not here: checking a binding message, which is the handshake's; and what hangs on a key besides, such as its sessions.
//! The servers of `chappe-net` have a table of their own for that reason: their keys are shared by threads, each
//! with its sessions, are looked up by frames without being copied, and the oldest makes room instead of the newest being
//! refused. What the two have in common is a map.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::{ServerSalt, UnixTime};
use chappe_types::BindError;

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

/// A key and what belongs to it.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// The key.
    pub key: AuthKey,
    /// What it is.
    pub kind: KeyStatus,
    /// The salt that follows from the handshake, and until when it is taken.
    pub first_salt: Option<(ServerSalt, UnixTime)>,
}

/// Keys by id.
///
/// By the book a permanent key has one temporary key at a time, and another that is bound takes its place. Clients in the
/// world make one for each connection: a server for them allows [several](Self::with_bound_keys).
#[derive(Debug, Default)]
pub struct KeyTable {
    keys: BTreeMap<AuthKeyId, KeyEntry>,
    capacity: usize,
    /// How many temporary keys may be bound to one permanent key, besides the first.
    more_bound: usize,
    /// Temporary keys by the permanent key that they are bound to, the first that was bound in front.
    bound: BTreeMap<AuthKeyId, VecDeque<AuthKeyId>>,
    /// Temporary keys by the time at which they end.
    ends: BTreeSet<(UnixTime, AuthKeyId)>,
}

impl KeyTable {
    /// Makes an empty table for at most `capacity` keys.
    pub const fn new(capacity: usize) -> Self {
        Self { keys: BTreeMap::new(), capacity, more_bound: 0, bound: BTreeMap::new(), ends: BTreeSet::new() }
    }

    /// Lets so many temporary keys be bound to one permanent key, instead of one; at least one. Of more, the one that
    /// was bound first is forgotten.
    #[must_use]
    pub const fn with_bound_keys(mut self, most: usize) -> Self {
        self.more_bound = most.saturating_sub(1);
        self
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Tells whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds a key. Returns `false`, and adds nothing, if its id is zero or taken (SEC-56) or the table is full.
    pub fn insert(&mut self, entry: KeyEntry, now: UnixTime) -> bool {
        let id = entry.key.id();
        if self.keys.len() >= self.capacity {
            self.expire(now);
        }
        if id.is_zero() || self.keys.contains_key(&id) || self.keys.len() >= self.capacity {
            return false;
        }
        if let KeyStatus::Temporary { expires_at, bound_to } = entry.kind {
            self.ends.insert((expires_at, id));
            if let Some(permanent) = bound_to {
                self.note_bound(id, permanent);
            }
        }
        self.keys.insert(id, entry);
        true
    }

    /// Returns a key that has not expired.
    pub fn get(&self, id: AuthKeyId, now: UnixTime) -> Option<&KeyEntry> {
        self.keys.get(&id).filter(|entry| !entry.is_over(now))
    }

    /// Forgets a key, and the temporary keys bound to it.
    pub fn remove(&mut self, id: AuthKeyId) -> bool {
        for temporary in self.bound.remove(&id).unwrap_or_default() {
            self.forget(temporary);
        }
        self.forget(id)
    }

    /// Forgets every key that has expired (SEC-127).
    pub fn expire(&mut self, now: UnixTime) {
        while let Some(&(expires_at, id)) = self.ends.first()
            && expires_at <= now
        {
            self.forget(id);
        }
    }

    /// Returns the permanent key that a key stands for: itself, or what it is bound to.
    pub fn permanent_of(&self, id: AuthKeyId, now: UnixTime) -> Option<AuthKeyId> {
        match self.get(id, now)?.kind {
            KeyStatus::Permanent => Some(id),
            KeyStatus::Temporary { bound_to, .. } => bound_to,
        }
    }

    /// Binds a temporary key to a permanent one; the first of those bound to it before is forgotten if there are too many.
    ///
    /// # Errors
    ///
    /// Fails if a key is unknown or of the wrong kind, or if the temporary key belongs to another one (SEC-126).
    pub fn bind(
        &mut self,
        temporary: AuthKeyId,
        permanent: AuthKeyId,
        now: UnixTime,
    ) -> Result<(), BindError> {
        let is_permanent = self.get(permanent, now).is_some_and(|entry| entry.kind == KeyStatus::Permanent);
        let bound_to = match self.get(temporary, now).map(|entry| entry.kind) {
            Some(KeyStatus::Temporary { bound_to, .. }) if is_permanent => bound_to,
            _ => return Err(BindError::EncryptedMessageInvalid),
        };
        if bound_to.is_some_and(|to| to != permanent) {
            return Err(BindError::TempAuthKeyAlreadyBound);
        }
        if bound_to.is_none()
            && let Some(KeyEntry { kind: KeyStatus::Temporary { bound_to, .. }, .. }) =
                self.keys.get_mut(&temporary)
        {
            *bound_to = Some(permanent);
            self.note_bound(temporary, permanent);
        }
        Ok(())
    }

    /// Notes which permanent key a temporary one stands for; the first of too many is forgotten.
    fn note_bound(&mut self, temporary: AuthKeyId, permanent: AuthKeyId) {
        let bound = self.bound.entry(permanent).or_default();
        bound.push_back(temporary);
        if bound.len() > 1 + self.more_bound
            && let Some(first) = bound.front().copied()
        {
            self.forget(first);
        }
    }

    fn forget(&mut self, id: AuthKeyId) -> bool {
        let Some(entry) = self.keys.remove(&id) else {
            return false;
        };
        if let KeyStatus::Temporary { expires_at, bound_to } = entry.kind {
            self.ends.remove(&(expires_at, id));
            if let Some(permanent) = bound_to
                && let Some(bound) = self.bound.get_mut(&permanent)
            {
                bound.retain(|known| *known != id);
                if bound.is_empty() {
                    self.bound.remove(&permanent);
                }
            }
        }
        true
    }
}

impl KeyEntry {
    fn is_over(&self, now: UnixTime) -> bool {
        matches!(self.kind, KeyStatus::Temporary { expires_at, .. } if expires_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(byte: u8, kind: KeyStatus) -> KeyEntry {
        KeyEntry { key: AuthKey::from_bytes([byte; 256]), kind, first_salt: None }
    }

    fn id(byte: u8) -> AuthKeyId {
        AuthKey::from_bytes([byte; 256]).id()
    }

    fn table() -> KeyTable {
        let temporary = KeyStatus::Temporary { expires_at: UnixTime::from_secs(100), bound_to: None };
        let mut table = KeyTable::new(4);
        let keys = [(1, KeyStatus::Permanent), (2, KeyStatus::Permanent), (3, temporary), (4, temporary)];
        for (byte, kind) in keys {
            assert!(table.insert(entry(byte, kind), UnixTime::EPOCH));
        }
        table
    }

    #[test]
    fn sec_126_a_temporary_key_serves_one_permanent_key_and_a_new_binding_replaces_the_old() {
        let mut table = table();
        table.bind(id(3), id(1), UnixTime::EPOCH).unwrap();
        table.bind(id(3), id(1), UnixTime::EPOCH).unwrap();
        assert_eq!(table.bind(id(3), id(2), UnixTime::EPOCH), Err(BindError::TempAuthKeyAlreadyBound));
        assert_eq!(table.bind(id(1), id(2), UnixTime::EPOCH), Err(BindError::EncryptedMessageInvalid));
        assert_eq!(
            table.bind(id(4), id(77), UnixTime::EPOCH),
            Err(BindError::EncryptedMessageInvalid),
            "nobody has it"
        );
        assert_eq!(
            table.bind(id(4), id(3), UnixTime::EPOCH),
            Err(BindError::EncryptedMessageInvalid),
            "it is temporary"
        );
        table.bind(id(4), id(1), UnixTime::EPOCH).unwrap();
        assert_eq!(table.permanent_of(id(3), UnixTime::EPOCH), None);
        assert_eq!(table.permanent_of(id(4), UnixTime::EPOCH), Some(id(1)));
        table.remove(id(1));
        assert_eq!(table.len(), 1, "what was bound to a key goes with it");
    }

    #[test]
    fn sec_126_several_keys_may_be_bound_to_one_where_clients_make_one_for_each_connection() {
        let mut table = KeyTable::new(16).with_bound_keys(3);
        table.insert(entry(1, KeyStatus::Permanent), UnixTime::EPOCH);
        for byte in 2..=5 {
            let expires_at = UnixTime::from_secs(100 + u64::from(byte));
            let kind = KeyStatus::Temporary { expires_at, bound_to: None };
            table.insert(entry(byte, kind), UnixTime::EPOCH);
            table.bind(id(byte), id(1), UnixTime::EPOCH).unwrap();
            table.bind(id(byte), id(1), UnixTime::EPOCH).unwrap();
        }
        let is_bound = |table: &KeyTable, byte| table.permanent_of(id(byte), UnixTime::EPOCH) == Some(id(1));
        assert_eq!([2, 3, 4, 5].map(|byte| is_bound(&table, byte)), [false, true, true, true]);
        table.expire(UnixTime::from_secs(103));
        assert_eq!([3, 4, 5].map(|byte| is_bound(&table, byte)), [false, true, true]);
        assert!(table.remove(id(1)) && table.is_empty());
        assert!(table.bound.is_empty() && table.ends.is_empty(), "nothing is left of them");
    }

    #[test]
    fn sec_127_temporary_keys_end_by_themselves() {
        let mut table = table();
        assert!(table.get(id(3), UnixTime::from_secs(99)).is_some());
        assert!(table.get(id(3), UnixTime::from_secs(100)).is_none());
        assert!(!table.insert(entry(9, KeyStatus::Permanent), UnixTime::EPOCH), "the table is full");
        assert!(table.insert(entry(9, KeyStatus::Permanent), UnixTime::from_secs(100)));
        assert_eq!(table.len(), 3);
    }
}
