//! AES-256-IGE of independent streams side by side.
//!
//! One stream leaves most of the AES unit idle: each instruction waits for the one before. Four streams fill it with
//! AES-NI; with VAES an instruction takes a round of four streams, and twelve fill it.
//!
//! Streams of unequal length: all lanes advance by what the shortest of them has left, then finished lanes are
//! filled from the queue. The last streams run with fewer beside them.

use core::{arch::x86_64::_mm_setzero_si128, array};

use super::{
    Ni, Wide,
    aes::{RoundKeys, decryption_keys, encryption_keys},
    ige::{Chain, last, round},
    ige_wide,
    register::{load, store, xor},
};
use crate::ige::IgeStream;

/// How many streams run at once at most.
const LANES: usize = 12;

/// A stream under way.
pub(super) struct Lane<'a> {
    pub(super) keys: RoundKeys,
    pub(super) chain: Chain,
    pub(super) rest: &'a mut [[u8; 16]],
}

impl<'a> Lane<'a> {
    pub(super) fn new<const DECRYPT: bool>(
        _proof: Ni,
        key: &[u8; 32],
        iv: &[u8; 32],
        rest: &'a mut [[u8; 16]],
    ) -> Self {
        // SAFETY: both need the CPU features that `_proof` proves.
        let keys = unsafe { if DECRYPT { decryption_keys(key) } else { encryption_keys(key) } };
        Self { keys, chain: Chain::new::<DECRYPT>(iv), rest }
    }
}

/// Works through all streams.
pub(super) fn run<const DECRYPT: bool>(ni: Ni, wide: Option<Wide>, streams: &mut [IgeStream<'_>]) {
    let width = match (wide, streams.len()) {
        (None, _) => 4,
        // Twice eight is faster than twelve and four.
        (Some(_), 13..=16) => 8,
        (Some(_), _) => LANES,
    };
    let mut queue = streams.iter_mut().filter_map(|stream| {
        let blocks = stream.data.as_chunks_mut().0;
        (!blocks.is_empty()).then(|| Lane::new::<DECRYPT>(ni, &stream.key, &stream.iv, blocks))
    });
    let mut lanes = [const { None }; LANES];
    let mut active = 0;
    loop {
        while active < width
            && let Some(lane) = queue.next()
        {
            lanes[active] = Some(lane);
            active += 1;
        }
        match (wide, active) {
            (_, 0) => return,
            (Some(wide), 12..) => advance_wide::<3, DECRYPT>(wide, &mut lanes),
            (Some(wide), 8..) => advance_wide::<2, DECRYPT>(wide, &mut lanes),
            (Some(wide), 4..) => advance_wide::<1, DECRYPT>(wide, &mut lanes),
            (None, 4..) => advance::<4, DECRYPT>(ni, &mut lanes),
            (_, 3) => advance::<3, DECRYPT>(ni, &mut lanes),
            (_, 2) => advance::<2, DECRYPT>(ni, &mut lanes),
            (_, 1) => advance::<1, DECRYPT>(ni, &mut lanes),
        }
        active = remove_finished(&mut lanes, active);
    }
}

/// Moves the lanes that are not finished to the front; returns how many they are.
fn remove_finished(lanes: &mut [Option<Lane<'_>>; LANES], mut active: usize) -> usize {
    let mut i = 0;
    while i < active {
        if lanes[i].as_ref().is_some_and(|lane| !lane.rest.is_empty()) {
            i += 1;
        } else {
            active -= 1;
            lanes.swap(i, active);
            lanes[active] = None;
        }
    }
    active
}

/// The first `N` lanes, and how many blocks the shortest of them has left.
fn first_lanes<'l, 'a, const N: usize>(
    lanes: &'l mut [Option<Lane<'a>>; LANES],
) -> ([&'l mut Lane<'a>; N], usize) {
    let mut lanes = lanes.iter_mut().flatten();
    let lanes: [_; N] = array::from_fn(|_| lanes.next().expect("the caller counted the lanes"));
    let blocks = lanes.iter().map(|lane| lane.rest.len()).min().unwrap_or(0);
    (lanes, blocks)
}

/// Takes the next `count` blocks off the front of a lane.
fn take<'a>(lane: &mut Lane<'a>, count: usize) -> &'a mut [[u8; 16]] {
    let (now, later) = core::mem::take(&mut lane.rest).split_at_mut(count);
    lane.rest = later;
    now
}

/// Runs the first `N` lanes until one of them ends.
fn advance<const N: usize, const DECRYPT: bool>(_proof: Ni, lanes: &mut [Option<Lane<'_>>; LANES]) {
    let (mut lanes, blocks) = first_lanes::<N>(lanes);
    let data = lanes.each_mut().map(|lane| take(lane, blocks).as_mut_ptr());
    let keys = lanes.each_ref().map(|lane| &lane.keys);
    let chains = lanes.each_ref().map(|lane| lane.chain);
    // SAFETY: `interleaved` needs the CPU features that `_proof` proves; each pointer was just made from a slice of
    // `blocks` blocks, and the slices belong to different streams.
    let chains = unsafe { interleaved::<N, DECRYPT>(keys, chains, data, blocks) };
    for (lane, chain) in lanes.into_iter().zip(chains) {
        lane.chain = chain;
    }
}

/// Runs the first `4 * G` lanes until one of them ends.
fn advance_wide<const G: usize, const DECRYPT: bool>(wide: Wide, lanes: &mut [Option<Lane<'_>>; LANES]) {
    let mut lanes = lanes.iter_mut().flatten();
    let mut groups: [[&mut Lane<'_>; 4]; G] =
        array::from_fn(|_| array::from_fn(|_| lanes.next().expect("the caller counted the lanes")));
    let blocks = groups.iter().flatten().map(|lane| lane.rest.len()).min().unwrap_or(0);
    let data = groups.each_mut().map(|group| group.each_mut().map(|lane| take(lane, blocks)));
    let mut wide_groups = groups
        .each_ref()
        .map(|group| ige_wide::Group::new(wide, group.each_ref().map(|lane| (&lane.keys, lane.chain))));
    ige_wide::run::<G, DECRYPT>(wide, &mut wide_groups, data, blocks);
    for (group, done) in groups.into_iter().zip(&wide_groups) {
        for (lane, chain) in group.into_iter().zip(done.chains()) {
            lane.chain = chain;
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
