//! The keys of the simulated datacenter. A permanent key has one temporary key at a time, as the specification says.

use std::collections::BTreeMap;

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::UnixTime;

/// Whether a key is permanent, and if not, when it ends and what it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    Permanent,
    Temporary { expires_at: UnixTime, bound_to: Option<AuthKeyId> },
}

/// Keys by id.
#[derive(Debug, Default)]
pub struct KeyTable(BTreeMap<AuthKeyId, (AuthKey, KeyStatus)>);

impl KeyTable {
    /// Adds a key, and forgets those that have ended (SEC-127).
    pub fn insert(&mut self, key: AuthKey, status: KeyStatus, now: UnixTime) {
        self.0.retain(|_, (_, status)| !status.is_over(now));
        assert!(self.0.insert(key.id(), (key, status)).is_none(), "its id is taken");
    }

    pub fn get(&self, id: AuthKeyId, now: UnixTime) -> Option<&AuthKey> {
        self.0.get(&id).filter(|(_, status)| !status.is_over(now)).map(|(key, _)| key)
    }

    /// Returns the permanent key that a key stands for: itself, or what it is bound to.
    pub fn permanent_of(&self, id: AuthKeyId, now: UnixTime) -> Option<AuthKeyId> {
        self.get(id, now)?;
        match self.0.get(&id)?.1 {
            KeyStatus::Permanent => Some(id),
            KeyStatus::Temporary { bound_to, .. } => bound_to,
        }
    }

    /// Binds a temporary key to a permanent one and forgets the one that was bound before (SEC-126).
    pub fn bind(&mut self, temporary: AuthKeyId, permanent: AuthKeyId) {
        let is_replaced = |id: &AuthKeyId, status: &KeyStatus| {
            *id != temporary
                && matches!(status, KeyStatus::Temporary { bound_to: Some(to), .. } if *to == permanent)
        };
        self.0.retain(|id, (_, status)| !is_replaced(id, status));
        match self.0.get_mut(&temporary) {
            Some((_, KeyStatus::Temporary { bound_to, .. })) if bound_to.is_none_or(|to| to == permanent) => {
                *bound_to = Some(permanent);
            }
            known => panic!("it cannot be bound: {known:?}"),
        }
    }
}

impl KeyStatus {
    fn is_over(&self, now: UnixTime) -> bool {
        matches!(self, Self::Temporary { expires_at, .. } if *expires_at <= now)
    }
}
