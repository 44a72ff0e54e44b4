//! AES-256-IGE of one stream, at the latency of its AES instructions.
//!
//! Both directions are one recurrence, `out[i] = F(in[i] ^ out[i-1]) ^ in[i-1]`. Let `s` be the state *after* the
//! first round key. What does not depend on `out[i-1]` is computed beside the chain:
//!
//! ```text
//! fresh = in[i+1] ^ k[0]                  next input, with the next block's first round key
//! fold  = in[i-1] ^ k[14] ^ fresh         last round key, with both XORs of the mode folded in
//! s = round(s, k[1]) … round(s, k[13])
//! s = last(s, fold)                       already the state of the next block
//! out[i] = s ^ fresh                      beside the chain as well
//! ```
//!
//! 14 AES instructions stand between two blocks, and no XOR.

use core::arch::x86_64::{
    __m128i, _mm_aesdec_si128, _mm_aesdeclast_si128, _mm_aesenc_si128, _mm_aesenclast_si128,
};

use super::{
    aes::{RoundKeys, decryption_keys, encryption_keys},
    register::{load, load_pair, store, xor},
};

/// What one block passes on to the next: its output and its input.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    pub(super) output: __m128i,
    pub(super) input: __m128i,
}

impl Chain {
    /// Takes the IV, whose first half stands for ciphertext and whose second for plaintext.
    #[inline(always)]
    pub(super) fn new<const DECRYPT: bool>(iv: &[u8; 32]) -> Self {
        let [cipher, plain] = load_pair(iv);
        if DECRYPT { Self { output: plain, input: cipher } } else { Self { output: cipher, input: plain } }
    }
}

/// Encrypts whole blocks in place.
#[inline(never)]
#[target_feature(enable = "aes,ssse3")]
pub(super) fn encrypt(key: &[u8; 32], iv: &[u8; 32], blocks: &mut [[u8; 16]]) {
    run::<false>(&encryption_keys(key), Chain::new::<false>(iv), blocks);
}

/// Decrypts whole blocks in place.
#[inline(never)]
#[target_feature(enable = "aes,ssse3")]
pub(super) fn decrypt(key: &[u8; 32], iv: &[u8; 32], blocks: &mut [[u8; 16]]) {
    run::<true>(&decryption_keys(key), Chain::new::<true>(iv), blocks);
}

#[cfg(feature = "batch")]
/// Continues a stream to its end.
pub(super) fn resume<const DECRYPT: bool>(
    _proof: super::Narrow,
    keys: &RoundKeys,
    chain: Chain,
    blocks: &mut [[u8; 16]],
) {
    // SAFETY: `run` needs the CPU features that `_proof` proves.
    unsafe { run::<DECRYPT>(keys, chain, blocks) };
}

/// Continues a stream; returns what the next block needs.
#[inline]
#[target_feature(enable = "aes,ssse3")]
pub(super) fn run<const DECRYPT: bool>(keys: &RoundKeys, chain: Chain, blocks: &mut [[u8; 16]]) -> Chain {
    let k = keys.0;
    let Some(first) = blocks.first() else { return chain };
    let (mut before, mut here) = (chain.input, load(first));
    let mut s = xor(xor(here, k[0]), chain.output);
    for i in 0..blocks.len() - 1 {
        let next = load(&blocks[i + 1]);
        let fresh = xor(next, k[0]);
        let fold = xor(xor(before, k[14]), fresh);
        s = last::<DECRYPT>(inner_rounds::<DECRYPT>(s, &k), fold);
        store(&mut blocks[i], xor(s, fresh));
        (before, here) = (here, next);
    }
    let output = last::<DECRYPT>(inner_rounds::<DECRYPT>(s, &k), xor(before, k[14]));
    if let Some(block) = blocks.last_mut() {
        store(block, output);
    }
    Chain { output, input: here }
}

/// Rounds 1 to 13.
#[inline]
#[target_feature(enable = "aes,ssse3")]
fn inner_rounds<const DECRYPT: bool>(mut s: __m128i, k: &[__m128i; 15]) -> __m128i {
    for key in &k[1..14] {
        s = round::<DECRYPT>(s, *key);
    }
    s
}

/// One inner round.
#[inline]
#[target_feature(enable = "aes,ssse3")]
pub(super) fn round<const DECRYPT: bool>(s: __m128i, key: __m128i) -> __m128i {
    if DECRYPT { _mm_aesdec_si128(s, key) } else { _mm_aesenc_si128(s, key) }
}

/// The last round.
#[inline]
#[target_feature(enable = "aes,ssse3")]
pub(super) fn last<const DECRYPT: bool>(s: __m128i, key: __m128i) -> __m128i {
    if DECRYPT { _mm_aesdeclast_si128(s, key) } else { _mm_aesenclast_si128(s, key) }
}
