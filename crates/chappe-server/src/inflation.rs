//! What the clients of a network make the server unpack.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chappe_carrier::lock;
use chappe_handshake::PeerId;
use chappe_session::MonoTime;

use crate::Budgets;
use crate::meter::{Meter, time_for};

/// Networks that have unpacked something lately. If there are more, only these may unpack more until some have paid.
const MAX_NETWORKS: usize = 16_384;

/// What each network has unpacked lately.
#[derive(Debug, Default)]
pub(crate) struct Inflation {
    by_network: Mutex<HashMap<PeerId, Meter>>,
    /// How many of them there are, for [`is_idle`](Self::is_idle).
    known: AtomicUsize,
}

impl Inflation {
    /// Returns whether no network has anything to pay, which needs no lock: frames need not be searched for packed objects.
    pub(crate) fn is_idle(&self) -> bool {
        self.known.load(Ordering::Relaxed) == 0
    }

    /// Returns whether packed objects may come from a network.
    pub(crate) fn allows(&self, network: PeerId, now: MonoTime, budgets: &Budgets) -> bool {
        let (at_once, rate) = (budgets.inflated_at_once_per_network, budgets.inflated_per_second_per_network);
        let mut by_network = lock(&self.by_network);
        let is_allowed = match by_network.get(&network) {
            Some(meter) if meter.is_paid(now) => by_network.remove(&network).is_some(),
            Some(meter) => meter.allows(now, time_for(at_once.into(), rate)),
            None => has_room(&mut by_network, now),
        };
        self.known.store(by_network.len(), Ordering::Relaxed);
        is_allowed
    }

    /// Counts what packed objects of a network unpacked to.
    pub(crate) fn spend(&self, network: PeerId, bytes: u64, now: MonoTime, budgets: &Budgets) {
        let cost = time_for(bytes, budgets.inflated_per_second_per_network);
        let mut by_network = lock(&self.by_network);
        if by_network.contains_key(&network) || has_room(&mut by_network, now) {
            by_network.entry(network).or_default().spend(now, cost);
        }
        self.known.store(by_network.len(), Ordering::Relaxed);
    }
}

/// Forgets the networks that have paid, if there are many. Returns whether there is room for another.
fn has_room(by_network: &mut HashMap<PeerId, Meter>, now: MonoTime) -> bool {
    if by_network.len() >= MAX_NETWORKS {
        by_network.retain(|_, meter| !meter.is_paid(now));
    }
    by_network.len() < MAX_NETWORKS
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_secs(seconds))
    }

    #[test]
    fn a_network_spends_its_own_budget_only_and_earns_it_again() {
        let budgets = Budgets {
            inflated_per_second_per_network: 10,
            inflated_at_once_per_network: 20,
            ..Budgets::default()
        };
        let inflation = Inflation::default();
        let [one, other] = [1, 2].map(PeerId);
        inflation.spend(one, 25, at(1), &budgets);
        assert!(!inflation.allows(one, at(1), &budgets) && inflation.allows(other, at(1), &budgets));
        assert!(inflation.allows(one, at(2), &budgets), "half a second pays for five bytes");
        assert!(!inflation.is_idle());
        assert!(inflation.allows(one, at(9), &budgets) && inflation.is_idle(), "everything is paid");
    }

    #[test]
    fn networks_that_spend_are_bounded_and_those_that_have_paid_make_room() {
        let budgets = Budgets { inflated_per_second_per_network: 1, ..Budgets::default() };
        let inflation = Inflation::default();
        for network in 0..MAX_NETWORKS as u64 + 9 {
            inflation.spend(PeerId(network), 10, at(1), &budgets);
        }
        assert_eq!(lock(&inflation.by_network).len(), MAX_NETWORKS);
        assert!(!inflation.allows(PeerId(u64::MAX), at(10), &budgets), "none has paid");
        assert!(inflation.allows(PeerId(5), at(10), &budgets), "it is known");
        assert!(inflation.allows(PeerId(u64::MAX), at(11), &budgets));
        assert!(inflation.is_idle());
    }
}
