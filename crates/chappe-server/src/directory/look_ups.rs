//! Requests that clients wait for: one for each key or session, however many clients need it.

use core::hash::Hash;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_handshake::PeerId;

use super::Directory;
use super::gate::{Gate, GateGuard, Outcome};
use crate::Engine;

/// Requests that are under way.
#[derive(Debug)]
pub(crate) struct LookUps<K> {
    by_id: HashMap<K, LookUp>,
    by_network: HashMap<PeerId, usize>,
}

#[derive(Debug)]
struct LookUp {
    gate: Arc<Gate>,
    /// Of the client that was the first to need it.
    network: PeerId,
}

/// Whether a request may be made.
pub(crate) enum LookUpStart {
    /// Another client waits for the same.
    Joined(Arc<Gate>),
    /// The caller makes the request.
    Begun(Arc<Gate>),
    /// Too many are under way.
    Refused,
}

/// How many may be under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) all: usize,
    pub(crate) of_network: usize,
}

impl From<&Directory> for Limits {
    fn from(options: &Directory) -> Self {
        Self { all: options.look_ups, of_network: options.look_ups_per_network }
    }
}

impl<K> Default for LookUps<K> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), by_network: HashMap::new() }
    }
}

impl<K: Eq + Hash> LookUps<K> {
    pub(crate) fn begin(&mut self, id: K, network: PeerId, limits: Limits) -> LookUpStart {
        if let Some(known) = self.by_id.get(&id) {
            return LookUpStart::Joined(Arc::clone(&known.gate));
        }
        let of_network = self.by_network.get(&network).copied().unwrap_or(0);
        if self.by_id.len() >= limits.all || of_network >= limits.of_network {
            return LookUpStart::Refused;
        }
        let gate = Arc::new(Gate::default());
        self.by_id.insert(id, LookUp { gate: Arc::clone(&gate), network });
        *self.by_network.entry(network).or_default() += 1;
        LookUpStart::Begun(gate)
    }

    fn end(&mut self, id: &K) {
        let Some(LookUp { network, .. }) = self.by_id.remove(id) else { return };
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}

/// Ends a request. Dropping it makes the request fail.
pub(crate) struct LookUpGuard<K: Eq + Hash> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: K,
    /// Finds the table of the request.
    table: fn(&Engine) -> Option<&Mutex<LookUps<K>>>,
    gate: Option<GateGuard>,
}

impl<K: Eq + Hash> LookUpGuard<K> {
    pub(crate) const fn new(
        engine: Arc<Engine>,
        id: K,
        table: fn(&Engine) -> Option<&Mutex<LookUps<K>>>,
        gate: Arc<Gate>,
    ) -> Self {
        Self { engine, id, table, gate: Some(GateGuard(gate)) }
    }

    pub(crate) fn end(mut self, outcome: Outcome) {
        self.end_with(outcome);
    }

    fn end_with(&mut self, outcome: Outcome) {
        if let Some(gate) = self.gate.take() {
            // A client that comes after this begins anew.
            if let Some(table) = (self.table)(&self.engine) {
                lock(table).end(&self.id);
            }
            gate.open(outcome);
        }
    }
}

impl<K: Eq + Hash> Drop for LookUpGuard<K> {
    fn drop(&mut self) {
        self.end_with(Outcome::Failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_serves_all_and_each_network_has_its_share() {
        let limits = Limits { all: 3, of_network: 2 };
        let mut look_ups = LookUps::default();
        let mut begin = |id, network| match look_ups.begin(id, PeerId(network), limits) {
            LookUpStart::Begun(_) => "begun",
            LookUpStart::Joined(_) => "joined",
            LookUpStart::Refused => "refused",
        };
        assert_eq!(
            [begin(1, 1), begin(1, 1), begin(1, 2), begin(2, 1)],
            ["begun", "joined", "joined", "begun"]
        );
        assert_eq!([begin(3, 1), begin(3, 2), begin(4, 3)], ["refused", "begun", "refused"]);
        look_ups.end(&1);
        look_ups.end(&1);
        let mut begin = |id, network| look_ups.begin(id, PeerId(network), limits);
        assert!(
            matches!(begin(3, 1), LookUpStart::Joined(_)) && matches!(begin(5, 1), LookUpStart::Begun(_))
        );
        (1..9).for_each(|id| look_ups.end(&id));
        assert!(look_ups.by_id.is_empty() && look_ups.by_network.is_empty());
    }
}
