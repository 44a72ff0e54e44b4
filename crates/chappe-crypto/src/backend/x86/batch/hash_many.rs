//! The hash of sixteen messages at once, alone and with their decryption.
//!
//! ```text
//! decrypt two blocks of each, which with its prefix are its first hash block
//! repeat over what all have in common, in stretches that stay in the first-level cache:
//!     decrypt the stretch of every message (VAES), hash it (AVX-512)
//! finish each message by itself (AES-NI, SHA-NI)
//! ```
//!
//! Twelve messages run with four lanes of the hash unused. With fewer, or with lengths too unequal, one after the
//! other is faster.

use core::array;

use super::{
    Wide, ige,
    ige_many::Cipher,
    ige_wide, sha256,
    sha256_wide::{LANES, States},
};
use crate::backend::batch::MessageStream;

/// With fewer messages the lanes left empty cost more than the others gain.
const MIN_MESSAGES: usize = 12;
/// The shortest message must have this part of the longest.
const MIN_SHARE: usize = 2;
/// How many hash blocks of each message are taken in turn: 16 KiB for all, a third of a first-level cache.
const STRETCH: usize = 16;
/// Blocks of the cipher that complete the first hash block behind the prefix.
const FIRST: usize = 2;

/// Hashes every message behind its prefix.
pub(super) fn prefixed(wide: Wide, messages: &mut [MessageStream<'_>]) {
    for batch in messages.chunks_mut(LANES) {
        let Some(common) = common_blocks(batch) else {
            for message in batch {
                message.digest = wide.0.sha256_prefixed(message.prefix, message.data);
            }
            continue;
        };
        let mut states = States::new(wide);
        hash_first(wide, &mut states, batch);
        let end = FIRST + 4 * common;
        states.compress(wide, lanes(batch, |message| message.data[FIRST..end].as_flattened().as_chunks().0));
        finish(wide, &states, batch, end);
    }
}

/// Decrypts every message in place, and hashes what was decrypted behind its prefix.
pub(super) fn decrypt(wide: Wide, mut messages: &mut [MessageStream<'_>]) {
    while !messages.is_empty() {
        let count = match messages.len() {
            16.. => 16,
            12.. => 12,
            few => few,
        };
        let (batch, rest) = messages.split_at_mut(count);
        match (common_blocks(batch), count) {
            (Some(common), 16) => decrypt_batch::<2, 2>(wide, batch, common),
            (Some(common), 12) => decrypt_batch::<1, 3>(wide, batch, common),
            _ => batch.iter_mut().for_each(|message| {
                message.digest =
                    wide.0.ige_decrypt_sha256(&message.key, &message.iv, message.prefix, message.data);
            }),
        }
        messages = rest;
    }
}

/// Decrypts and hashes `4 * G * H` messages that have `common` hash blocks behind the first; `4 * G` are decrypted
/// together.
fn decrypt_batch<const H: usize, const G: usize>(wide: Wide, batch: &mut [MessageStream<'_>], common: usize) {
    let mut states = States::new(wide);
    let mut parts: [[_; G]; H] = array::from_fn(|h| {
        array::from_fn(|g| {
            let ciphers: [_; 4] = array::from_fn(|j| {
                let message = &batch[4 * (G * h + g) + j];
                Cipher::new::<true>(wide.0, &message.key, &message.iv)
            });
            ige_wide::Group::new(wide, ciphers.each_ref().map(|cipher| (&cipher.keys, cipher.chain)))
        })
    });
    decrypt_range(wide, &mut parts, batch, 0, FIRST);
    hash_first(wide, &mut states, batch);
    let (mut done, end) = (FIRST, FIRST + 4 * common);
    while done < end {
        let next = end.min(done + 4 * STRETCH);
        decrypt_range(wide, &mut parts, batch, done, next);
        states.compress(wide, lanes(batch, |message| message.data[done..next].as_flattened().as_chunks().0));
        done = next;
    }
    for (message, chain) in batch.iter_mut().zip(parts.iter().flatten().flat_map(ige_wide::Group::chains)) {
        let cipher = Cipher::new::<true>(wide.0, &message.key, &message.iv);
        ige::resume::<true>(wide.0, &cipher.keys, chain, &mut message.data[end..]);
    }
    finish(wide, &states, batch, end);
}

/// Decrypts the blocks from `start` to `end` of every message.
fn decrypt_range<const H: usize, const G: usize>(
    wide: Wide,
    parts: &mut [[ige_wide::Group; G]; H],
    batch: &mut [MessageStream<'_>],
    start: usize,
    end: usize,
) {
    let mut messages = batch.iter_mut().map(|message| &mut message.data[start..end]);
    for groups in parts {
        let data = array::from_fn(|_| {
            array::from_fn(|_| messages.next().expect("the batch has 4 messages to a group"))
        });
        ige_wide::run::<G, true>(wide, groups, data, end - start);
    }
}

/// How many hash blocks every message has whole behind the first, if running them together pays.
fn common_blocks(batch: &[MessageStream<'_>]) -> Option<usize> {
    let lens = || batch.iter().map(|message| message.data.len());
    let (shortest, longest) = (lens().min()?, lens().max()?);
    let pays = batch.len() >= MIN_MESSAGES && shortest * MIN_SHARE >= longest;
    let common = shortest.checked_sub(FIRST)? / 4;
    (pays && common > 0).then_some(common)
}

/// Something of each message; lanes without a message repeat the first.
fn lanes<'a, T: 'a>(batch: &'a [MessageStream<'_>], of: impl Fn(&'a MessageStream<'_>) -> T) -> [T; LANES] {
    array::from_fn(|j| of(batch.get(j).unwrap_or(&batch[0])))
}

/// Hashes the first block of each message: its prefix and two blocks.
fn hash_first(wide: Wide, states: &mut States, batch: &[MessageStream<'_>]) {
    let blocks: [[u8; 64]; LANES] = lanes(batch, |message| {
        let mut block = [0; 64];
        block[..32].copy_from_slice(message.prefix);
        block[32..].copy_from_slice(message.data[..FIRST].as_flattened());
        block
    });
    states.compress(wide, blocks.each_ref().map(array::from_ref).map(|block| &block[..]));
}

/// Hashes what each message has from block `start` on, and its padding.
fn finish(wide: Wide, states: &States, batch: &mut [MessageStream<'_>], start: usize) {
    for (message, words) in batch.iter_mut().zip(states.words()) {
        let total = 32 + 16 * message.data.len();
        message.digest = sha256::finish_from(wide.0, words, &message.data[start..], total);
    }
}
