//! AES-256-CTR, eight blocks in parallel: as many as the latency of an AES round has room for.

use core::arch::x86_64::{_mm_aesenc_si128, _mm_aesenclast_si128};

use super::{
    Narrow,
    aes::{RoundKeys, encryption_keys},
    register::{load, store, xor},
};

/// An expanded key, and the proof that it can be used.
#[derive(Clone)]
pub(crate) struct CtrKey {
    keys: RoundKeys,
    proof: Narrow,
}

impl CtrKey {
    pub(super) fn new(proof: Narrow, key: &[u8; 32]) -> Self {
        // SAFETY: `encryption_keys` needs the CPU features that `proof` proves.
        let keys = unsafe { encryption_keys(key) };
        Self { keys, proof }
    }

    /// XORs the keystream that starts with `counter` onto whole batches of eight blocks.
    pub(crate) fn apply(&self, counter: u128, batches: &mut [[u8; 128]]) {
        self.proof.clean_uppers();
        // SAFETY: `apply` needs the CPU features whose proof stands beside the key.
        unsafe { apply(&self.keys, counter, batches) }
    }
}

#[target_feature(enable = "aes,ssse3")]
fn apply(keys: &RoundKeys, mut counter: u128, batches: &mut [[u8; 128]]) {
    let k = &keys.0;
    for batch in batches {
        let mut states = [k[0]; 8];
        for state in &mut states {
            *state = xor(*state, load(&counter.to_be_bytes()));
            counter = counter.wrapping_add(1);
        }
        for key in &k[1..14] {
            for state in &mut states {
                *state = _mm_aesenc_si128(*state, *key);
            }
        }
        let (blocks, _) = batch.as_chunks_mut();
        for (block, state) in blocks.iter_mut().zip(states) {
            // The last round key takes the data with it.
            let folded = xor(k[14], load(block));
            store(block, _mm_aesenclast_si128(state, folded));
        }
    }
}
