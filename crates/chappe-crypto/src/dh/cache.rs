//! A cache of primality results, so that the expensive tests run once per prime.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

/// The result of the two primality tests of a 2048-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrimalityResult {
    /// The number and half of it are primes.
    SafePrime,
    /// The number is composite.
    Composite,
    /// Half of the number is composite; the number itself may be prime.
    NotSafe,
}

/// A bounded cache of 2048-bit numbers that are safe primes, and of numbers that are not.
///
/// Good and bad results are stored separately, [`PrimeCache::CAPACITY`] of each, and the oldest is evicted first. A peer
/// that sends new bad numbers cannot evict good ones. An entry is the SHA-256 of the number.
///
/// [`PrimeCache::export`] and [`PrimeCache::import`] preserve it across restarts. Anyone who can change the exported bytes can
/// make the application accept a weak prime: protect them like an `auth_key`.
///
/// ```
/// # use chappe_crypto::dh::PrimeCache;
/// let cache = PrimeCache::new();
/// assert_eq!(PrimeCache::import(&cache.export()), Ok(cache));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrimeCache {
    good: Vec<Key>,
    bad: Vec<(Key, BadReason)>,
}

type Key = [u8; 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BadReason {
    Composite,
    NotSafe,
}

/// First byte of an export; changes with the layout.
const EXPORT_VERSION: u8 = 1;
/// An exported entry: a tag, then the SHA-256 of the prime.
const ENTRY_LEN: usize = 33;
const TAG_SAFE_PRIME: u8 = 0;
const TAG_COMPOSITE: u8 = 1;
const TAG_NOT_SAFE: u8 = 2;

impl PrimeCache {
    /// Maximum number of good results, and of bad ones.
    pub const CAPACITY: usize = 16;

    /// Creates an empty cache. The published prime needs no entry.
    pub const fn new() -> Self {
        Self { good: Vec::new(), bad: Vec::new() }
    }

    /// Returns the number of cached results.
    pub fn len(&self) -> usize {
        self.good.len() + self.bad.len()
    }

    /// Returns whether the cache is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Serialises all results: a version byte, then 33 bytes for each.
    pub fn export(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.len() * ENTRY_LEN);
        bytes.push(EXPORT_VERSION);
        for key in &self.good {
            bytes.push(TAG_SAFE_PRIME);
            bytes.extend_from_slice(key);
        }
        for (key, reason) in &self.bad {
            bytes.push(match reason {
                BadReason::Composite => TAG_COMPOSITE,
                BadReason::NotSafe => TAG_NOT_SAFE,
            });
            bytes.extend_from_slice(key);
        }
        bytes
    }

    /// Reads the output of [`PrimeCache::export`].
    ///
    /// # Errors
    ///
    /// Fails if the bytes are of another version, cut short or malformed.
    pub fn import(bytes: &[u8]) -> Result<Self, PrimeCacheError> {
        let (&version, entries) = bytes.split_first().ok_or(PrimeCacheError::Malformed)?;
        if version != EXPORT_VERSION {
            return Err(PrimeCacheError::Version { got: version });
        }
        let (entries, rest) = entries.as_chunks::<ENTRY_LEN>();
        if !rest.is_empty() || entries.len() > 2 * Self::CAPACITY {
            return Err(PrimeCacheError::Malformed);
        }
        let mut cache = Self::new();
        for entry in entries {
            let (&tag, key) = entry.split_first().ok_or(PrimeCacheError::Malformed)?;
            let key = key.try_into().map_err(|_| PrimeCacheError::Malformed)?;
            let result = match tag {
                TAG_SAFE_PRIME => PrimalityResult::SafePrime,
                TAG_COMPOSITE => PrimalityResult::Composite,
                TAG_NOT_SAFE => PrimalityResult::NotSafe,
                _ => return Err(PrimeCacheError::Malformed),
            };
            cache.insert_key(key, result);
        }
        Ok(cache)
    }

    pub(super) fn lookup(&self, prime: &[u8; 256]) -> Option<PrimalityResult> {
        let key = Self::key(prime);
        if self.good.contains(&key) {
            return Some(PrimalityResult::SafePrime);
        }
        self.bad.iter().find(|(bad, _)| *bad == key).map(|(_, reason)| match reason {
            BadReason::Composite => PrimalityResult::Composite,
            BadReason::NotSafe => PrimalityResult::NotSafe,
        })
    }

    pub(super) fn insert(&mut self, prime: &[u8; 256], result: PrimalityResult) {
        self.insert_key(Self::key(prime), result);
    }

    fn insert_key(&mut self, key: Key, result: PrimalityResult) {
        match result {
            PrimalityResult::SafePrime => push_bounded(&mut self.good, key),
            PrimalityResult::Composite => push_bounded(&mut self.bad, (key, BadReason::Composite)),
            PrimalityResult::NotSafe => push_bounded(&mut self.bad, (key, BadReason::NotSafe)),
        }
    }

    fn key(prime: &[u8; 256]) -> Key {
        Sha256::digest(prime).into()
    }
}

