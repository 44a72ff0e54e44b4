//! Values that the key exchange derives from its nonces.
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key>.

use zeroize::Zeroize;

use crate::{hash, kdf::AesKeyIv};

/// Which of the three answers to `set_client_DH_params` a nonce hash belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashNumber {
    /// `dh_gen_ok`, `new_nonce_hash1`.
    Ok = 1,
    /// `dh_gen_retry`, `new_nonce_hash2`.
    Retry = 2,
    /// `dh_gen_fail`, `new_nonce_hash3`.
    Fail = 3,
}

/// Derives `tmp_aes_key` and `tmp_aes_iv`, which encrypt the inner data of both sides.
///
/// The IV is the same for every message of the exchange: it is not chained (SEC-40).
///
/// Spec: <https://core.telegram.org/mtproto/auth_key#6-server-responds-with>.
pub fn tmp_aes(new_nonce: &[u8; 32], server_nonce: &[u8; 16]) -> AesKeyIv {
    let mut new_server = hash::sha1(&[new_nonce, server_nonce]);
    let mut server_new = hash::sha1(&[server_nonce, new_nonce]);
    let mut new_new = hash::sha1(&[new_nonce, new_nonce]);
    let mut out = AesKeyIv { key: [0; 32], iv: [0; 32] };
    out.key[..20].copy_from_slice(&new_server);
    out.key[20..].copy_from_slice(&server_new[..12]);
    out.iv[..8].copy_from_slice(&server_new[12..]);
    out.iv[8..28].copy_from_slice(&new_new);
    out.iv[28..].copy_from_slice(&new_nonce[..4]);
    new_server.zeroize();
    server_new.zeroize();
    new_new.zeroize();
    out
}

/// Returns `new_nonce_hash` of `server_DH_params_fail`: bytes 4 to 20 of the SHA-1 of `new_nonce`.
///
/// Spec: <https://core.telegram.org/mtproto/auth_key#5-server-responds-with>.
pub fn new_nonce_hash(new_nonce: &[u8; 32]) -> [u8; 16] {
    lower_128(&hash::sha1(&[new_nonce]))
}

/// Returns `new_nonce_hash1`, `2` or `3`, which proves the answer to `set_client_DH_params`.
///
/// `aux_hash` is [`AuthKey::aux_hash`](crate::AuthKey::aux_hash) of the key that was just agreed on.
///
/// Spec: <https://core.telegram.org/mtproto/auth_key#9-server-responds-in-one-of-three-ways>.
pub fn new_nonce_hash_n(new_nonce: &[u8; 32], n: HashNumber, aux_hash: &[u8; 8]) -> [u8; 16] {
    lower_128(&hash::sha1(&[new_nonce, &[n as u8], aux_hash]))
}

/// Returns the first server salt: the first 8 bytes of both nonces combined by XOR, as a TL `long` (SEC-41).
///
/// Spec: <https://core.telegram.org/mtproto/auth_key#9-server-responds-in-one-of-three-ways>.
pub fn first_salt(new_nonce: &[u8; 32], server_nonce: &[u8; 16]) -> i64 {
    let mut salt = [0; 8];
    for (salt, (a, b)) in salt.iter_mut().zip(new_nonce.iter().zip(server_nonce)) {
        *salt = a ^ b;
    }
    i64::from_le_bytes(salt)
}

/// The "lower-order 128 bits" of a SHA-1: its last 16 bytes.
fn lower_128(digest: &[u8; 20]) -> [u8; 16] {
    *digest.last_chunk().expect("a SHA-1 has more than 16 bytes")
}
