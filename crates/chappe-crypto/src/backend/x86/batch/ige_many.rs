//! AES-256-IGE of independent streams side by side.
//!
//! One stream leaves most of the AES unit idle: each instruction waits for the one before. Four streams fill it with
//! AES-NI; with VAES an instruction takes a round of four streams, and twelve fill it.

use core::arch::x86_64::_mm_setzero_si128;

use super::{
    Narrow, Wide,
    aes::{RoundKeys, decryption_keys, encryption_keys},
    ige::{Chain, last, round},
    ige_wide::{self, Group},
    register::{load, store, xor},
};
use crate::{
    backend::shared::lanes::{Lane, Lanes},
    ige::IgeStream,
};

/// How many streams run at once at most.
const LANES: usize = 12;

/// The state of a stream between two calls of a kernel.
pub(super) struct Cipher {
    pub(super) keys: RoundKeys,
    pub(super) chain: Chain,
}

impl Cipher {
    pub(super) fn new<const DECRYPT: bool>(_proof: Narrow, key: &[u8; 32], iv: &[u8; 32]) -> Self {
        // SAFETY: both need the CPU features that `_proof` proves.
        let keys = unsafe { if DECRYPT { decryption_keys(key) } else { encryption_keys(key) } };
        Self { keys, chain: Chain::new::<DECRYPT>(iv) }
    }
}

/// Works through all streams.
pub(super) fn run<const DECRYPT: bool>(narrow: Narrow, wide: Option<Wide>, streams: &mut [IgeStream<'_>]) {
    let width = match (wide, streams.len()) {
        (None, _) => 4,
        // Twice eight is faster than twelve and four.
        (Some(_), 13..=16) => 8,
        (Some(_), _) => LANES,
    };
    let mut queue = streams.iter_mut().filter_map(|stream| {
        let rest = stream.data.as_chunks_mut().0;
        (!rest.is_empty())
            .then(|| Lane { cipher: Cipher::new::<DECRYPT>(narrow, &stream.key, &stream.iv), rest })
    });
    let mut lanes = Lanes::<Cipher, LANES>::new();
    loop {
        match (wide, lanes.refill(width, &mut queue)) {
            (_, 0) => return,
            (Some(wide), 12..) => advance_wide::<3, DECRYPT>(wide, &mut lanes),
            (Some(wide), 8..) => advance_wide::<2, DECRYPT>(wide, &mut lanes),
            (Some(wide), 4..) => advance_wide::<1, DECRYPT>(wide, &mut lanes),
            (None, 4..) => advance::<4, DECRYPT>(narrow, &mut lanes),
            (_, 3) => advance::<3, DECRYPT>(narrow, &mut lanes),
            (_, 2) => advance::<2, DECRYPT>(narrow, &mut lanes),
            (_, 1) => advance::<1, DECRYPT>(narrow, &mut lanes),
        }
    }
}

/// Runs the first `N` lanes until one of them ends.
fn advance<const N: usize, const DECRYPT: bool>(_proof: Narrow, lanes: &mut Lanes<'_, Cipher, LANES>) {
    let ([mut ciphers], [mut data]) = lanes.take::<N, 1>();
    let blocks = data.first().map_or(0, |blocks| blocks.len());
    let data = data.each_mut().map(|blocks| blocks.as_mut_ptr());
    let keys = ciphers.each_ref().map(|cipher| &cipher.keys);
    let chains = ciphers.each_ref().map(|cipher| cipher.chain);
    // SAFETY: `interleaved` needs the CPU features that `_proof` proves; each pointer was just made from a slice of
    // `blocks` blocks, since `take` returns as many of each stream, and the slices belong to different streams.
    let chains = unsafe { interleaved::<N, DECRYPT>(keys, chains, data, blocks) };
    for (cipher, chain) in ciphers.iter_mut().zip(chains) {
        cipher.chain = chain;
    }
}

/// Runs the first `4 * G` lanes until one of them ends.
fn advance_wide<const G: usize, const DECRYPT: bool>(wide: Wide, lanes: &mut Lanes<'_, Cipher, LANES>) {
    let (mut ciphers, data) = lanes.take::<4, G>();
    let blocks = data.first().map_or(0, |[blocks, ..]| blocks.len());
    let mut groups = (ciphers.each_ref())
        .map(|group| Group::new(wide, group.each_ref().map(|cipher| (&cipher.keys, cipher.chain))));
    ige_wide::run::<G, DECRYPT>(wide, &mut groups, data, blocks);
    for (group, done) in ciphers.iter_mut().zip(&groups) {
        for (cipher, chain) in group.iter_mut().zip(done.chains()) {
            cipher.chain = chain;
        }
    }
}

/// `N` streams, a round of each in turn; the kernel of `ige.rs` otherwise.
///
/// # Safety
///
/// Each of `data` points to `blocks` blocks that nothing else refers to.
#[inline(never)]
#[target_feature(enable = "aes,ssse3")]
unsafe fn interleaved<const N: usize, const DECRYPT: bool>(
    keys: [&RoundKeys; N],
    mut chains: [Chain; N],
    data: [*mut [u8; 16]; N],
    blocks: usize,
) -> [Chain; N] {
    let zero = _mm_setzero_si128();
    if blocks == 0 {
        return chains;
    }
    let (mut s, mut here) = ([zero; N], [zero; N]);
    for j in 0..N {
        // SAFETY: there is at least one block.
        here[j] = load(unsafe { &*data[j] });
        s[j] = xor(xor(here[j], keys[j].0[0]), chains[j].output);
    }
    for i in 0..blocks - 1 {
        for r in 1..14 {
            for j in 0..N {
                s[j] = round::<DECRYPT>(s[j], keys[j].0[r]);
            }
        }
        for j in 0..N {
            // SAFETY: `i + 1 < blocks`.
            let (block, next) = unsafe { (&mut *data[j].add(i), &*data[j].add(i + 1)) };
            let next = load(next);
            let fresh = xor(next, keys[j].0[0]);
            s[j] = last::<DECRYPT>(s[j], xor(xor(chains[j].input, keys[j].0[14]), fresh));
            store(block, xor(s[j], fresh));
            chains[j].input = here[j];
            here[j] = next;
        }
    }
    for r in 1..14 {
        for j in 0..N {
            s[j] = round::<DECRYPT>(s[j], keys[j].0[r]);
        }
    }
    for j in 0..N {
        let output = last::<DECRYPT>(s[j], xor(chains[j].input, keys[j].0[14]));
        // SAFETY: `blocks - 1 < blocks`.
        store(unsafe { &mut *data[j].add(blocks - 1) }, output);
        chains[j] = Chain { output, input: here[j] };
    }
    chains
}
