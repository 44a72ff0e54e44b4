//! How much one key and one peer may have at once.
//!
//! A server opens connections and sessions for strangers. [`Quota`] counts what each of them holds, and says no beyond
//! a limit, which is told as transport error -429. It is bounded itself: strangers beyond its capacity are told no.
//!
//! Not here: how an address becomes a number. A keyed hash of it will do; two strangers with one number share what one
//! may have.

use alloc::collections::BTreeMap;
use core::fmt;

use chappe_crypto::AuthKeyId;

/// Who has something: an address, as a number, or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A peer: what its address hashes to.
    Peer(u64),
    /// A key.
    Key(AuthKeyId),
}

/// What each holder may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaLimits {
    /// Connections of one peer. Default 256: many people may share an address.
    pub per_peer: u32,
    /// Connections, or sessions, of one key. Default 64.
    pub per_key: u32,
    /// Holders that are counted. Default 65 536.
    pub holders: usize,
}

impl Default for QuotaLimits {
    fn default() -> Self {
        Self { per_peer: 256, per_key: 64, holders: 65_536 }
    }
}

/// Counts what everybody holds.
#[derive(Clone, Debug, Default)]
pub struct Quota {
    limits: QuotaLimits,
    held: BTreeMap<Holder, u32>,
}

/// Somebody has enough: answer with transport error -429.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OverQuota {
    /// Who.
    pub holder: Holder,
    /// How much that one holds.
    pub held: u32,
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held;
        match self.holder {
            Holder::Peer(_) => write!(f, "a peer has {held} connections already"),
            Holder::Key(key) => write!(f, "the key {key} has {held} connections or sessions already"),
        }
    }
}

impl core::error::Error for OverQuota {}

impl Quota {
    /// Begins to count.
    pub const fn new(limits: QuotaLimits) -> Self {
        Self { limits, held: BTreeMap::new() }
    }

    /// Gives somebody one more.
    ///
    /// # Errors
    ///
    /// Fails if that is one too many, or if too many strangers are counted; nothing is counted then.
    pub fn take(&mut self, holder: Holder) -> Result<(), OverQuota> {
        let held = self.held(holder);
        let most = match holder {
            Holder::Peer(_) => self.limits.per_peer,
            Holder::Key(_) => self.limits.per_key,
        };
        let is_stranger = held == 0;
        if held >= most || (is_stranger && self.held.len() >= self.limits.holders) {
            return Err(OverQuota { holder, held });
        }
        self.held.insert(holder, held + 1);
        Ok(())
    }

    /// Takes one back. What nobody holds is forgotten.
    pub fn release(&mut self, holder: Holder) {
        match self.held.get_mut(&holder) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                self.held.remove(&holder);
            }
        }
    }

    /// Returns how much somebody has.
    pub fn held(&self, holder: Holder) -> u32 {
        self.held.get(&holder).copied().unwrap_or(0)
    }

    /// Returns how many holders have anything.
    pub fn holders(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_the_limit_and_what_is_released_can_be_taken_again() {
        let limits = QuotaLimits { per_peer: 2, per_key: 1, holders: 3 };
        let mut quota = Quota::new(limits);
        let (peer, key) = (Holder::Peer(1), Holder::Key(AuthKeyId::from_raw(1)));
        assert_eq!((quota.take(peer), quota.take(peer)), (Ok(()), Ok(())));
        assert_eq!(quota.take(peer), Err(OverQuota { holder: peer, held: 2 }));
        assert_eq!(quota.take(key), Ok(()), "a key is counted by itself");
        assert_eq!(quota.take(key), Err(OverQuota { holder: key, held: 1 }));
        quota.release(peer);
        assert_eq!((quota.held(peer), quota.take(peer)), (1, Ok(())));
    }

    #[test]
    fn strangers_do_not_fill_the_table() {
        let mut quota = Quota::new(QuotaLimits { holders: 10, ..QuotaLimits::default() });
        let taken = (0..1000).filter(|number| quota.take(Holder::Peer(*number)).is_ok()).count();
        assert_eq!((taken, quota.holders()), (10, 10));
        assert_eq!(quota.take(Holder::Peer(3)), Ok(()), "those who are in may go on");
        (0..1000).for_each(|number| quota.release(Holder::Peer(number)));
        quota.release(Holder::Peer(3));
        assert_eq!(quota.holders(), 0);
        quota.release(Holder::Peer(3));
    }
}
