//! The 2.0 key derivation: two hashes of 52 bytes, one block each, side by side.
//!
//! ```text
//! a = SHA256(msg_key + secret[x .. x+36])          key = a[0..8] + b[8..24] + a[24..32]
//! b = SHA256(secret[40+x .. 76+x] + msg_key)       iv  = b[0..8] + a[8..24] + b[24..32]
//! ```
//!
//! Inputs and outputs are put together in registers, since bytes written singly and read back as 16 would stall.

use core::arch::aarch64::{
    uint8x16_t, vaddq_u32, vcopyq_laneq_u64, vdupq_n_u8, vextq_u8, vorrq_u8, vreinterpretq_u8_u32,
    vreinterpretq_u8_u64, vreinterpretq_u64_u8, vsha256h2q_u32, vsha256hq_u32, vsha256su0q_u32,
    vsha256su1q_u32,
};

use super::{
    register::{load, store_pair},
    sha256::{State, Words, big_endian, constants, quarter, words_of},
};
use crate::kdf::AesKeyIv;

/// Derives key and IV. `x` is 0 or 8.
#[inline(never)]
#[target_feature(enable = "sha2")]
pub(super) fn aes_v2(secret: &[u8; 256], x: usize, msg_key: &[u8; 16]) -> AesKeyIv {
    let part = |at: usize| load(secret[at + x..].first_chunk().expect("x is at most 8"));
    let msg_key = load(msg_key);
    let zero = vdupq_n_u8(0);
    // The last 4 of 36 bytes are the last of the 16 that end there.
    let a = [msg_key, part(0), part(16), end_of_input(vextq_u8::<12>(part(20), zero))];
    let middle = vextq_u8::<12>(part(60), msg_key);
    let b = [part(40), part(56), middle, end_of_input(vextq_u8::<12>(msg_key, zero))];
    let (a, b) = compress_pair(a.map(|unit| big_endian(unit)), b.map(|unit| big_endian(unit)));
    let ([a_low, a_high], [b_low, b_high]) = (a.digest(), b.digest());
    let mut out = AesKeyIv { key: [0; 32], iv: [0; 32] };
    store_pair(&mut out.key, [halves(a_low, b_low), halves(b_high, a_high)]);
    store_pair(&mut out.iv, [halves(b_low, a_low), halves(a_high, b_high)]);
    out
}

/// The first eight bytes of one and the last eight of another.
#[inline]
#[target_feature(enable = "sha2")]
fn halves(first: uint8x16_t, last: uint8x16_t) -> uint8x16_t {
    let (first, last) = (vreinterpretq_u64_u8(first), vreinterpretq_u64_u8(last));
    vreinterpretq_u8_u64(vcopyq_laneq_u64::<1, 1>(first, last))
}

/// The last unit of a message of 52 bytes: 4 bytes, the mark behind them, and the length in bits.
#[inline]
#[target_feature(enable = "sha2")]
fn end_of_input(last_four: uint8x16_t) -> uint8x16_t {
    const BITS: u32 = 52 * 8;
    vorrq_u8(last_four, vreinterpretq_u8_u32(words_of(&[0, 0x80, 0, BITS.swap_bytes()])))
}

/// Both hashes, round by round: one alone would leave half of the unit idle.
#[inline]
#[target_feature(enable = "sha2")]
#[allow(unused_assignments, reason = "the last groups of a block schedule no more words")]
fn compress_pair(mut v: Words, mut w: Words) -> (State, State) {
    let before = State::initial();
    let (mut a, mut b) = (before, before);
    macro_rules! groups {
        ($($i:literal)*) => { $( quarter!($i, a, v, {}, {}); quarter!($i, b, w, {}, {}); )* };
    }
    groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    (a.plus(before), b.plus(before))
}
