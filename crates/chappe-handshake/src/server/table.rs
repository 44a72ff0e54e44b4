//! The table of exchanges, bounded in number and in time (SEC-58, SEC-60).

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use chappe_framing::MonoTime;

use super::PeerId;
use super::exchange::{Exchange, Name};

#[derive(Debug, Default)]
pub(super) struct Table {
    exchanges: BTreeMap<Name, Exchange>,
    /// Names in the order in which their exchanges started. Some may be removed already.
    order: VecDeque<(MonoTime, Name)>,
    /// The exchange that a client's nonce started, to recognise a repeated first query.
    by_nonce: BTreeMap<[u8; 16], Name>,
    /// The exchanges of each peer, the oldest first.
    by_peer: BTreeMap<PeerId, VecDeque<Name>>,
}

/// How many exchanges a table holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) all: usize,
    pub(super) of_peer: usize,
}

impl Table {
    pub(super) fn get_mut(&mut self, name: &Name) -> Option<&mut Exchange> {
        self.exchanges.get_mut(name)
    }

    pub(super) fn started_by(&self, nonce: &[u8; 16]) -> Option<&Exchange> {
        self.exchanges.get(self.by_nonce.get(nonce)?)
    }

    pub(super) fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Adds an exchange. Removes the oldest of its peer, or of all, if there is no room.
    pub(super) fn insert(&mut self, name: Name, exchange: Exchange, room: Room) {
        let own = |table: &Self| table.by_peer.get(&exchange.peer).map(|own| (own.len(), own[0]));
        while let Some((_, oldest)) = own(self).filter(|(len, _)| *len >= room.of_peer.max(1)) {
            self.forget(&oldest);
        }
        while self.exchanges.len() >= room.all && self.forget_oldest() {}
        self.order.push_back((exchange.started_at, name));
        self.by_peer.entry(exchange.peer).or_default().push_back(name);
        self.by_nonce.insert(name.nonce, name);
        self.exchanges.insert(name, exchange);
        self.compact();
    }

    /// Removes an exchange and wipes its secrets.
    pub(super) fn forget(&mut self, name: &Name) {
        if let Some(Exchange { peer, .. }) = self.exchanges.remove(name)
            && let Some(own) = self.by_peer.get_mut(&peer)
        {
            own.retain(|known| known != name);
            if own.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        if self.by_nonce.get(&name.nonce) == Some(name) {
            self.by_nonce.remove(&name.nonce);
        }
    }

    /// Removes exchanges that are older than `lifetime`.
    pub(super) fn expire(&mut self, now: MonoTime, lifetime: Duration) {
        while let Some((started_at, _)) = self.order.front() {
            if now.since(*started_at) < lifetime {
                break;
            }
            self.forget_oldest();
        }
    }

    /// Returns when the oldest exchange expires.
    pub(super) fn next_expiry(&self, lifetime: Duration) -> Option<MonoTime> {
        self.order.front().map(|(started_at, _)| *started_at + lifetime)
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.order.pop_front();
        if let Some((_, name)) = &oldest {
            self.forget(name);
        }
        oldest.is_some()
    }

    /// Removes names of removed exchanges, so that `order` stays proportional to the table.
    fn compact(&mut self) {
        const SLACK: usize = 64;
        if self.order.len() > 2 * self.exchanges.len() + SLACK {
            let exchanges = &self.exchanges;
            self.order.retain(|(_, name)| exchanges.contains_key(name));
        }
    }
}
