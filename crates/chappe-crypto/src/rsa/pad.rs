//! `RSA_PAD`: the conversion of up to 144 bytes to a number below the modulus, and back.
//!
//! ```text
//! data_with_padding = data + random bytes                                        192 bytes
//! repeat:
//!     temp_key        = 32 random bytes, new in each round
//!     data_with_hash  = reverse(data_with_padding) + SHA256(temp_key + data_with_padding)
//!     aes_encrypted   = AES256_IGE(data_with_hash, temp_key, iv = 0)             224 bytes
//!     result          = (temp_key XOR SHA256(aes_encrypted)) + aes_encrypted     256 bytes
//! until result < modulus
//! ```
//!
//! <https://core.telegram.org/mtproto/auth_key#41-rsa-paddata-server-public-key-mentioned-above-is-implemented-as-follows>

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{DecryptError, PadError};
use crate::{ct, ige};

/// Length of the longest data that can be encrypted, in bytes.
pub const MAX_DATA_LEN: usize = 144;

pub(super) const PADDED_LEN: usize = 192;

/// Maximum number of random temporary keys. Each is rejected with a probability of at most one half.
const MAX_DRAWS: usize = 128;

const TEMP_KEY_LEN: usize = 32;
const ZERO_IV: [u8; 32] = [0; 32];

/// Pads `data` into a random-looking number below `modulus`.
pub(super) fn pad(
    data: &[u8],
    modulus: &[u8; 256],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Zeroizing<[u8; 256]>, PadError> {
    if data.len() > MAX_DATA_LEN {
        return Err(PadError::TooLong { got: data.len() });
    }
    let mut data_with_padding = Zeroizing::new([0; PADDED_LEN]);
    data_with_padding[..data.len()].copy_from_slice(data);
    rng.fill_bytes(&mut data_with_padding[data.len()..]);
    let mut temp_key = Zeroizing::new([0; TEMP_KEY_LEN]);
    for _ in 0..MAX_DRAWS {
        rng.fill_bytes(&mut *temp_key);
        let number = wrap(&data_with_padding, &temp_key);
        // How far the number agrees with the modulus would reveal bits of `temp_key`.
        if ct::is_less(&number, modulus) {
            return Ok(number);
        }
    }
    Err(PadError::Randomness)
}

fn wrap(data_with_padding: &[u8; PADDED_LEN], temp_key: &[u8; TEMP_KEY_LEN]) -> Zeroizing<[u8; 256]> {
    let mut number = Zeroizing::new([0; 256]);
    let (key_part, encrypted) = number.split_at_mut(TEMP_KEY_LEN);
    let (reversed, hash) = encrypted.split_at_mut(PADDED_LEN);
    reversed.copy_from_slice(data_with_padding);
    reversed.reverse();
    hash.copy_from_slice(&keyed_hash(temp_key, data_with_padding));
    ige::encrypt(temp_key, &ZERO_IV, encrypted).expect("224 bytes are 14 blocks");
    key_part.copy_from_slice(&Sha256::digest(&*encrypted));
    xor_into(key_part, temp_key);
    number
}

/// Reverses [`pad`]: returns the 192 bytes that start with the data.
///
/// The time taken does not depend on whether the hash is right.
pub(super) fn unpad(mut number: Zeroizing<[u8; 256]>) -> Result<Zeroizing<[u8; PADDED_LEN]>, DecryptError> {
    let (key_part, encrypted) = number.split_at_mut(TEMP_KEY_LEN);
    let mut temp_key = Zeroizing::new([0; TEMP_KEY_LEN]);
    temp_key.copy_from_slice(&Sha256::digest(&*encrypted));
    xor_into(&mut *temp_key, key_part);
    ige::decrypt(&temp_key, &ZERO_IV, encrypted).expect("224 bytes are 14 blocks");
    let (reversed, hash) = encrypted.split_at(PADDED_LEN);
    let mut data_with_padding = Zeroizing::new([0; PADDED_LEN]);
    data_with_padding.copy_from_slice(reversed);
    data_with_padding.reverse();
    let mut expected = keyed_hash(&temp_key, &data_with_padding);
    let genuine = ct::eq(&expected, hash);
    expected.zeroize();
    if genuine { Ok(data_with_padding) } else { Err(DecryptError) }
}

fn keyed_hash(temp_key: &[u8; TEMP_KEY_LEN], data_with_padding: &[u8; PADDED_LEN]) -> [u8; 32] {
    Sha256::new().chain_update(temp_key).chain_update(data_with_padding).finalize().into()
}

fn xor_into(target: &mut [u8], mask: &[u8]) {
    target.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}
