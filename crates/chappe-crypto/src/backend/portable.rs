//! The portable path: RustCrypto, and the oracle for every kernel beside it.

use aes::Aes256;
use cipher::{Array, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::kdf::AesKeyIv;

pub(crate) fn ige_encrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    ige::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_blocks(blocks);
}

pub(crate) fn ige_decrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    ige::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_blocks(blocks);
}

/// An expanded key for CTR mode.
#[derive(Clone)]
pub(crate) struct CtrKey(Aes256);

impl CtrKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Aes256::new(key.into()))
    }

    /// XORs the keystream that starts with `counter` onto whole batches of eight blocks.
    pub(crate) fn apply(&self, mut counter: u128, batches: &mut [[u8; 128]]) {
        let mut keystream = [0; 128];
        for batch in batches {
            let (blocks, _) = Array::slice_as_chunks_mut(&mut keystream);
            for block in &mut *blocks {
                *block = counter.to_be_bytes().into();
                counter = counter.wrapping_add(1);
            }
            self.0.encrypt_blocks(blocks);
            for (byte, key) in batch.iter_mut().zip(&keystream) {
                *byte ^= key;
            }
        }
        keystream.zeroize();
    }
}

pub(crate) fn sha256_prefixed(prefix: &[u8; 32], data: &[[u8; 16]]) -> [u8; 32] {
    Sha256::new().chain_update(prefix).chain_update(data.as_flattened()).finalize().into()
}

/// Replaces every byte by its AND with `mask`.
pub(crate) fn mask(mask: u8, data: &mut [[u8; 16]]) {
    for byte in data.as_flattened_mut() {
        *byte &= mask;
    }
}

pub(crate) fn kdf_v2(secret: &[u8; 256], x: usize, msg_key: &[u8; 16]) -> AesKeyIv {
    let mut a = Sha256::new().chain_update(msg_key).chain_update(&secret[x..x + 36]).finalize();
    let mut b = Sha256::new().chain_update(&secret[40 + x..76 + x]).chain_update(msg_key).finalize();
    let mut out = AesKeyIv { key: [0; 32], iv: [0; 32] };
    out.key[..8].copy_from_slice(&a[..8]);
    out.key[8..24].copy_from_slice(&b[8..24]);
    out.key[24..].copy_from_slice(&a[24..]);
    out.iv[..8].copy_from_slice(&b[..8]);
    out.iv[8..24].copy_from_slice(&a[8..24]);
    out.iv[24..].copy_from_slice(&b[24..]);
    a.zeroize();
    b.zeroize();
    out
}

pub(crate) fn ige_decrypt_sha256(
    key: &[u8; 32],
    iv: &[u8; 32],
    prefix: &[u8; 32],
    data: &mut [[u8; 16]],
) -> [u8; 32] {
    ige_decrypt(key, iv, data.as_flattened_mut());
    sha256_prefixed(prefix, data)
}
