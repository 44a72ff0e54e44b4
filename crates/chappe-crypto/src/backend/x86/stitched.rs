//! AES-256-IGE and SHA-256 in one pass, each in the gaps of the other.
//!
//! Both are chains of dependent instructions on different execution ports, so the shorter one is nearly free if
//! their instructions alternate finely: between two groups of 4 SHA rounds stand 3 or 4 AES rounds (56 rounds, four
//! blocks, to the 64 of one hash block). In coarser order the waiting instructions of one fill the scheduler.
//!
//! [`decrypt`] hashes what it decrypted one step before; [`encrypt`] hashes another message.
//!
//! ```text
//! decrypt:  block 0 and 1, which with the 32 bytes of the prefix are the first hash block
//!           repeat { hash the last 64 plaintext bytes | decrypt the next 4 blocks }
//!           the rest of both
//! ```
//!
//! **Trap:** the compiler sees two independent chains and may schedule them apart again (it does where AVX is
//! enabled: 1.5 instead of 1.05 times the AES chain). An empty `asm!` through which both pass pins the order.

use core::{
    arch::{
        asm,
        x86_64::{
            __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32,
            _mm_sha256rnds2_epu32, _mm_shuffle_epi32,
        },
    },
    mem,
};

use super::{
    Narrow,
    aes::{RoundKeys, decryption_keys},
    ige::{self, Chain, last, round},
    register::{load, load_pair, store, store_pair, xor},
    sha256::{self, INITIAL, State, Words, big_endian, compress, constants, quarter},
};
#[cfg(feature = "batch")]
use super::{aes::encryption_keys, sha256::words};

/// Below this many blocks there is no step in which both chains run.
const MIN_DECRYPT: usize = 7;

/// One IGE stream between two blocks: the folded kernel of `ige.rs`, a round at a time.
struct Stream {
    /// State of the block at hand, after the first round key.
    s: __m128i,
    /// Input of the block before.
    before: __m128i,
    /// Input of the block at hand.
    here: __m128i,
}

impl Stream {
    #[inline(always)]
    fn new(keys: &RoundKeys, chain: Chain, first: &[u8; 16]) -> Self {
        let here = load(first);
        Self { s: xor(xor(here, keys.0[0]), chain.output), before: chain.input, here }
    }

    /// The last round, given the next block's input; returns the output.
    #[inline]
    #[target_feature(enable = "aes,ssse3")]
    fn turn<const DECRYPT: bool>(&mut self, keys: &RoundKeys, next: __m128i) -> __m128i {
        let fresh = xor(next, keys.0[0]);
        self.s = last::<DECRYPT>(self.s, xor(xor(self.before, keys.0[14]), fresh));
        self.before = mem::replace(&mut self.here, next);
        xor(self.s, fresh)
    }

    /// All rounds of one block.
    #[inline]
    #[target_feature(enable = "aes,ssse3")]
    fn block<const DECRYPT: bool>(&mut self, keys: &RoundKeys, next: __m128i) -> __m128i {
        for key in &keys.0[1..14] {
            self.s = round::<DECRYPT>(self.s, *key);
        }
        self.turn::<DECRYPT>(keys, next)
    }
}

/// Hashes one block of 64 bytes while the stream takes four blocks, the first four of `$window`.
///
/// AES round `t` of 56 is round `t % 14` of block `t / 14`. Group `i` runs rounds `7i/2` to `7(i+1)/2`: two after its
/// first pair of SHA rounds, one or two after its second.
macro_rules! step {
    ($decrypt:literal, $keys:ident, $stream:ident, $window:ident, $out:ident, $state:ident, $w:ident) => {
        macro_rules! aes {
            ($t:expr) => {
                if $t % 14 < 13 {
                    $stream.s = round::<$decrypt>($stream.s, $keys.0[$t % 14 + 1]);
                } else {
                    let output = $stream.turn::<$decrypt>(&$keys, load(&$window[$t / 14 + 1]));
                    store(&mut $window[$t / 14], output);
                    $out[$t / 14] = output;
                }
            };
        }
        macro_rules! group {
                    ($i:literal) => {
                        quarter!($i, $state, $w, {
                            aes!($i * 7 / 2);
                            aes!($i * 7 / 2 + 1);
                        }, {
                            aes!($i * 7 / 2 + 2);
                            if $i % 2 == 1 {
                                aes!($i * 7 / 2 + 3);
                            }
                        });
                        // SAFETY: no instruction is executed; the registers are only said to have changed.
                        unsafe {
                            asm!("/* {0} {1} */", inout(xmm_reg) $stream.s, inout(xmm_reg) $state.abef,
                                options(nomem, nostack, preserves_flags));
                        }
                    };
                }
        group!(0);
        group!(1);
        group!(2);
        group!(3);
        group!(4);
        group!(5);
        group!(6);
        group!(7);
        group!(8);
        group!(9);
        group!(10);
        group!(11);
        group!(12);
        group!(13);
        group!(14);
        group!(15);
    };
}

