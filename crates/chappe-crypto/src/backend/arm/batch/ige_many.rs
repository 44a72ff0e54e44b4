//! AES-256-IGE of independent streams side by side.
//!
//! One stream leaves most of the AES unit idle: each instruction waits for the one before. Four streams fill a unit that
//! takes a pair of AESE and AESMC in each cycle, eight fill two of them. The round keys do not fit into registers, so that
//! each round reads them; nothing waits for that.

use core::array;

use super::{
    Narrow,
    aes::{self, RoundKeys, decryption_keys, encryption_keys, round},
    ige::{Chain, Stream},
    register::{load, store},
};
use crate::{
    backend::shared::lanes::{Lane, Lanes},
    ige::IgeStream,
};

/// How many streams run at once at most.
const LANES: usize = 8;

/// The state of a stream between two calls of the kernel.
struct Cipher {
    keys: RoundKeys,
    chain: Chain,
}

impl Cipher {
    fn new<const DECRYPT: bool>(_proof: Narrow, key: &[u8; 32], iv: &[u8; 32]) -> Self {
        // SAFETY: both need the CPU features that `_proof` proves.
        let keys = unsafe { if DECRYPT { decryption_keys(key) } else { encryption_keys(key) } };
        Self { keys, chain: Chain::new::<DECRYPT>(iv) }
    }
}

/// Works through all streams.
pub(super) fn run<const DECRYPT: bool>(proof: Narrow, streams: &mut [IgeStream<'_>]) {
    let mut queue = streams.iter_mut().filter_map(|stream| {
        let rest = stream.data.as_chunks_mut().0;
        (!rest.is_empty())
            .then(|| Lane { cipher: Cipher::new::<DECRYPT>(proof, &stream.key, &stream.iv), rest })
    });
    let mut lanes = Lanes::<Cipher, LANES>::new();
    loop {
        match lanes.refill(LANES, &mut queue) {
            0 => return,
            1 => advance::<1, DECRYPT>(proof, &mut lanes),
            2 => advance::<2, DECRYPT>(proof, &mut lanes),
            3 => advance::<3, DECRYPT>(proof, &mut lanes),
            4..8 => advance::<4, DECRYPT>(proof, &mut lanes),
            _ => advance::<8, DECRYPT>(proof, &mut lanes),
        }
    }
}

/// Runs the first `N` lanes until one of them ends.
fn advance<const N: usize, const DECRYPT: bool>(_proof: Narrow, lanes: &mut Lanes<'_, Cipher, LANES>) {
    let ([mut ciphers], [data]) = lanes.take::<N, 1>();
    let keys = ciphers.each_ref().map(|cipher| &cipher.keys);
    let chains = ciphers.each_ref().map(|cipher| cipher.chain);
    // SAFETY: `interleaved` needs the CPU features that `_proof` proves.
    let chains = unsafe { interleaved::<N, DECRYPT>(keys, chains, data) };
    for (cipher, chain) in ciphers.iter_mut().zip(chains) {
        cipher.chain = chain;
    }
}

/// `N` streams of the same length, a round of each in turn; the kernel of `ige.rs` otherwise.
#[inline(never)]
#[target_feature(enable = "aes")]
fn interleaved<const N: usize, const DECRYPT: bool>(
    keys: [&RoundKeys; N],
    chains: [Chain; N],
    data: [&mut [[u8; 16]]; N],
) -> [Chain; N] {
    let Some(last) = data[0].len().checked_sub(1) else { return chains };
    let data = data.map(|blocks| &mut blocks[..=last]);
    let mut streams: [Stream; N] = array::from_fn(|j| Stream::new(keys[j], chains[j], &data[j][0]));
    for i in 0..=last {
        rounds::<N, DECRYPT>(&mut streams, keys);
        for j in 0..N {
            // Behind the last block, nothing is made of what is read.
            let next = load(&data[j][last.min(i + 1)]);
            store(&mut data[j][i], streams[j].output(keys[j]));
            streams[j].turn(keys[j], next);
        }
    }
    array::from_fn(|j| Chain { output: load(&data[j][last]), input: streams[j].before })
}

/// All rounds of a block of each stream. The only call is inlined; of two, none would be.
#[inline]
#[target_feature(enable = "aes")]
fn rounds<const N: usize, const DECRYPT: bool>(streams: &mut [Stream; N], keys: [&RoundKeys; N]) {
    for stream in &mut *streams {
        stream.s = round::<DECRYPT>(stream.s, stream.fold);
    }
    // Written out: in a loop over rounds the compiler would keep the states in memory.
    macro_rules! rounds {
        ($($r:literal)*) => { $( for (stream, keys) in streams.iter_mut().zip(keys) {
            stream.s = round::<DECRYPT>(stream.s, keys.0[$r]);
        } )* };
    }
    rounds!(1 2 3 4 5 6 7 8 9 10 11 12);
    for (stream, keys) in streams.iter_mut().zip(keys) {
        stream.s = aes::last::<DECRYPT>(stream.s, keys.0[13]);
    }
}
