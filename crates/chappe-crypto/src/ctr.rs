//! AES-256-CTR: a keystream over data that arrives in pieces of any length.
//!
//! The IV is the first value of a 128-bit big-endian counter. Used for transport obfuscation (one stream per
//! direction for the life of a connection) and for CDN files (random access, [`Ctr::seek`]).

use core::fmt;

use zeroize::Zeroize;

use crate::backend::{Backend, CtrKey};

const BLOCK: usize = 16;
/// Number of bytes that the kernels generate at a time.
const BATCH: usize = 8 * BLOCK;

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
    key: CtrKey,
    iv: u128,
    /// The block that `keystream` was made for ends in front of this one, counted from the IV.
    next_block: u128,
    keystream: [u8; BATCH],
    /// Bytes of `keystream` that are used up.
    used: usize,
}

impl Ctr {
    /// Starts a stream at position 0.
    pub fn new(key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self::with_backend(Backend::detect(), key, iv)
    }

    /// [`new`](Self::new) with the given implementation.
    #[doc(hidden)]
    pub fn with_backend(backend: Backend, key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self {
            key: backend.ctr_key(key),
            iv: u128::from_be_bytes(*iv),
            next_block: 0,
            keystream: [0; BATCH],
            used: BATCH,
        }
    }

    /// Encrypts or decrypts `data`, which continues the stream.
    pub fn apply(&mut self, data: &mut [u8]) {
        let rest = self.use_left_over(data);
        let (batches, rest) = rest.as_chunks_mut();
        self.key.apply(self.iv.wrapping_add(self.next_block), batches);
        self.next_block = self.next_block.wrapping_add((batches.len() * BATCH / BLOCK) as u128);
        if !rest.is_empty() {
            self.refill();
            self.use_left_over(rest);
        }
    }

    /// Moves to `byte_offset` bytes from the start of the stream.
    pub fn seek(&mut self, byte_offset: u64) {
        self.move_to(u128::from(byte_offset));
    }

    /// Moves ahead by `len` bytes without using them.
    pub fn skip(&mut self, len: u64) {
        let made = self.next_block.wrapping_mul(BLOCK as u128);
        let left = (BATCH - self.used) as u128;
        self.move_to(made.wrapping_sub(left).wrapping_add(u128::from(len)));
    }

    fn move_to(&mut self, position: u128) {
        self.next_block = position / BLOCK as u128;
        self.used = BATCH;
        let within = (position % BLOCK as u128) as usize;
        if within != 0 {
            self.refill();
            self.used = within;
        }
    }

    /// Applies the keystream in the buffer, and returns the data behind it.
    fn use_left_over<'a>(&mut self, data: &'a mut [u8]) -> &'a mut [u8] {
        let len = data.len().min(BATCH - self.used);
        let (head, rest) = data.split_at_mut(len);
        for (byte, key) in head.iter_mut().zip(&self.keystream[self.used..]) {
            *byte ^= key;
        }
        self.used += len;
        rest
    }

    fn refill(&mut self) {
        self.keystream.fill(0);
        self.key.apply(self.iv.wrapping_add(self.next_block), core::array::from_mut(&mut self.keystream));
        self.next_block = self.next_block.wrapping_add((BATCH / BLOCK) as u128);
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
    /// Omits key, IV and keystream (SEC-05).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctr").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_is_as_good_as_using() {
        let mut whole = [0; 1000];
        Ctr::new(&[1; 32], &[2; 16]).apply(&mut whole);
        for used in [0, 1, 16, 127, 128, 129, 300] {
            for skipped in [0, 1, 15, 16, 100, 128, 400] {
                let mut ctr = Ctr::new(&[1; 32], &[2; 16]);
                ctr.apply(&mut [0; 1000][..used]);
                ctr.skip(skipped as u64);
                let mut rest = [0; 20];
                ctr.apply(&mut rest);
                assert_eq!(rest, whole[used + skipped..][..20], "{used} used, {skipped} skipped");
            }
        }
    }
}
