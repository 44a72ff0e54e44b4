//! SHA-256 with the SHA-2 instructions.
//!
//! One block is 16 dependent SHA256H; everything else runs beside them. The state is kept in the order of the standard.
//! Messages come in units of 16 bytes, as everything does that is hashed in front of AES, so padding is made in registers.

use core::arch::aarch64::{
    uint8x16_t, uint32x4_t, vaddq_u32, vdupq_n_u32, vld1q_u32, vorrq_u32, vreinterpretq_u8_u32,
    vreinterpretq_u32_u8, vrev32q_u8, vsha256h2q_u32, vsha256hq_u32, vsha256su0q_u32, vsha256su1q_u32,
};

use super::register::{load, load_pair, store_pair};
use crate::backend::shared::sha256_constants::{INITIAL, K};

/// One block of input as words.
pub(super) type Words = [uint32x4_t; 4];

/// The state between two blocks.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) abcd: uint32x4_t,
    pub(super) efgh: uint32x4_t,
}

impl State {
    /// Returns the state in front of the first block.
    #[inline]
    #[target_feature(enable = "sha2")]
    pub(super) fn initial() -> Self {
        let [abcd, efgh] = [0, 4].map(|at| words_of(INITIAL[at..].first_chunk().expect("8 >= 4 + 4")));
        Self { abcd, efgh }
    }

    /// Returns the digest as two halves.
    #[inline]
    #[target_feature(enable = "sha2")]
    pub(super) fn digest(self) -> [uint8x16_t; 2] {
        [self.abcd, self.efgh].map(|words| vrev32q_u8(vreinterpretq_u8_u32(words)))
    }

    /// Adds the state in front of a block to the one behind its rounds.
    #[inline]
    #[target_feature(enable = "sha2")]
    pub(super) fn plus(self, before: Self) -> Self {
        Self { abcd: vaddq_u32(self.abcd, before.abcd), efgh: vaddq_u32(self.efgh, before.efgh) }
    }
}

/// Reads four words from memory.
#[inline(always)]
pub(super) fn words_of(words: &[u32; 4]) -> uint32x4_t {
    // SAFETY: 16 bytes may be read, at any alignment; NEON belongs to every target that this module is built for.
    unsafe { vld1q_u32(words.as_ptr()) }
}

/// Four words of input.
#[inline]
#[target_feature(enable = "sha2")]
pub(super) fn big_endian(unit: uint8x16_t) -> uint32x4_t {
    vreinterpretq_u32_u8(vrev32q_u8(unit))
}

/// Four words of the round constants.
#[inline(always)]
pub(super) fn constants(group: usize) -> uint32x4_t {
    words_of(&K.0[group])
}

/// Rounds `4i` to `4i + 3` for literal `i`, with one piece of foreign work behind each half of the state.
///
/// `w` holds the last 16 words of the schedule in a ring; the group computes those that group `i + 4` needs.
macro_rules! quarter {
    ($i:literal, $state:ident, $w:ident, $first:block, $second:block) => {
        let x = vaddq_u32($w[$i % 4], constants($i));
        let abcd = $state.abcd;
        $state.abcd = vsha256hq_u32(abcd, $state.efgh, x);
        $first
        $state.efgh = vsha256h2q_u32($state.efgh, abcd, x);
        if $i < 12 {
            let begun = vsha256su0q_u32($w[$i % 4], $w[($i + 1) % 4]);
            $w[$i % 4] = vsha256su1q_u32(begun, $w[($i + 2) % 4], $w[($i + 3) % 4]);
        }
        $second
    };
}
pub(super) use quarter;

/// All 64 rounds of one block.
#[inline]
#[target_feature(enable = "sha2")]
#[allow(unused_assignments, reason = "the last groups of a block schedule no more words")]
pub(super) fn compress(before: State, mut w: Words) -> State {
    let mut state = before;
    macro_rules! groups {
        ($($i:literal)*) => { $( quarter!($i, state, w, {}, {}); )* };
    }
    groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    state.plus(before)
}

/// Reads one block.
#[inline]
#[target_feature(enable = "sha2")]
pub(super) fn words(units: &[[u8; 16]; 4]) -> Words {
    units.each_ref().map(|unit| big_endian(load(unit)))
}

/// Hashes the last units of a message and its padding. `total` is the length of the message in bytes.
#[inline]
#[target_feature(enable = "sha2")]
pub(super) fn finish(mut state: State, units: &[[u8; 16]], total: usize) -> [uint8x16_t; 2] {
    let (blocks, rest) = units.as_chunks::<4>();
    for block in blocks {
        state = compress(state, words(block));
    }
    let mut w = [vdupq_n_u32(0); 4];
    for (words, unit) in w.iter_mut().zip(rest) {
        *words = big_endian(load(unit));
    }
    finish_words(state, w, rest.len(), total)
}

/// Hashes the last `used` units, which stand in `w` in front of zeros, and the padding.
#[inline]
#[target_feature(enable = "sha2")]
fn finish_words(state: State, mut w: Words, used: usize, total: usize) -> [uint8x16_t; 2] {
    let bits = (total as u64) << 3;
    w[used] = words_of(&[1 << 31, 0, 0, 0]);
    w[3] = vorrq_u32(w[3], words_of(&[0, 0, (bits >> 32) as u32, bits as u32]));
    compress(state, w).digest()
}

/// Returns the SHA-256 of `prefix` followed by `data`.
#[inline(never)]
#[target_feature(enable = "sha2")]
pub(super) fn prefixed(prefix: &[u8; 32], data: &[[u8; 16]]) -> [u8; 32] {
    let total = 32 + 16 * data.len();
    let (state, rest) = begin(prefix, data);
    let mut digest = [0; 32];
    store_pair(&mut digest, finish_begun(state, prefix, rest, total));
    digest
}

/// Hashes the first block, if there is a whole one: the prefix and two units. Returns the units behind it.
#[inline]
#[target_feature(enable = "sha2")]
pub(super) fn begin<'a>(prefix: &[u8; 32], data: &'a [[u8; 16]]) -> (Option<State>, &'a [[u8; 16]]) {
    let Some((units, rest)) = data.split_first_chunk::<2>() else { return (None, data) };
    let [a, b] = load_pair(prefix);
    let w = [big_endian(a), big_endian(b), big_endian(load(&units[0])), big_endian(load(&units[1]))];
    (Some(compress(State::initial(), w)), rest)
}

/// Hashes what [`begin`] left, with the prefix if that was left too.
#[inline]
#[target_feature(enable = "sha2")]
fn finish_begun(state: Option<State>, prefix: &[u8; 32], rest: &[[u8; 16]], total: usize) -> [uint8x16_t; 2] {
    if let Some(state) = state {
        return finish(state, rest, total);
    }
    let [a, b] = load_pair(prefix);
    let mut w = [big_endian(a), big_endian(b), vdupq_n_u32(0), vdupq_n_u32(0)];
    if let Some(unit) = rest.first() {
        w[2] = big_endian(load(unit));
    }
    finish_words(State::initial(), w, 2 + rest.len(), total)
}
