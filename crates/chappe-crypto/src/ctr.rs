//! AES-256-CTR: a keystream that survives any split of the data.
//!
//! The IV is the first value of a 128-bit big-endian counter. Used for transport obfuscation (one stream per
//! direction for the life of a connection) and for CDN files (random access, [`Ctr::seek`]).

use core::fmt;

use aes::Aes256;
use zeroize::Zeroize;

use crate::backend::portable;

const BATCH: usize = 128;

/// A keystream and the position in it.
///
/// ```
/// use chappe_crypto::ctr::Ctr;
///
/// let mut whole = *b"split this anywhere";
/// Ctr::new(&[1; 32], &[2; 16]).apply(&mut whole);
///
/// let mut parts = *b"split this anywhere";
/// let mut ctr = Ctr::new(&[1; 32], &[2; 16]);
/// let (a, b) = parts.split_at_mut(5);
/// ctr.apply(a);
/// ctr.apply(b);
/// assert_eq!(parts, whole);
/// ```
pub struct Ctr {
    key: Aes256,
    iv: u128,
    /// Number of the block that [`Ctr::apply`] generates next, relative to the IV.
    next_block: u128,
    /// Keystream made but not used yet: the last bytes of `keystream` from `used` on.
    keystream: [u8; BATCH],
    used: usize,
}

impl Ctr {
    /// Starts a stream at position 0.
    pub fn new(key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self {
            key: portable::ctr_key(key),
            iv: u128::from_be_bytes(*iv),
            next_block: 0,
            keystream: [0; BATCH],
            used: BATCH,
        }
    }

    /// Encrypts or decrypts `data`, which continues what came before.
    pub fn apply(&mut self, mut data: &mut [u8]) {
        while !data.is_empty() {
            if self.used == BATCH {
                self.refill();
            }
            let len = data.len().min(BATCH - self.used);
            let (head, rest) = data.split_at_mut(len);
            for (byte, key) in head.iter_mut().zip(&self.keystream[self.used..]) {
                *byte ^= key;
            }
            self.used += len;
            data = rest;
        }
    }

    /// Moves to `byte_offset` bytes from the start of the stream.
    pub fn seek(&mut self, byte_offset: u64) {
        self.next_block = u128::from(byte_offset / 16);
        self.refill();
        self.used = (byte_offset % 16) as usize;
    }

    fn refill(&mut self) {
        portable::ctr_keystream(&self.key, self.iv.wrapping_add(self.next_block), &mut self.keystream);
        self.next_block = self.next_block.wrapping_add((BATCH / 16) as u128);
        self.used = 0;
    }
}

impl Drop for Ctr {
    fn drop(&mut self) {
        self.keystream.zeroize();
        self.iv.zeroize();
    }
}

impl fmt::Debug for Ctr {
    /// Writes nothing of key, IV or keystream (SEC-05).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctr").finish_non_exhaustive()
    }
}