fn push_bounded<T>(list: &mut Vec<T>, entry: T) {
    if list.len() == PrimeCache::CAPACITY {
        list.remove(0);
    }
    list.push(entry);
}

/// Why exported results could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrimeCacheError {
    /// The first byte names an unknown layout.
    Version {
        /// That byte.
        got: u8,
    },
    /// The bytes are truncated, too long, or contain an unknown result.
    Malformed,
}

impl core::fmt::Display for PrimeCacheError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version { got } => write!(f, "prime cache has the unknown version {got}"),
            Self::Malformed => f.write_str("prime cache is malformed"),
        }
    }
}

impl core::error::Error for PrimeCacheError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(i: usize) -> [u8; 256] {
        let mut number = [0; 256];
        number[..8].copy_from_slice(&(i as u64).to_be_bytes());
        number
    }

    #[test]
    fn bad_numbers_without_end_do_not_drive_out_good_ones() {
        let mut cache = PrimeCache::new();
        cache.insert(&number(0), PrimalityResult::SafePrime);
        (1..100).for_each(|i| cache.insert(&number(i), PrimalityResult::Composite));
        assert_eq!(cache.lookup(&number(0)), Some(PrimalityResult::SafePrime));
        assert_eq!(cache.lookup(&number(99)), Some(PrimalityResult::Composite));
        assert_eq!(cache.lookup(&number(1)), None);
        assert_eq!(cache.len(), 1 + PrimeCache::CAPACITY);
    }

    #[test]
    fn an_export_keeps_every_verdict() {
        let mut cache = PrimeCache::new();
        for (i, result) in [PrimalityResult::SafePrime, PrimalityResult::Composite, PrimalityResult::NotSafe]
            .into_iter()
            .enumerate()
        {
            cache.insert(&number(i), result);
        }
        assert_eq!(PrimeCache::import(&cache.export()), Ok(cache));
    }

    #[test]
    fn malformed_exports_are_refused() {
        let mut cache = PrimeCache::new();
        cache.insert(&number(7), PrimalityResult::NotSafe);
        let good = cache.export();
        assert_eq!(PrimeCache::import(&[]), Err(PrimeCacheError::Malformed));
        assert_eq!(PrimeCache::import(&[2]), Err(PrimeCacheError::Version { got: 2 }));
        for len in 2..good.len() {
            assert_eq!(PrimeCache::import(&good[..len]), Err(PrimeCacheError::Malformed), "{len}");
        }
        let mut unknown_verdict = good.clone();
        unknown_verdict[1] = 3;
        assert_eq!(PrimeCache::import(&unknown_verdict), Err(PrimeCacheError::Malformed));
        let endless = [&good[..], &good[1..].repeat(100)].concat();
        assert_eq!(PrimeCache::import(&endless), Err(PrimeCacheError::Malformed));
    }
}
