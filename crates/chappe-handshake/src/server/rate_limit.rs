//! Limit on the queries of one peer (SEC-59).

use alloc::collections::BTreeMap;
use core::time::Duration;

use chappe_framing::MonoTime;

/// Identifies a peer for the rate limit, for example by a keyed hash of its IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// How often a peer may start an exchange or make the server decrypt. A whole exchange counts as two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Time between two requests on average.
    pub interval: Duration,
    /// Requests that may arrive at once.
    pub burst: u32,
    /// Most peers in the table. A new peer replaces the one with the least debt.
    pub max_peers: usize,
}

impl RateLimit {
    chappe_types::with!();
}

impl Default for RateLimit {
    /// 200 requests at once, then 20 a second, for 4096 peers.
    fn default() -> Self {
        Self { interval: Duration::from_millis(50), burst: 200, max_peers: 4096 }
    }
}

/// Counts requests by peer: for each, the time at which its debt is paid.
#[derive(Debug, Default)]
pub(super) struct Meter {
    earned_at: BTreeMap<PeerId, MonoTime>,
}

impl Meter {
    /// Charges one request. Returns whether the peer had one left.
    pub(super) fn charge(&mut self, limit: &RateLimit, now: MonoTime, peer: PeerId) -> bool {
        let earned_at = self.earned_at.get(&peer).copied().unwrap_or(now).max(now);
        let allowance = limit.interval.saturating_mul(limit.burst.saturating_sub(1));
        if earned_at.since(now) > allowance {
            return false;
        }
        if !self.earned_at.contains_key(&peer) && self.earned_at.len() >= limit.max_peers {
            self.make_room(now);
        }
        self.earned_at.insert(peer, earned_at + limit.interval);
        true
    }

    /// Removes peers without debt, or else the one with the least debt.
    fn make_room(&mut self, now: MonoTime) {
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
        let now = MonoTime::from_duration(Duration::from_secs(1000));
        let mut charge = |now| meter.charge(&LIMIT, now, PeerId(1));
        assert_eq!([charge(now), charge(now), charge(now), charge(now)], [true, true, true, false]);
        let later = now + Duration::from_secs(1);
        assert_eq!([charge(later), charge(later)], [true, false]);
    }

    #[test]
    fn peers_are_counted_apart_and_their_number_is_bounded() {
        let mut meter = Meter::default();
        let now = MonoTime::from_duration(Duration::from_secs(1000));
        for peer in 0..1000 {
            assert!(meter.charge(&LIMIT, now, PeerId(peer)));
            assert!(meter.earned_at.len() <= 2);
        }
    }

    #[test]
    fn a_flood_of_others_does_not_wipe_the_debt_of_the_worst() {
        let mut meter = Meter::default();
        let now = MonoTime::from_duration(Duration::from_secs(1000));
        while meter.charge(&LIMIT, now, PeerId(7)) {}
        for peer in 100..1000 {
            meter.charge(&LIMIT, now, PeerId(peer));
        }
        assert!(!meter.charge(&LIMIT, now, PeerId(7)));
    }
}
