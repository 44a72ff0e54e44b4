//! All keys of a server.
//!
//! Connections on many threads share them. Any number of temporary keys may be bound to one permanent key, because clients
//! make one for each connection. Strangers make keys, so no operation on one key visits all, and a key that no client has
//! used yet never takes the place of one that is in use.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chappe_crypto::AuthKeyId;
use chappe_framing::UnixTime;
use chappe_handshake::PeerId;

use crate::Budgets;
use crate::keys::KeyState;

/// All keys, bounded.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_id: HashMap<AuthKeyId, Known>,
    /// Keys that were made here and never used, the oldest first.
    unused: Pool,
    /// Keys that were used or added by the owner, those not used for longest first.
    used: Pool,
    /// Temporary keys, those that end first in front.
    ends: BTreeSet<(UnixTime, AuthKeyId)>,
    /// Number of the next place in a pool.
    next: u64,
    /// When a key in use last made room.
    dropped_at: UnixTime,
}

#[derive(Debug)]
struct Known {
    place: Place,
    state: Arc<KeyState>,
}

/// Where a key waits for its removal.
#[derive(Clone, Copy, Debug)]
enum Place {
    Unused(u64),
    Used(u64),
    /// The owner wants it kept.
    Pinned,
}

/// Keys in the order in which they make room.
#[derive(Debug, Default)]
struct Pool {
    order: BTreeMap<u64, AuthKeyId>,
    by_network: HashMap<PeerId, BTreeMap<u64, AuthKeyId>>,
}

impl Pool {
    fn insert(&mut self, number: u64, id: AuthKeyId, network: Option<PeerId>) {
        self.order.insert(number, id);
        if let Some(network) = network {
            self.by_network.entry(network).or_default().insert(number, id);
        }
    }

    fn remove(&mut self, number: u64, network: Option<PeerId>) {
        self.order.remove(&number);
        if let Some(network) = network
            && let Some(ids) = self.by_network.get_mut(&network)
        {
            ids.remove(&number);
            if ids.is_empty() {
                self.by_network.remove(&network);
            }
        }
    }

    /// Returns the key that must go before another one of `network` comes, if one must.
    fn least(&self, network: Option<PeerId>, most: usize, most_of_network: usize) -> Option<AuthKeyId> {
        let own = network.and_then(|network| self.by_network.get(&network));
        let own = own.filter(|own| own.len() >= most_of_network.max(1));
        let full = if self.order.len() >= most.max(1) { Some(&self.order) } else { None };
        own.or(full).and_then(|order| order.first_key_value()).map(|(_, id)| *id)
    }
}

