//! AES-256-IGE and SHA-256 in one pass, each in the gaps of the other.
//!
//! Both are chains of dependent instructions, and the shorter one is nearly free if their instructions alternate finely:
//! with each group of 4 SHA rounds stand 3 or 4 AES rounds (56 rounds, four blocks, to the 64 of one hash block). CPUs that
//! execute in order depend on it; in others, coarser order lets the waiting instructions of one fill the scheduler.
//!
//! [`decrypt`] hashes what it decrypted one step before; [`encrypt`] hashes another message.
//!
//! ```text
//! decrypt:  block 0 and 1, which with the 32 bytes of the prefix are the first hash block
//!           repeat { hash the last 64 plaintext bytes | decrypt the next 4 blocks }
//!           the rest of both
//! ```
//!
//! **Trap:** the compiler sees two independent chains and may schedule them apart again. An empty `asm!` through which both
//! pass pins the order.

use core::arch::{
    aarch64::{uint8x16_t, vaddq_u32, vsha256h2q_u32, vsha256hq_u32, vsha256su0q_u32, vsha256su1q_u32},
    asm,
};

#[cfg(feature = "batch")]
use super::{aes::encryption_keys, sha256::words};
use super::{
    aes::{RoundKeys, decryption_keys, last, round},
    ige::{self, Chain, Stream},
    register::{load, load_pair, store, store_pair},
    sha256::{self, State, Words, big_endian, compress, constants, quarter},
};

/// Below this many blocks there is no step in which both chains run.
const MIN_DECRYPT: usize = 7;

/// Hashes one block of 64 bytes while the stream takes four blocks, the first four of `$window`.
///
/// AES round `t` of 56 is round `t % 14` of block `t / 14`. Group `i` runs rounds `7i/2` to `7(i+1)/2`: two behind the first
/// half of its SHA rounds, one or two behind the second.
macro_rules! step {
    ($decrypt:literal, $keys:ident, $stream:ident, $window:ident, $out:ident, $state:ident, $w:ident) => {
        macro_rules! aes {
            ($t:expr) => {
                if $t % 14 == 0 {
                    $stream.s = round::<$decrypt>($stream.s, $stream.fold);
                } else if $t % 14 < 13 {
                    $stream.s = round::<$decrypt>($stream.s, $keys.0[$t % 14]);
                } else {
                    $stream.s = last::<$decrypt>($stream.s, $keys.0[13]);
                    let next = load(&$window[$t / 14 + 1]);
                    $out[$t / 14] = $stream.output(&$keys);
                    store(&mut $window[$t / 14], $out[$t / 14]);
                    $stream.turn(&$keys, next);
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
                                    asm!("/* {0:v} {1:v} */", inout(vreg) $stream.s, inout(vreg) $state.abcd,
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
#[target_feature(enable = "aes,sha2")]
#[allow(unused_assignments, reason = "the last groups of a block schedule no more words")]
pub(super) fn decrypt(key: &[u8; 32], iv: &[u8; 32], prefix: &[u8; 32], data: &mut [[u8; 16]]) -> [u8; 32] {
    if data.len() < MIN_DECRYPT {
        ige::decrypt(key, iv, data);
        return sha256::prefixed(prefix, data);
    }
    let keys = decryption_keys(key);
    let mut stream = Stream::new(&keys, Chain::new::<true>(iv), &data[0]);
    let mut w = first_block(&keys, &mut stream, prefix, data);
    let mut state = State::initial();
    let mut out = [stream.here; 4];
    let mut done = 2;
    while let Some(window) = data[done..].first_chunk_mut::<5>() {
        let before = state;
        step!(true, keys, stream, window, out, state, w);
        state = state.plus(before);
        w = out.map(|unit| big_endian(unit));
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
#[target_feature(enable = "aes,sha2")]
fn first_block(keys: &RoundKeys, stream: &mut Stream, prefix: &[u8; 32], data: &mut [[u8; 16]]) -> Words {
    let [a, b] = load_pair(prefix);
    let [c, d] = [0, 1].map(|i: usize| {
        stream.rounds::<true>(keys);
        let output: uint8x16_t = stream.output(keys);
        stream.turn(keys, load(&data[i + 1]));
        store(&mut data[i], output);
        output
    });
    [big_endian(a), big_endian(b), big_endian(c), big_endian(d)]
}

/// Decrypts what is left of the stream, at least one block.
#[inline]
#[target_feature(enable = "aes,sha2")]
fn rest_of_stream(keys: &RoundKeys, mut stream: Stream, blocks: &mut [[u8; 16]]) {
    for i in 0..blocks.len() {
        stream.rounds::<true>(keys);
        let next = blocks.get(i + 1).map_or(stream.here, load);
        store(&mut blocks[i], stream.output(keys));
        stream.turn(keys, next);
    }
}

#[cfg(feature = "batch")]
/// Encrypts `data` in place and returns the SHA-256 of `next_prefix` followed by `next`, another message.
#[inline(never)]
#[target_feature(enable = "aes,sha2")]
#[allow(unused_assignments, reason = "the last groups of a block schedule no more words")]
pub(super) fn encrypt(
    key: &[u8; 32],
    iv: &[u8; 32],
    data: &mut [[u8; 16]],
    next_prefix: &[u8; 32],
    next: &[[u8; 16]],
) -> [u8; 32] {
    let (mut done, mut hashed) = (0, 2);
    let total = 32 + 16 * next.len();
    let ([first, _, ..], (Some(mut state), _)) = (&*data, sha256::begin(next_prefix, next)) else {
        ige::encrypt(key, iv, data);
        return sha256::prefixed(next_prefix, next);
    };
    let keys = encryption_keys(key);
    let mut stream = Stream::new(&keys, Chain::new::<false>(iv), first);
    let mut out = [stream.here; 4];
    while let (Some(window), Some(units)) =
        (data[done..].first_chunk_mut::<5>(), next[hashed..].first_chunk::<4>())
    {
        let (before, mut w) = (state, words(units));
        step!(false, keys, stream, window, out, state, w);
        state = state.plus(before);
        (done, hashed) = (done + 4, hashed + 4);
    }
    let chain = match done {
        0 => Chain::new::<false>(iv),
        _ => Chain { output: out[3], input: stream.before },
    };
    ige::run::<false>(&keys, chain, &mut data[done..]);
    let mut digest = [0; 32];
    store_pair(&mut digest, sha256::finish(state, &next[hashed..], total));
    digest
}
