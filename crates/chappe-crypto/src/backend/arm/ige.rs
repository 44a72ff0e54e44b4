//! AES-256-IGE of one stream, at the latency of its AES instructions.
//!
//! Both directions are one recurrence, `out[i] = F(in[i] ^ out[i-1]) ^ in[i-1]`. AESE adds its key first, so `s`, the state
//! *in front of* the last round key, goes into the next block, and the first round's key takes along all that is missing.
//! Nothing but AES depends on `s`:
//!
//! ```text
//! fold = k[0] ^ k[14] ^ in[i-1] ^ in[i+1]   first round key, the last of the block before, both XORs of the mode
//! s = round(s, fold); s = round(s, k[1]) … round(s, k[12]); s = last(s, k[13])
//! out[i] = s ^ k[14] ^ in[i-1]              beside the chain
//! ```

use core::arch::aarch64::uint8x16_t;

use super::{
    aes::{RoundKeys, decryption_keys, encryption_keys, last, round},
    register::{load, load_pair, store, xor},
};

/// What one block passes on to the next: its output and its input.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    pub(super) output: uint8x16_t,
    pub(super) input: uint8x16_t,
}

impl Chain {
    /// Takes the IV, whose first half stands for ciphertext and whose second for plaintext.
    #[inline(always)]
    pub(super) fn new<const DECRYPT: bool>(iv: &[u8; 32]) -> Self {
        let [cipher, plain] = load_pair(iv);
        if DECRYPT { Self { output: plain, input: cipher } } else { Self { output: cipher, input: plain } }
    }
}

/// One stream between two blocks.
pub(super) struct Stream {
    /// State in front of the last round key of the block before.
    pub(super) s: uint8x16_t,
    /// First round key of the block at hand, and everything that `s` needs to become its state.
    pub(super) fold: uint8x16_t,
    /// Input of the block before.
    pub(super) before: uint8x16_t,
    /// Input of the block at hand.
    pub(super) here: uint8x16_t,
}

impl Stream {
    /// Begins with the block `first`.
    #[inline(always)]
    pub(super) fn new(keys: &RoundKeys, chain: Chain, first: &[u8; 16]) -> Self {
        let here = load(first);
        Self { s: chain.output, fold: xor(here, keys.0[0]), before: chain.input, here }
    }

    /// Returns the output of the block at hand, whose rounds are done.
    #[inline(always)]
    pub(super) fn output(&self, keys: &RoundKeys) -> uint8x16_t {
        xor(self.s, xor(self.before, keys.0[14]))
    }

    /// Goes on to the block `next`.
    #[inline(always)]
    pub(super) fn turn(&mut self, keys: &RoundKeys, next: uint8x16_t) {
        self.fold = xor(xor(keys.0[0], keys.0[14]), xor(self.before, next));
        (self.before, self.here) = (self.here, next);
    }

    /// Ends the block at hand, whose first round is done, and does the first round of the block `next`; returns the output.
    ///
    /// The output is made behind the first round of `next`, for CPUs that execute in order.
    #[inline]
    #[target_feature(enable = "aes")]
    fn step<const DECRYPT: bool>(&mut self, keys: &RoundKeys, next: uint8x16_t) -> uint8x16_t {
        let mask = xor(self.before, keys.0[14]);
        self.turn(keys, next);
        let s = other_rounds::<DECRYPT>(self.s, keys);
        self.s = round::<DECRYPT>(self.fold, s);
        xor(s, mask)
    }

    /// All rounds of the block at hand.
    #[inline]
    #[target_feature(enable = "aes")]
    pub(super) fn rounds<const DECRYPT: bool>(&mut self, keys: &RoundKeys) {
        self.s = other_rounds::<DECRYPT>(round::<DECRYPT>(self.s, self.fold), keys);
    }
}

/// Encrypts whole blocks in place.
#[inline(never)]
#[target_feature(enable = "aes")]
pub(super) fn encrypt(key: &[u8; 32], iv: &[u8; 32], blocks: &mut [[u8; 16]]) {
    run::<false>(&encryption_keys(key), Chain::new::<false>(iv), blocks);
}

/// Decrypts whole blocks in place.
#[inline(never)]
#[target_feature(enable = "aes")]
pub(super) fn decrypt(key: &[u8; 32], iv: &[u8; 32], blocks: &mut [[u8; 16]]) {
    run::<true>(&decryption_keys(key), Chain::new::<true>(iv), blocks);
}

/// Continues a stream.
///
/// Two blocks to a turn: AESE overwrites its first operand, so the state changes its register with each block, and a loop of
/// one block would copy it back within the chain.
#[inline]
#[target_feature(enable = "aes")]
pub(super) fn run<const DECRYPT: bool>(keys: &RoundKeys, chain: Chain, blocks: &mut [[u8; 16]]) {
    let Some(first) = blocks.first() else { return };
    let mut stream = Stream::new(keys, chain, first);
    stream.s = round::<DECRYPT>(stream.fold, stream.s);
    let last = blocks.len() - 1;
    let mut i = 0;
    while i + 1 < last {
        let next = load(&blocks[i + 1]);
        store(&mut blocks[i], stream.step::<DECRYPT>(keys, next));
        let next = load(&blocks[i + 2]);
        store(&mut blocks[i + 1], stream.step::<DECRYPT>(keys, next));
        i += 2;
    }
    if i < last {
        let next = load(&blocks[last]);
        store(&mut blocks[i], stream.step::<DECRYPT>(keys, next));
    }
    stream.s = other_rounds::<DECRYPT>(stream.s, keys);
    store(&mut blocks[last], stream.output(keys));
}

/// All rounds of a block but the first.
#[inline]
#[target_feature(enable = "aes")]
fn other_rounds<const DECRYPT: bool>(mut s: uint8x16_t, keys: &RoundKeys) -> uint8x16_t {
    for key in &keys.0[1..13] {
        s = round::<DECRYPT>(s, *key);
    }
    last::<DECRYPT>(s, keys.0[13])
}
