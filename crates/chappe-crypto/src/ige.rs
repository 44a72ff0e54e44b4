//! AES-256-IGE in place.
//!
//! `c[i] = E(p[i] ^ c[i-1]) ^ p[i-1]`, where the first half of the IV is `c[-1]` and the second is `p[-1]` (the
//! convention of OpenSSL's `AES_ige_encrypt`). The mode neither pads nor authenticates: every use in the protocol
//! checks a hash of the plaintext. With the feature `batch`, `encrypt_many` and `decrypt_many` process several
//! independent streams together.
//!
//! Spec: <https://core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector>.

#[cfg(feature = "batch")]
pub(crate) mod batch;

use core::fmt;

#[cfg(feature = "batch")]
pub use self::batch::{IgeStream, decrypt_many, encrypt_many};
use crate::backend::Backend;

/// Length of a block in bytes.
pub const BLOCK_LEN: usize = 16;

/// Encrypts `data` in place. Nothing happens to an empty slice.
///
/// # Errors
///
/// Fails, and leaves `data` as it was, if its length is not a multiple of 16.
///
/// ```
/// use chappe_crypto::ige;
///
/// let mut data = [1; 48];
/// ige::encrypt(&[2; 32], &[3; 32], &mut data)?;
/// ige::decrypt(&[2; 32], &[3; 32], &mut data)?;
/// assert_eq!(data, [1; 48]);
/// # Ok::<(), ige::LengthError>(())
/// ```
pub fn encrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) -> Result<(), LengthError> {
    check_length(data.len())?;
    Backend::detect().ige_encrypt(key, iv, data);
    Ok(())
}

/// Decrypts `data` in place. Nothing happens to an empty slice.
///
/// # Errors
///
/// Fails, and leaves `data` as it was, if its length is not a multiple of 16.
pub fn decrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) -> Result<(), LengthError> {
    check_length(data.len())?;
    Backend::detect().ige_decrypt(key, iv, data);
    Ok(())
}

fn check_length(len: usize) -> Result<(), LengthError> {
    if len.is_multiple_of(BLOCK_LEN) { Ok(()) } else { Err(LengthError { len }) }
}

/// The data is not a whole number of 16-byte blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthError {
    /// Length of the data in bytes.
    pub len: usize,
}

impl fmt::Display for LengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a length of {} bytes is not a multiple of 16", self.len)
    }
}

impl core::error::Error for LengthError {}
