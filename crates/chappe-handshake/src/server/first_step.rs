//! The first answer of an exchange, computed instead of remembered.
//!
//! A flood of first queries would otherwise push out the exchanges of honest clients. `server_nonce` is a MAC of the
//! client's nonce, its network and the time, so that the second query proves by itself that its first one was answered
//! here, to this network, not long ago. The factors follow from the nonces.

use core::fmt;
use core::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::{ct, hash};
use chappe_framing::UnixTime;
use zeroize::Zeroizing;

use super::PeerId;
use super::exchange::Name;
use super::primes::Factors;

/// Seconds within which a repeated query gets the same answer.
const PERIOD: u64 = 60;

/// Computes first answers.
#[derive(Clone)]
pub(super) struct FirstStep {
    secret: Zeroizing<[u8; 32]>,
}

impl FirstStep {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self { secret: Zeroizing::new(secret) }
    }

    /// Names the exchange that a client begins with its nonce.
    pub(super) fn name(&self, now: UnixTime, peer: PeerId, nonce: [u8; 16]) -> Name {
        Name { nonce, server_nonce: self.server_nonce(period(now), peer, nonce) }
    }

    /// Returns the factors of an exchange that this peer began within `lifetime`; `None` if it began none of this name.
    pub(super) fn recall(
        &self,
        now: UnixTime,
        peer: PeerId,
        name: &Name,
        lifetime: Duration,
    ) -> Option<Factors> {
        let latest = period(now);
        // None is taken for longer than `lifetime`, whenever in its period it began.
        let earliest = (latest + 1).saturating_sub((lifetime.as_secs() / PERIOD).max(1));
        let is_named = |period| ct::eq(&self.server_nonce(period, peer, name.nonce), &name.server_nonce);
        (earliest..=latest).rev().any(is_named).then(|| self.factors(name))
    }

    /// Returns the factors of an exchange.
    pub(super) fn factors(&self, name: &Name) -> Factors {
        // Computed again instead of stored: a flood of first queries takes no memory.
        let seed = hash::hmac_sha256(&self.secret[..], &[b"factors", &name.nonce, &name.server_nonce]);
        Factors::random(&mut Drbg::from_seed(seed))
    }

    fn server_nonce(&self, period: u64, PeerId(peer): PeerId, nonce: [u8; 16]) -> [u8; 16] {
        // Bound to the peer: another network cannot continue the exchange.
        let parts: [&[u8]; 4] = [b"server_nonce", &period.to_le_bytes(), &peer.to_le_bytes(), &nonce];
        let mac = hash::hmac_sha256(&self.secret[..], &parts);
        let mut server_nonce = [0; 16];
        server_nonce.copy_from_slice(&mac[..16]);
        server_nonce
    }
}

fn period(now: UnixTime) -> u64 {
    now.as_secs() / PERIOD
}

impl fmt::Debug for FirstStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstStep").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(600);
    /// The start of a period.
    const START: u64 = 1_800_000_000;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(START + seconds)
    }

    #[test]
    fn a_name_is_recalled_for_its_peer_for_ten_minutes_at_most() {
        let first_step = FirstStep::new([1; 32]);
        for begun in [0, 59] {
            let name = first_step.name(at(begun), PeerId(1), [7; 16]);
            let recalled = |seconds, peer| first_step.recall(at(seconds), PeerId(peer), &name, LIFETIME);
            assert_eq!(recalled(begun, 1), Some(first_step.factors(&name)));
            assert!(recalled(begun + 540, 1).is_some(), "an honest client has time");
            assert_eq!(recalled(begun + 600, 1), None);
            assert_eq!(recalled(begun, 2), None, "another peer has begun another exchange");
            let other_secret = FirstStep::new([2; 32]);
            assert_eq!(other_secret.recall(at(begun), PeerId(1), &name, LIFETIME), None);
        }
    }

    #[test]
    fn names_that_nobody_was_given_are_not_recalled() {
        let first_step = FirstStep::new([1; 32]);
        let name = first_step.name(at(0), PeerId(1), [7; 16]);
        for bit in 0..128 {
            let (mut nonce, mut server_nonce) = (name.nonce, name.server_nonce);
            nonce[bit / 8] ^= 1 << (bit % 8);
            server_nonce[bit / 8] ^= 1 << (bit % 8);
            for wrong in [Name { nonce, ..name }, Name { server_nonce, ..name }] {
                assert_eq!(first_step.recall(at(0), PeerId(1), &wrong, LIFETIME), None, "{bit}");
            }
        }
    }

    #[test]
    fn a_repeated_first_query_gets_the_same_answer_and_others_get_others() {
        let first_step = FirstStep::new([1; 32]);
        let name = first_step.name(at(0), PeerId(1), [7; 16]);
        assert_eq!(first_step.name(at(59), PeerId(1), [7; 16]), name);
        let other = first_step.name(at(0), PeerId(1), [8; 16]);
        assert_ne!(other.server_nonce, name.server_nonce);
        assert_ne!(first_step.factors(&other), first_step.factors(&name));
        assert_ne!(first_step.name(at(60), PeerId(1), [7; 16]), name);
    }
}
