//! The rounds and the key schedule of AES-256.
//!
//! AESE computes the S-boxes of the schedule: with a key of zeros it substitutes all bytes and shifts the rows, which does
//! nothing if all four columns are equal.

use core::arch::aarch64::{
    uint8x16_t, vaesdq_u8, vaeseq_u8, vaesimcq_u8, vaesmcq_u8, vdupq_n_u8, vdupq_n_u32, vextq_u8, vqtbl1q_u8,
    vreinterpretq_u8_u32,
};

use zeroize::Zeroize;

use super::register::{load_pair, xor};

/// The 15 round keys, in the order in which the rounds use them. Wiped on drop.
#[derive(Clone)]
pub(super) struct RoundKeys(pub(super) [uint8x16_t; 15]);

impl Drop for RoundKeys {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Expands a key for encryption.
#[inline]
#[target_feature(enable = "aes")]
pub(super) fn encryption_keys(key: &[u8; 32]) -> RoundKeys {
    let [low, high] = load_pair(key);
    let mut keys = [low; 15];
    keys[1] = high;
    // Literal indices, so that the chain runs through registers and not through memory.
    macro_rules! even_and_odd {
        ($($round:literal)*) => { $(
            let rcon = vreinterpretq_u8_u32(vdupq_n_u32(1 << ($round / 2 - 1)));
            let word = xor(substituted::<ROTATED>(keys[$round - 1]), rcon);
            keys[$round] = xor(prefix_xor(keys[$round - 2]), word);
            keys[$round + 1] = xor(prefix_xor(keys[$round - 1]), substituted::<PLAIN>(keys[$round]));
        )* };
    }
    even_and_odd!(2 4 6 8 10 12);
    let word = xor(substituted::<ROTATED>(keys[13]), vreinterpretq_u8_u32(vdupq_n_u32(1 << 6)));
    keys[14] = xor(prefix_xor(keys[12]), word);
    RoundKeys(keys)
}

/// Expands a key for decryption with AESD: the same keys backwards, the inner ones with their columns unmixed.
#[inline]
#[target_feature(enable = "aes")]
pub(super) fn decryption_keys(key: &[u8; 32]) -> RoundKeys {
    let mut keys = encryption_keys(key);
    keys.0.reverse();
    for key in &mut keys.0[1..14] {
        *key = vaesimcq_u8(*key);
    }
    keys
}

/// Positions of the last word's bytes, as a little-endian number.
const PLAIN: u32 = 0x0f0e_0d0c;
/// The same, rotated by a byte.
const ROTATED: u32 = 0x0c0f_0e0d;

/// The last word of a round key through the S-boxes, in every column.
#[inline]
#[target_feature(enable = "aes")]
fn substituted<const ORDER: u32>(key: uint8x16_t) -> uint8x16_t {
    let order = vreinterpretq_u8_u32(vdupq_n_u32(ORDER));
    vaeseq_u8(vqtbl1q_u8(key, order), vdupq_n_u8(0))
}

/// Each word becomes the XOR of itself and those before it.
#[inline]
#[target_feature(enable = "aes")]
fn prefix_xor(key: uint8x16_t) -> uint8x16_t {
    let zero = vdupq_n_u8(0);
    let pairs = xor(key, vextq_u8::<12>(zero, key));
    xor(pairs, vextq_u8::<8>(zero, pairs))
}

/// One round: adds the key, substitutes, shifts rows, mixes columns.
#[inline]
#[target_feature(enable = "aes")]
pub(super) fn round<const DECRYPT: bool>(s: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
    let shifted = last::<DECRYPT>(s, key);
    if DECRYPT { vaesimcq_u8(shifted) } else { vaesmcq_u8(shifted) }
}

/// The last round, in front of the last round key.
#[inline]
#[target_feature(enable = "aes")]
pub(super) fn last<const DECRYPT: bool>(s: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
    if DECRYPT { vaesdq_u8(s, key) } else { vaeseq_u8(s, key) }
}