impl Keys {
    /// Returns a key that is still valid.
    pub(crate) fn get(&mut self, id: AuthKeyId, now: UnixTime) -> Option<Arc<KeyState>> {
        let found = &self.by_id.get(&id)?.state;
        let bound_to = found.permanent_id().filter(|permanent| *permanent != id);
        // Lookups check whether the permanent key is gone, so that no list of bound keys is needed.
        let permanent = bound_to.map(|bound_to| self.by_id.get(&bound_to));
        match permanent {
            _ if found.life().is_expired(now) => {}
            Some(None) => {}
            Some(Some(permanent)) => {
                found.life().tie(permanent.state.life());
                return Some(Arc::clone(found));
            }
            None => return Some(Arc::clone(found)),
        }
        self.forget(id);
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn contains(&self, id: AuthKeyId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Adds a key that a client has made and not used yet. The oldest of its network make room, or the oldest of all.
    pub(crate) fn insert_unused(&mut self, state: Arc<KeyState>, budgets: &Budgets) {
        let network = state.network();
        let (most, most_of_network) = (budgets.unused_keys, budgets.unused_keys_per_network);
        while let Some(least) = self.unused.least(network, most, most_of_network) {
            self.forget(least);
        }
        let number = self.number();
        self.unused.insert(number, state.auth_key().id(), network);
        self.keep(state, Place::Unused(number));
    }

    /// Adds a key of the owner, as one that is in use. A key of the same id is replaced, and stays pinned if it was.
    pub(crate) fn insert(&mut self, state: Arc<KeyState>, budgets: &Budgets) {
        let id = state.auth_key().id();
        let is_pinned = matches!(self.by_id.get(&id), Some(Known { place: Place::Pinned, .. }));
        self.forget(id);
        let place = if is_pinned { Place::Pinned } else { self.place_among_used(&state, None, budgets) };
        self.keep(state, place);
    }

    /// Adds a key that a directory has, as one that is in use.
    pub(crate) fn insert_found(&mut self, state: Arc<KeyState>, now: UnixTime, budgets: &Budgets) {
        self.forget(state.auth_key().id());
        let place = self.place_among_used(&state, Some(now), budgets);
        self.keep(state, place);
    }

    /// Returns when a key in use last made room for another.
    pub(crate) const fn dropped_at(&self) -> UnixTime {
        self.dropped_at
    }

    /// Notes that a key is in use: others make room before it does.
    pub(crate) fn touch(&mut self, id: AuthKeyId, now: UnixTime, budgets: &Budgets) {
        if self.by_id.get(&id).is_some_and(|known| !matches!(known.place, Place::Pinned)) {
            self.move_to_used(id, Some(now), budgets);
        }
    }

    /// Keeps a key until it is forgotten or ends. Returns whether there is one.
    pub(crate) fn pin(&mut self, id: AuthKeyId) -> bool {
        let Some(known) = self.by_id.get_mut(&id) else {
            return false;
        };
        let (place, network) = (known.place, known.state.network());
        known.place = Place::Pinned;
        self.leave(place, network);
        true
    }

    /// Lets a pinned key make room again. Returns whether there is one.
    pub(crate) fn unpin(&mut self, id: AuthKeyId, budgets: &Budgets) -> bool {
        let is_pinned = matches!(self.by_id.get(&id), Some(Known { place: Place::Pinned, .. }));
        if is_pinned {
            self.move_to_used(id, None, budgets);
        }
        is_pinned
    }

    fn move_to_used(&mut self, id: AuthKeyId, now: Option<UnixTime>, budgets: &Budgets) {
        let Some(known) = self.by_id.get(&id) else { return };
        let (place, state) = (known.place, Arc::clone(&known.state));
        self.leave(place, state.network());
        let place = self.place_among_used(&state, now, budgets);
        if let Some(known) = self.by_id.get_mut(&id) {
            known.place = place;
        }
    }

    /// Makes a place at the end of the keys in use. Expired keys make room first.
    fn place_among_used(&mut self, state: &KeyState, now: Option<UnixTime>, budgets: &Budgets) -> Place {
        let network = state.network();
        let (most, most_of_network) = (budgets.used_keys, budgets.used_keys_per_network);
        while let Some(least) = self.used.least(network, most, most_of_network) {
            let ended = self.ends.first().filter(|end| now.is_some_and(|now| end.0 <= now));
            self.forget(ended.map_or(least, |end| end.1));
            self.dropped_at = self.dropped_at.max(now.unwrap_or_default());
        }
        let number = self.number();
        self.used.insert(number, state.auth_key().id(), network);
        Place::Used(number)
    }

    fn leave(&mut self, place: Place, network: Option<PeerId>) {
        match place {
            Place::Unused(number) => self.unused.remove(number, network),
            Place::Used(number) => self.used.remove(number, network),
            Place::Pinned => {}
        }
    }

    fn keep(&mut self, state: Arc<KeyState>, place: Place) {
        let id = state.auth_key().id();
        if let Some(expires_at) = state.kind().expires_at() {
            self.ends.insert((expires_at, id));
        }
        self.by_id.insert(id, Known { place, state });
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Removes a key, and with it the temporary keys that are bound to it. Returns whether there was one.
    pub(crate) fn forget(&mut self, id: AuthKeyId) -> bool {
        let Some(Known { place, state }) = self.by_id.remove(&id) else {
            return false;
        };
        self.leave(place, state.network());
        if let Some(expires_at) = state.kind().expires_at() {
            self.ends.remove(&(expires_at, id));
        }
        state.life().forget();
        state.end_sessions();
        true
    }

    pub(crate) fn all(&self) -> Vec<Arc<KeyState>> {
        let is_orphan = |state: &KeyState| state.permanent_id().is_some_and(|id| !self.contains(id));
        let states = self.by_id.values().map(|known| &known.state);
        states.filter(|state| !is_orphan(state)).cloned().collect()
    }

    /// Removes every temporary key.
    pub(crate) fn forget_temporary(&mut self) {
        while let Some((_, id)) = self.ends.first().copied() {
            self.forget(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use chappe_crypto::AuthKey;
    use chappe_framing::ServerSalt;
    use chappe_handshake::CreatedKey;

    use super::*;
    use crate::keys::KeyStatus;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn budgets() -> Budgets {
        Budgets::default().with(|budgets| {
            budgets.unused_keys = 4;
            budgets.unused_keys_per_network = 2;
            budgets.used_keys = 4;
            budgets.used_keys_per_network = 2;
        })
    }

    fn key(number: u16) -> AuthKey {
        AuthKey::from_bytes(core::array::from_fn(|at| number.to_le_bytes()[at % 2]))
    }

    /// A key of the owner.
    fn added(number: u16) -> Arc<KeyState> {
        Arc::new(KeyState::new(key(number), KeyStatus::Permanent))
    }

    fn temporary(number: u16, permanent: &KeyState) -> Arc<KeyState> {
        let expires_at = NOW.saturating_add(Duration::from_secs(60));
        let bound_to = Some(permanent.auth_key().id());
        Arc::new(KeyState::new(key(number), KeyStatus::Temporary { expires_at, bound_to }))
    }

    /// A key that a client of a network made.
    fn made(number: u16, network: u64) -> Arc<KeyState> {
        let created = CreatedKey {
            auth_key: key(number),
            first_salt: ServerSalt::from_raw(1),
            created_at: NOW,
            expires_at: None,
            dc: None,
        };
        Arc::new(KeyState::created(created, NOW, PeerId(network)))
    }

    fn has(keys: &Keys, number: u16) -> bool {
        keys.contains(key(number).id())
    }

    /// Nothing is left of keys that are gone.
    fn assert_consistent(keys: &Keys) {
        let pools = [&keys.unused, &keys.used];
        let places: usize = pools.iter().map(|pool| pool.order.len()).sum();
        let pinned = keys.by_id.values().filter(|known| matches!(known.place, Place::Pinned)).count();
        assert_eq!(places + pinned, keys.by_id.len());
        for pool in pools {
            let of_networks: usize = pool.by_network.values().map(BTreeMap::len).sum();
            let has_network = |id: &&AuthKeyId| keys.by_id[*id].state.network().is_some();
            assert_eq!(of_networks, pool.order.values().filter(has_network).count());
        }
        let is_temporary = |known: &&Known| known.state.kind() != KeyStatus::Permanent;
        assert_eq!(keys.ends.len(), keys.by_id.values().filter(is_temporary).count());
    }

    #[test]
    fn keys_that_strangers_make_push_out_none_in_use() {
        let mut keys = Keys::default();
        keys.insert_unused(made(1, 1), &budgets());
        keys.touch(key(1).id(), NOW, &budgets());
        for number in 100..1000 {
            keys.insert_unused(made(number, u64::from(number)), &budgets());
            assert_consistent(&keys);
        }
        assert!(has(&keys, 1));
        assert_eq!(keys.by_id.len(), 5, "the budget of unused keys, and the one in use");
        assert!(has(&keys, 999) && has(&keys, 996) && !has(&keys, 995), "first in, first out");
    }

    #[test]
    fn one_network_pushes_out_only_its_own_keys() {
        let mut keys = Keys::default();
        keys.insert_unused(made(1, 1), &budgets());
        keys.insert_unused(made(2, 2), &budgets());
        keys.touch(key(2).id(), NOW, &budgets());
        for number in 100..1000 {
            keys.insert_unused(made(number, 7), &budgets());
            if number % 2 == 0 {
                keys.touch(key(number).id(), NOW, &budgets());
            }
            assert_consistent(&keys);
        }
        assert!(has(&keys, 1) && has(&keys, 2), "the keys of others stay, used or not");
        assert_eq!(keys.by_id.len(), 6);
    }

    #[test]
    fn the_key_not_used_for_longest_makes_room_and_a_pinned_one_never() {
        let mut keys = Keys::default();
        for number in 1..=4 {
            keys.insert(added(number), &budgets());
        }
        keys.touch(key(1).id(), NOW, &budgets());
        assert!(keys.pin(key(2).id()) && !keys.pin(key(9).id()));
        keys.insert(added(5), &budgets());
        assert!([1, 2, 3, 4, 5].iter().all(|number| has(&keys, *number)), "a pinned key takes no place");
        keys.insert(added(6), &budgets());
        assert!(has(&keys, 1) && !has(&keys, 3));
        for number in 10..100 {
            keys.insert(added(number), &budgets());
        }
        assert!(has(&keys, 2) && !has(&keys, 1));
        keys.insert(added(2), &budgets());
        assert!(keys.unpin(key(2).id(), &budgets()), "a key that is replaced stays pinned");
        assert!(!keys.unpin(key(2).id(), &budgets()));
        assert_consistent(&keys);
        for number in 10..14 {
            keys.insert(added(number), &budgets());
        }
        assert!(!has(&keys, 2));
        assert_consistent(&keys);
    }

    #[test]
    fn a_temporary_key_ends_with_the_permanent_one_however_that_ends() {
        let permanent = added(1);
        let (id, bound_id) = (permanent.auth_key().id(), key(2).id());
        for is_destroyed in [true, false] {
            let bound = temporary(2, &permanent);
            let mut keys = Keys::default();
            // The order in which a store was read does not matter.
            keys.insert(Arc::clone(&bound), &budgets());
            keys.insert(added(1), &budgets());
            assert!(keys.get(bound_id, NOW).is_some() && !bound.life().is_over(NOW));
            if is_destroyed {
                assert!(keys.forget(id));
            } else {
                keys.touch(bound_id, NOW, &budgets());
                (3..6).for_each(|number| keys.insert(added(number), &budgets()));
            }
            assert!(bound.life().is_over(NOW), "nothing is sent under it");
            assert!(keys.all().iter().all(|state| state.auth_key().id() != bound_id));
            assert!(keys.get(bound_id, NOW).is_none());
            assert!(!keys.contains(bound_id), "and nothing is left of it");
            assert_consistent(&keys);
        }
    }

    #[test]
    fn keys_that_have_ended_make_room_before_older_ones_that_are_good() {
        let permanent = added(1);
        let mut keys = Keys::default();
        keys.insert(Arc::clone(&permanent), &budgets());
        keys.insert(temporary(2, &permanent), &budgets());
        keys.insert(added(3), &budgets());
        keys.insert(added(4), &budgets());
        keys.insert_unused(made(5, 1), &budgets());
        let later = NOW.saturating_add(Duration::from_secs(60));
        keys.touch(key(5).id(), later, &budgets());
        assert!(has(&keys, 1) && !has(&keys, 2) && has(&keys, 5));
        keys.insert(added(1), &budgets());
        assert_eq!(keys.by_id.len(), 4, "a key that is known takes no further place");
        assert_consistent(&keys);
    }

    #[test]
    fn sec_127_a_temporary_key_is_not_found_once_it_has_ended() {
        let permanent = added(1);
        let mut keys = Keys::default();
        keys.insert(Arc::clone(&permanent), &budgets());
        let bound = temporary(2, &permanent);
        keys.insert(Arc::clone(&bound), &budgets());
        let at = |seconds| NOW.saturating_add(Duration::from_secs(seconds));
        assert!(keys.get(key(2).id(), at(59)).is_some() && !bound.life().is_over(at(59)));
        assert!(bound.life().is_over(at(60)));
        assert!(keys.get(key(2).id(), at(60)).is_none() && !has(&keys, 2));
        keys.insert(temporary(3, &permanent), &budgets());
        keys.forget_temporary();
        assert!(has(&keys, 1) && !has(&keys, 3));
        assert_consistent(&keys);
    }
}
