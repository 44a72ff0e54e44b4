//! The key schedule of AES-256.
//!
//! The standard has S-boxes in it, which AESKEYGENASSIST computes slowly. AESENCLAST computes them as well, with a
//! row shift that does nothing if all four columns are equal: `aesenclast(shuffle(k), rcon)` is
//! `SubWord(RotWord(k)) ^ rcon` in every column. Everything else is off the chain.

use core::arch::x86_64::{
    __m128i, _mm_aesenclast_si128, _mm_aesimc_si128, _mm_set1_epi32, _mm_setzero_si128, _mm_shuffle_epi8,
    _mm_slli_si128,
};

use zeroize::Zeroize;

use super::register::{load_pair, xor};

/// The 15 round keys, in the order in which the rounds use them. Wiped on drop.
#[derive(Clone)]
pub(super) struct RoundKeys(pub(super) [__m128i; 15]);

impl Drop for RoundKeys {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Expands a key for encryption.
#[inline]
#[target_feature(enable = "aes,ssse3")]
pub(super) fn encryption_keys(key: &[u8; 32]) -> RoundKeys {
    let [low, high] = load_pair(key);
    let mut keys = [low; 15];
    keys[1] = high;
    // The last word of the previous round key in every column, rotated by a byte or not.
    let (rotated, plain) = (_mm_set1_epi32(0x0c0f_0e0d), _mm_set1_epi32(0x0f0e_0d0c));
    // Literal indices, so that the chain runs through registers and not through memory.
    macro_rules! even_and_odd {
        ($($round:literal)*) => { $(
            let rcon = _mm_set1_epi32(1 << ($round / 2 - 1));
            let word = _mm_aesenclast_si128(_mm_shuffle_epi8(keys[$round - 1], rotated), rcon);
            keys[$round] = xor(prefix_xor(keys[$round - 2]), word);
            let word = _mm_aesenclast_si128(_mm_shuffle_epi8(keys[$round], plain), _mm_setzero_si128());
            keys[$round + 1] = xor(prefix_xor(keys[$round - 1]), word);
        )* };
    }
    even_and_odd!(2 4 6 8 10 12);
    let word = _mm_aesenclast_si128(_mm_shuffle_epi8(keys[13], rotated), _mm_set1_epi32(1 << 6));
    keys[14] = xor(prefix_xor(keys[12]), word);
    RoundKeys(keys)
}

/// Expands a key for decryption with AESDEC: the same keys backwards, the inner ones with their columns unmixed.
#[inline]
#[target_feature(enable = "aes,ssse3")]
pub(super) fn decryption_keys(key: &[u8; 32]) -> RoundKeys {
    let mut keys = encryption_keys(key);
    keys.0.reverse();
    for key in &mut keys.0[1..14] {
        *key = _mm_aesimc_si128(*key);
    }
    keys
}

/// Each word becomes the XOR of itself and those before it.
#[inline]
#[target_feature(enable = "aes,ssse3")]
fn prefix_xor(key: __m128i) -> __m128i {
    let pairs = xor(key, _mm_slli_si128(key, 4));
    xor(pairs, _mm_slli_si128(pairs, 8))
}
