//! The encrypted objects inside the exchange: `server_DH_inner_data` and `client_DH_inner_data`.
//!
//! ```text
//! encrypted = AES-256-IGE(tmp_aes_key, tmp_aes_iv, SHA1(object) 20 | object | padding 0..=15)
//! ```
//!
//! **Invariant:** no field of an object is used before its hash is compared (SEC-27, SEC-52).
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key#server-responds-in-two-ways>.

use alloc::vec::Vec;

use chappe_crypto::kdf::AesKeyIv;
use chappe_crypto::{ct, hash, ige};
use chappe_tl::deserialize::Cursor;
use chappe_tl::{Deserializable, EncodeError, Serializable};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const HASH_LEN: usize = 20;
const BLOCK: usize = 16;

/// Why an encrypted object was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InnerError {
    /// The ciphertext is empty, not made of whole blocks, or too short to hold a hash.
    Length,
    /// The object, its hash or its padding is wrong. One variant for all causes, so that the error is no oracle.
    Content,
}

/// Encrypts an object with its hash in front and 0 to 15 random bytes after it.
pub(crate) fn seal(
    object: &impl Serializable,
    key: &AesKeyIv,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, EncodeError> {
    let unpadded = HASH_LEN + object.serialized_len();
    let mut data = Vec::with_capacity(unpadded.next_multiple_of(BLOCK));
    data.resize(HASH_LEN, 0);
    object.serialize(&mut data)?;
    let digest = hash::sha1(&[&data[HASH_LEN..]]);
    data[..HASH_LEN].copy_from_slice(&digest);
    data.resize(data.len().next_multiple_of(BLOCK), 0);
    rng.fill_bytes(&mut data[unpadded..]);
    ige::encrypt(&key.key, &key.iv, &mut data).expect("the data was padded to whole blocks");
    Ok(data)
}

/// Decrypts an object and checks its hash and the length of its padding.
pub(crate) fn open<T: Deserializable>(encrypted: &[u8], key: &AesKeyIv) -> Result<T, InnerError> {
    // The caller keeps the encrypted bytes to recognise repeats, so a copy is decrypted.
    let mut data = Zeroizing::new(encrypted.to_vec());
    if data.len() <= HASH_LEN {
        return Err(InnerError::Length);
    }
    ige::decrypt(&key.key, &key.iv, &mut data).map_err(|_| InnerError::Length)?;
    let (claimed, rest) = data.split_at(HASH_LEN);
    let mut cursor = Cursor::from_slice(rest);
    let object = T::deserialize(&mut cursor).map_err(|_| InnerError::Content)?;
    let (object_bytes, padding) = rest.split_at(cursor.pos());
    if !ct::eq(&hash::sha1(&[object_bytes]), claimed) || padding.len() >= BLOCK {
        return Err(InnerError::Content);
    }
    Ok(object)
}
