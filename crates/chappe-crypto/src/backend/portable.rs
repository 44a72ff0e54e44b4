//! The portable path: RustCrypto, and the oracle for every kernel beside it.

use aes::Aes256;
use cipher::{Array, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use sha2::{Digest, Sha256};

/// Encrypts whole blocks in place with AES-256-IGE.
pub(crate) fn ige_encrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    ige::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_blocks(blocks);
}

/// Decrypts whole blocks in place with AES-256-IGE.
pub(crate) fn ige_decrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    ige::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_blocks(blocks);
}

/// An expanded key for [`ctr_keystream`].
pub(crate) fn ctr_key(key: &[u8; 32]) -> Aes256 {
    Aes256::new(key.into())
}

/// Writes eight blocks of keystream, the first of them for `counter`.
pub(crate) fn ctr_keystream(key: &Aes256, counter: u128, out: &mut [u8; 128]) {
    let (blocks, _) = Array::slice_as_chunks_mut(out);
    for (block, i) in blocks.iter_mut().zip(0..) {
        *block = counter.wrapping_add(i).to_be_bytes().into();
    }
    key.encrypt_blocks(blocks);
}

/// Returns the SHA-256 of `prefix` followed by `data`.
pub(crate) fn sha256_prefixed(prefix: &[u8; 32], data: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(prefix).chain_update(data).finalize().into()
}

/// Returns the SHA-256 of each of two inputs of 52 bytes.
pub(crate) fn sha256_pair(a: &[u8; 52], b: &[u8; 52]) -> ([u8; 32], [u8; 32]) {
    (Sha256::digest(a).into(), Sha256::digest(b).into())
}

/// Decrypts in place and returns the SHA-256 of `prefix` followed by what was decrypted.
pub(crate) fn ige_decrypt_sha256(
    key: &[u8; 32],
    iv: &[u8; 32],
    prefix: &[u8; 32],
    data: &mut [u8],
) -> [u8; 32] {
    ige_decrypt(key, iv, data);
    sha256_prefixed(prefix, data)
}
