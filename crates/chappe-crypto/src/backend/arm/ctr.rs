//! AES-256-CTR, eight blocks in parallel: as many as the latency of an AES round has room for.

use super::{
    Narrow,
    aes::{RoundKeys, encryption_keys, last, round},
    register::{load, store, xor},
};

/// An expanded key, and the proof that it can be used.
#[derive(Clone)]
pub(crate) struct CtrKey {
    keys: RoundKeys,
    _proof: Narrow,
}

impl CtrKey {
    pub(super) fn new(proof: Narrow, key: &[u8; 32]) -> Self {
        // SAFETY: `encryption_keys` needs the CPU features that `proof` proves.
        let keys = unsafe { encryption_keys(key) };
        Self { keys, _proof: proof }
    }

    /// XORs the keystream that starts with `counter` onto whole batches of eight blocks.
    pub(crate) fn apply(&self, counter: u128, batches: &mut [[u8; 128]]) {
        // SAFETY: `apply` needs the CPU features whose proof stands beside the key.
        unsafe { apply(&self.keys, counter, batches) }
    }
}

#[target_feature(enable = "aes")]
fn apply(keys: &RoundKeys, mut counter: u128, batches: &mut [[u8; 128]]) {
    let k = &keys.0;
    for batch in batches {
        let mut states = [k[0]; 8];
        for state in &mut states {
            *state = load(&counter.to_be_bytes());
            counter = counter.wrapping_add(1);
        }
        for key in &k[..13] {
            for state in &mut states {
                *state = round::<false>(*state, *key);
            }
        }
        let (blocks, _) = batch.as_chunks_mut();
        for (block, state) in blocks.iter_mut().zip(states) {
            let folded = xor(k[14], load(block));
            store(block, xor(last::<false>(state, k[13]), folded));
        }
    }
}