/// Decrypts in place and returns the SHA-256 of `prefix` followed by what was decrypted.
#[inline(never)]
#[target_feature(enable = "aes,sha,sse4.1,ssse3")]
#[allow(unused_assignments, reason = "the last groups of a block schedule no more words")]
pub(super) fn decrypt(
    narrow: Narrow,
    key: &[u8; 32],
    iv: &[u8; 32],
    prefix: &[u8; 32],
    data: &mut [[u8; 16]],
) -> [u8; 32] {
    if data.len() < MIN_DECRYPT {
        ige::decrypt(key, iv, data);
        return sha256::prefixed(narrow, prefix, data);
    }
    narrow.clean_uppers();
    let keys = decryption_keys(key);
    let mut stream = Stream::new(&keys, Chain::new::<true>(iv), &data[0]);
    let mut w = first_block(&keys, &mut stream, prefix, data);
    let mut state = State::new(INITIAL);
    let mut out = w;
    let mut done = 2;
    while let Some(window) = data[done..].first_chunk_mut::<5>() {
        let before = state;
        step!(true, keys, stream, window, out, state, w);
        state = state.plus(before);
        w = [big_endian(out[0]), big_endian(out[1]), big_endian(out[2]), big_endian(out[3])];
        done += 4;
    }
    rest_of_stream(&keys, stream, &mut data[done..]);
    state = compress(state, w);
    let mut digest = [0; 32];
    store_pair(&mut digest, sha256::finish(state, &data[done..], 32 + 16 * data.len()));
    digest
}

/// Decrypts the two blocks that fill the first hash block behind the prefix.
#[inline]
#[target_feature(enable = "aes,sha,sse4.1,ssse3")]
fn first_block(keys: &RoundKeys, stream: &mut Stream, prefix: &[u8; 32], data: &mut [[u8; 16]]) -> Words {
    let [a, b] = load_pair(prefix);
    let c = stream.block::<true>(keys, load(&data[1]));
    store(&mut data[0], c);
    let d = stream.block::<true>(keys, load(&data[2]));
    store(&mut data[1], d);
    [big_endian(a), big_endian(b), big_endian(c), big_endian(d)]
}

/// Decrypts what is left of the stream, at least one block.
#[inline]
#[target_feature(enable = "aes,sha,sse4.1,ssse3")]
fn rest_of_stream(keys: &RoundKeys, mut stream: Stream, blocks: &mut [[u8; 16]]) {
    for i in 0..blocks.len() {
        let next = blocks.get(i + 1).map_or(stream.here, load);
        let output = stream.block::<true>(keys, next);
        store(&mut blocks[i], output);
    }
}

#[cfg(feature = "batch")]
/// Encrypts `data` in place and returns the SHA-256 of `next_prefix` followed by `next`, another message.
#[inline(never)]
#[target_feature(enable = "aes,sha,sse4.1,ssse3")]
#[allow(unused_assignments, reason = "the last groups of a block schedule no more words")]
pub(super) fn encrypt(
    narrow: Narrow,
    key: &[u8; 32],
    iv: &[u8; 32],
    data: &mut [[u8; 16]],
    next_prefix: &[u8; 32],
    next: &[[u8; 16]],
) -> [u8; 32] {
    let (mut done, mut hashed) = (0, 2);
    let total = 32 + 16 * next.len();
    let [first, _, ..] = data else {
        ige::encrypt(key, iv, data);
        return sha256::prefixed(narrow, next_prefix, next);
    };
    if next.len() < hashed {
        ige::encrypt(key, iv, data);
        return sha256::prefixed(narrow, next_prefix, next);
    }
    narrow.clean_uppers();
    let keys = encryption_keys(key);
    let mut stream = Stream::new(&keys, Chain::new::<false>(iv), first);
    let (Some(mut state), _) = sha256::begin(next_prefix, next) else { unreachable!("next has two units") };
    let mut out = [stream.here; 4];
    while let (Some(window), Some(units)) =
        (data[done..].first_chunk_mut::<5>(), next[hashed..].first_chunk::<4>())
    {
        let (before, mut w) = (state, words(units));
        step!(false, keys, stream, window, out, state, w);
        state = state.plus(before);
        (done, hashed) = (done + 4, hashed + 4);
    }
    if done == 0 {
        ige::run::<false>(&keys, Chain::new::<false>(iv), data);
    } else {
        ige::run::<false>(&keys, Chain { output: out[3], input: stream.before }, &mut data[done..]);
    }
    let mut digest = [0; 32];
    store_pair(&mut digest, sha256::finish(state, &next[hashed..], total));
    digest
}
