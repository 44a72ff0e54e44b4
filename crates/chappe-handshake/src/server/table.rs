//! The exchanges that are remembered: bounded in number and in time (SEC-58, SEC-60).

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use chappe_framing::UnixTime;

use super::exchange::{Exchange, Name};

#[derive(Debug, Default)]
pub(super) struct Table {
    exchanges: BTreeMap<Name, Exchange>,
    /// Names in the order in which their exchanges started; some may be gone already.
    order: VecDeque<(UnixTime, Name)>,
    /// The exchange that a client's nonce started, for repeated first queries.
    by_nonce: BTreeMap<[u8; 16], Name>,
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

    /// Adds an exchange; the oldest make room if there are already `most`.
    pub(super) fn insert(&mut self, name: Name, exchange: Exchange, most: usize) {
        while self.exchanges.len() >= most && self.forget_oldest() {}
        self.order.push_back((exchange.started_at, name));
        self.by_nonce.insert(name.nonce, name);
        self.exchanges.insert(name, exchange);
        self.compact();
    }

    /// Forgets an exchange at once; its secrets are wiped.
    pub(super) fn forget(&mut self, name: &Name) {
        self.exchanges.remove(name);
        if self.by_nonce.get(&name.nonce) == Some(name) {
            self.by_nonce.remove(&name.nonce);
        }
    }

    /// Forgets what is older than `lifetime`.
    pub(super) fn expire(&mut self, now: UnixTime, lifetime: Duration) {
        while let Some((started_at, _)) = self.order.front() {
            if now.saturating_since(*started_at) < lifetime {
                break;
            }
            self.forget_oldest();
        }
    }

    /// Returns when the oldest exchange has lived for `lifetime`.
    pub(super) fn next_expiry(&self, lifetime: Duration) -> Option<UnixTime> {
        self.order.front().map(|(started_at, _)| started_at.saturating_add(lifetime))
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.order.pop_front();
        if let Some((_, name)) = &oldest {
            self.forget(name);
        }
        oldest.is_some()
    }

    /// Keeps names of exchanges that are gone from piling up.
    fn compact(&mut self) {
        const SLACK: usize = 64;
        if self.order.len() > 2 * self.exchanges.len() + SLACK {
            let exchanges = &self.exchanges;
            self.order.retain(|(_, name)| exchanges.contains_key(name));
        }
    }
}
