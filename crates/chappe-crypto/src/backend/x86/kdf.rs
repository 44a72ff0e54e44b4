//! The 2.0 key derivation: two hashes of 52 bytes, one block each, side by side.
//!
//! ```text
//! a = SHA256(msg_key + secret[x .. x+36])          key = a[0..8] + b[8..24] + a[24..32]
//! b = SHA256(secret[40+x .. 76+x] + msg_key)       iv  = b[0..8] + a[8..24] + b[24..32]
//! ```
//!
//! Inputs and outputs are put together in registers, since bytes written singly and read back as 16 would stall.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_or_si128, _mm_set_epi32,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi32, _mm_slli_si128,
    _mm_srli_si128,
};

use super::{
    Narrow,
    register::{load, store_pair},
    sha256::{INITIAL, State, Words, big_endian, constants, quarter},
};
use crate::kdf::AesKeyIv;

/// Derives key and IV. `x` is 0 or 8.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn aes_v2(narrow: Narrow, secret: &[u8; 256], x: usize, msg_key: &[u8; 16]) -> AesKeyIv {
    narrow.clean_uppers();
    let part = |at: usize| load(secret[at + x..].first_chunk().expect("x is at most 8"));
    let msg_key = load(msg_key);
    // The last 4 of 36 bytes are the highest of the 16 that end there.
    let a = [msg_key, part(0), part(16), end_of_input(_mm_srli_si128::<12>(part(20)))];
    let middle = _mm_or_si128(_mm_srli_si128::<12>(part(60)), _mm_slli_si128::<4>(msg_key));
    let b = [part(40), part(56), middle, end_of_input(_mm_srli_si128::<12>(msg_key))];
    let (a, b) = compress_pair(a.map(|unit| big_endian(unit)), b.map(|unit| big_endian(unit)));
    let ([a_low, a_high], [b_low, b_high]) = (a.digest(), b.digest());
    let mut out = AesKeyIv { key: [0; 32], iv: [0; 32] };
    store_pair(
        &mut out.key,
        [_mm_blend_epi16::<0xf0>(a_low, b_low), _mm_blend_epi16::<0xf0>(b_high, a_high)],
    );
    store_pair(&mut out.iv, [_mm_blend_epi16::<0xf0>(b_low, a_low), _mm_blend_epi16::<0xf0>(a_high, b_high)]);
    out
}

/// The last unit of a message of 52 bytes: 4 bytes, the mark behind them, and the length in bits.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn end_of_input(last_four: __m128i) -> __m128i {
    const BITS: u32 = 52 * 8;
    _mm_or_si128(last_four, _mm_set_epi32(BITS.swap_bytes() as i32, 0, 0x80, 0))
}

/// Both hashes, round by round: one alone would leave half of the unit idle.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[allow(unused_assignments, reason = "the last groups of a block schedule no more words")]
fn compress_pair(mut v: Words, mut w: Words) -> (State, State) {
    let before = State::new(INITIAL);
    let (mut a, mut b) = (before, before);
    macro_rules! groups {
        ($($i:literal)*) => { $( quarter!($i, a, v, {}, {}); quarter!($i, b, w, {}, {}); )* };
    }
    groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    (a.plus(before), b.plus(before))
}
