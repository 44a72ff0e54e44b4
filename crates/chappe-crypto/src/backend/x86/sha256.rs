//! SHA-256 with SHA-NI.
//!
//! One block is 32 dependent SHA256RNDS2 of 4 cycles; everything else runs beside them. The state is kept as the
//! instructions want it, `ABEF` and `CDGH`. Messages come in units of 16 bytes, as everything does that is hashed
//! in front of AES, so padding is made in registers.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_load_si128, _mm_or_si128, _mm_set_epi32,
    _mm_set_epi64x, _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32,
};

use super::{
    Narrow,
    register::{load, load_pair, store_pair},
};
pub(super) use crate::backend::shared::sha256_constants::{INITIAL, K};

/// One block of input as words.
pub(super) type Words = [__m128i; 4];

/// The state between two blocks.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) abef: __m128i,
    pub(super) cdgh: __m128i,
}

impl State {
    /// Takes the eight words in the order of the standard.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn new([a, b, c, d, e, f, g, h]: [u32; 8]) -> Self {
        let row = |w: u32, x: u32, y: u32, z: u32| _mm_set_epi32(w as i32, x as i32, y as i32, z as i32);
        Self { abef: row(a, b, e, f), cdgh: row(c, d, g, h) }
    }

    /// Returns the digest as two halves.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn digest(self) -> [__m128i; 2] {
        let feba = _mm_shuffle_epi32::<0x1b>(self.abef);
        let dchg = _mm_shuffle_epi32::<0xb1>(self.cdgh);
        [big_endian(_mm_blend_epi16::<0xf0>(feba, dchg)), big_endian(_mm_alignr_epi8::<8>(dchg, feba))]
    }

    /// Adds the state in front of a block to the one behind its rounds.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn plus(self, before: Self) -> Self {
        Self { abef: _mm_add_epi32(self.abef, before.abef), cdgh: _mm_add_epi32(self.cdgh, before.cdgh) }
    }
}

/// Swaps the bytes of each word.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn big_endian(words: __m128i) -> __m128i {
    let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm_shuffle_epi8(words, order)
}

/// Four words of the round constants.
#[inline(always)]
pub(super) fn constants(group: usize) -> __m128i {
    let row = &K.0[group];
    // SAFETY: a row is 16 bytes wide, and aligned because the table is aligned to 64.
    unsafe { _mm_load_si128(row.as_ptr().cast()) }
}

/// Rounds `4i` to `4i + 3` for literal `i`, with one piece of foreign work behind each pair of rounds.
///
/// `w` holds the last 16 words of the schedule in a ring; the group computes those that later groups need.
macro_rules! quarter {
    ($i:literal, $state:ident, $w:ident, $first:block, $second:block) => {
        let x = _mm_add_epi32($w[$i % 4], constants($i));
        $state.cdgh = _mm_sha256rnds2_epu32($state.cdgh, $state.abef, x);
        if $i >= 3 && $i < 15 {
            let tail = _mm_alignr_epi8::<4>($w[$i % 4], $w[($i + 3) % 4]);
            let sum = _mm_add_epi32($w[($i + 1) % 4], tail);
            $w[($i + 1) % 4] = _mm_sha256msg2_epu32(sum, $w[$i % 4]);
        }
        $first
        $state.abef = _mm_sha256rnds2_epu32($state.abef, $state.cdgh, _mm_shuffle_epi32::<0x0e>(x));
        if $i >= 1 && $i < 13 {
            $w[($i + 3) % 4] = _mm_sha256msg1_epu32($w[($i + 3) % 4], $w[$i % 4]);
        }
        $second
    };
}
pub(super) use quarter;

/// All 64 rounds of one block.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
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
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn words(units: &[[u8; 16]; 4]) -> Words {
    [
        big_endian(load(&units[0])),
        big_endian(load(&units[1])),
        big_endian(load(&units[2])),
        big_endian(load(&units[3])),
    ]
}

/// Hashes the last units of a message and its padding. `total` is the length of the message in bytes.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn finish(mut state: State, units: &[[u8; 16]], total: usize) -> [__m128i; 2] {
    let (blocks, rest) = units.as_chunks::<4>();
    for block in blocks {
        state = compress(state, words(block));
    }
    let mut w = [_mm_setzero_si128(); 4];
    for (words, unit) in w.iter_mut().zip(rest) {
        *words = big_endian(load(unit));
    }
    finish_words(state, w, rest.len(), total)
}

#[cfg(feature = "batch")]
/// Like [`finish`], from a state that other code left, for callers whose code may use AVX.
pub(super) fn finish_from(narrow: Narrow, words: [u32; 8], units: &[[u8; 16]], total: usize) -> [u8; 32] {
    // SAFETY: `finish_clean` needs the CPU features that `narrow` proves.
    unsafe { finish_clean(narrow, words, units, total) }
}

#[cfg(feature = "batch")]
#[inline(never)]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn finish_clean(narrow: Narrow, words: [u32; 8], units: &[[u8; 16]], total: usize) -> [u8; 32] {
    narrow.clean_uppers();
    let mut digest = [0; 32];
    store_pair(&mut digest, finish(State::new(words), units, total));
    digest
}

/// Hashes the last `used` units, which stand in `w` in front of zeros, and the padding.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn finish_words(state: State, mut w: Words, used: usize, total: usize) -> [__m128i; 2] {
    let bits = (total as u64) << 3;
    let length = _mm_set_epi32(bits as i32, (bits >> 32) as i32, 0, 0);
    let end_mark = _mm_set_epi32(0, 0, 0, i32::MIN);
    w[used] = end_mark;
    w[3] = _mm_or_si128(w[3], length);
    compress(state, w).digest()
}

/// Returns the SHA-256 of `prefix` followed by `data`.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn prefixed(narrow: Narrow, prefix: &[u8; 32], data: &[[u8; 16]]) -> [u8; 32] {
    narrow.clean_uppers();
    let total = 32 + 16 * data.len();
    let (state, rest) = begin(prefix, data);
    let mut digest = [0; 32];
    store_pair(&mut digest, finish_begun(state, prefix, rest, total));
    digest
}

/// Hashes the first block, if there is a whole one: the prefix and two units. Returns the units behind it.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn begin<'a>(prefix: &[u8; 32], data: &'a [[u8; 16]]) -> (Option<State>, &'a [[u8; 16]]) {
    let Some((units, rest)) = data.split_first_chunk::<2>() else { return (None, data) };
    let [a, b] = load_pair(prefix);
    let w = [big_endian(a), big_endian(b), big_endian(load(&units[0])), big_endian(load(&units[1]))];
    (Some(compress(State::new(INITIAL), w)), rest)
}

/// Hashes what [`begin`] left, with the prefix if that was left too.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn finish_begun(state: Option<State>, prefix: &[u8; 32], rest: &[[u8; 16]], total: usize) -> [__m128i; 2] {
    if let Some(state) = state {
        return finish(state, rest, total);
    }
    let [a, b] = load_pair(prefix);
    let mut w = [big_endian(a), big_endian(b), _mm_setzero_si128(), _mm_setzero_si128()];
    if let Some(unit) = rest.first() {
        w[2] = big_endian(load(unit));
    }
    finish_words(State::new(INITIAL), w, 2 + rest.len(), total)
}
