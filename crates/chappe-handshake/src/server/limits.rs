//! How often a peer may ask (SEC-59).

use alloc::collections::BTreeMap;
use core::time::Duration;

use chappe_framing::UnixTime;

/// Whom a limit counts: what the caller makes of a peer's address, such as a keyed hash of its IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// How often a peer may start an exchange or make the server decrypt; a whole exchange counts two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Time in which one request is earned.
    pub interval: Duration,
    /// Requests that may come at once.
    pub burst: u32,
    /// Peers remembered; beyond, the one that asked least is forgotten.
    pub max_peers: usize,
}

impl Default for RateLimit {
    /// 200 requests at once, then 20 a second, for 4096 peers.
    fn default() -> Self {
        Self { interval: Duration::from_millis(50), burst: 200, max_peers: 4096 }
    }
}

/// Counts requests by peer: remembers for each when it will have earned what it spent.
#[derive(Debug, Default)]
pub(super) struct Meter {
    earned_at: BTreeMap<Peer, UnixTime>,
}

impl Meter {
    /// Charges one request, or says that the peer has none left.
    pub(super) fn charge(&mut self, limit: &RateLimit, now: UnixTime, peer: Peer) -> bool {
        let earned_at = self.earned_at.get(&peer).copied().unwrap_or(now).max(now);
        let allowance = limit.interval.saturating_mul(limit.burst.saturating_sub(1));
        if earned_at.saturating_since(now) > allowance {
            return false;
        }
        if !self.earned_at.contains_key(&peer) && self.earned_at.len() >= limit.max_peers {
            self.make_room(now);
        }
        self.earned_at.insert(peer, earned_at.saturating_add(limit.interval));
        true
    }

    /// Forgets peers that owe nothing, or else the one that owes least.
    fn make_room(&mut self, now: UnixTime) {
        let before = self.earned_at.len();
        self.earned_at.retain(|_, earned_at| *earned_at > now);
        if self.earned_at.len() == before {
            let least = self.earned_at.iter().min_by_key(|(_, earned_at)| **earned_at);
            if let Some(peer) = least.map(|(peer, _)| *peer) {
                self.earned_at.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { interval: Duration::from_secs(1), burst: 3, max_peers: 2 };

    #[test]
    fn sec_059_a_burst_is_allowed_and_then_one_per_interval() {
        let mut meter = Meter::default();
        let now = UnixTime::from_secs(1000);
        let mut charge = |now| meter.charge(&LIMIT, now, Peer(1));
        assert_eq!([charge(now), charge(now), charge(now), charge(now)], [true, true, true, false]);
        let later = now.saturating_add(Duration::from_secs(1));
        assert_eq!([charge(later), charge(later)], [true, false]);
    }

    #[test]
    fn peers_are_counted_apart_and_their_number_is_bounded() {
        let mut meter = Meter::default();
        let now = UnixTime::from_secs(1000);
        for peer in 0..1000 {
            assert!(meter.charge(&LIMIT, now, Peer(peer)));
            assert!(meter.earned_at.len() <= 2);
        }
    }

    #[test]
    fn a_flood_of_others_does_not_wipe_the_debt_of_the_worst() {
        let mut meter = Meter::default();
        let now = UnixTime::from_secs(1000);
        while meter.charge(&LIMIT, now, Peer(7)) {}
        for peer in 100..1000 {
            meter.charge(&LIMIT, now, Peer(peer));
        }
        assert!(!meter.charge(&LIMIT, now, Peer(7)));
    }
}
