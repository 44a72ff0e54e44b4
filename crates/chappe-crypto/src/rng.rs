//! A generator of random bytes that makes no system call.
//!
//! A message needs some 12 random bytes. A system call for them costs more than encrypting the message, so [`Drbg`] is
//! seeded once and then works in user space.

use core::{convert::Infallible, fmt};

use rand_core::{TryCryptoRng, TryRng, utils};
use zeroize::Zeroize;

use crate::{ctr::Ctr, hash, wipe::wipe};

/// Number of bytes that one key generates: 32 for the next key, the rest for callers.
const BUFFER: usize = 512;
const SEED: usize = 32;

/// AES-256-CTR with fast key erasure.
///
/// Each key generates 512 bytes. The first 32 replace the key at once and the others are wiped when they are returned, so
/// earlier output cannot be recomputed from memory.
///
/// Not `Clone`, so that no two generators return the same bytes. After a fork, the child must
/// [`reseed`](Self::reseed) its copy.
///
/// ```
/// use chappe_crypto::{rand_core::Rng, rng::Drbg};
///
/// let mut rng = Drbg::from_seed([1; 32]);
/// let mut padding = [0; 12];
/// rng.fill_bytes(&mut padding);
/// assert_ne!(padding, [0; 12]);
/// ```
pub struct Drbg {
    key: [u8; SEED],
    buffer: [u8; BUFFER],
    used: usize,
}

impl Drbg {
    /// Starts from a seed, which must be secret and used once.
    pub fn from_seed(mut seed: [u8; SEED]) -> Self {
        let rng = Self { key: seed, buffer: [0; BUFFER], used: BUFFER };
        seed.zeroize();
        rng
    }

    /// Starts from the operating system's generator.
    ///
    /// # Errors
    ///
    /// Fails if the operating system provides no randomness. There is no fallback (SEC-01).
    #[cfg(feature = "getrandom")]
    pub fn from_os() -> Result<Self, getrandom::Error> {
        let mut seed = [0; SEED];
        getrandom::fill(&mut seed)?;
        let rng = Self::from_seed(seed);
        seed.zeroize();
        Ok(rng)
    }

    /// Returns an independent generator, seeded from this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; SEED];
        rand_core::Rng::fill_bytes(self, &mut seed);
        let forked = Self::from_seed(seed);
        seed.zeroize();
        forked
    }

    /// Mixes in more randomness. Input that others know does not weaken the generator.
    pub fn reseed(&mut self, entropy: &[u8]) {
        self.key = hash::sha256(&[&self.key, entropy]);
        self.buffer.zeroize();
        self.used = BUFFER;
    }

    fn refill(&mut self) {
        self.buffer.fill(0);
        Ctr::new(&self.key, &[0; 16]).apply(&mut self.buffer);
        self.key.copy_from_slice(&self.buffer[..SEED]);
        wipe(&mut self.buffer[..SEED]);
        self.used = SEED;
    }
}

impl TryRng for Drbg {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, mut dst: &mut [u8]) -> Result<(), Infallible> {
        while !dst.is_empty() {
            if self.used == BUFFER {
                self.refill();
            }
            let len = dst.len().min(BUFFER - self.used);
            let (head, rest) = dst.split_at_mut(len);
            let fresh = &mut self.buffer[self.used..self.used + len];
            head.copy_from_slice(fresh);
            wipe(fresh);
            self.used += len;
            dst = rest;
        }
        Ok(())
    }
}

impl TryCryptoRng for Drbg {}

impl Drop for Drbg {
    fn drop(&mut self) {
        self.key.zeroize();
        self.buffer.zeroize();
    }
}

impl fmt::Debug for Drbg {
    /// Omits the state (SEC-05).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drbg").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand_core::Rng;

    use super::*;

    #[test]
    fn the_stream_does_not_depend_on_how_it_is_cut() {
        let mut whole = [0; 3000];
        Drbg::from_seed([5; SEED]).fill_bytes(&mut whole);
        let mut rng = Drbg::from_seed([5; SEED]);
        let mut cut = [0; 3000];
        let (mut at, mut step) = (0, 1);
        while at < cut.len() {
            let end = cut.len().min(at + step);
            rng.fill_bytes(&mut cut[at..end]);
            (at, step) = (end, step + 7);
        }
        assert_eq!(cut, whole);
    }

    #[test]
    fn what_was_handed_out_is_gone_from_memory() {
        let mut rng = Drbg::from_seed([5; SEED]);
        let mut out = [0; 100];
        rng.fill_bytes(&mut out);
        assert_eq!(rng.buffer[..rng.used], [0; SEED + 100]);
        assert_ne!(rng.key, [5; SEED]);
    }

    #[test]
    fn reseeding_changes_the_stream() {
        let (mut a, mut b) = (Drbg::from_seed([5; SEED]), Drbg::from_seed([5; SEED]));
        assert_eq!(a.next_u64(), b.next_u64());
        a.reseed(b"child");
        assert_ne!(a.next_u64(), b.next_u64());
    }
}
