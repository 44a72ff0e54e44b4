//! AES-256-IGE in place, of one stream or of several independent ones.
//!
//! `c[i] = E(p[i] ^ c[i-1]) ^ p[i-1]`, where the first half of the IV stands for `c[-1]` and the second for
//! `p[-1]` (the convention of OpenSSL's `AES_ige_encrypt`). The mode pads nothing and proves nothing: every
//! use in the protocol checks a hash of the plaintext.
//!
//! Spec: <https://core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector>.

use core::fmt;

use crate::{backend::Backend, wipe::wipe};

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

/// A stream for [`encrypt_many`] or [`decrypt_many`]: key, IV and data of its own. Key and IV are wiped when
/// dropped.
pub struct Stream<'a> {
    pub(crate) key: [u8; 32],
    pub(crate) iv: [u8; 32],
    pub(crate) data: &'a mut [u8],
}

impl<'a> Stream<'a> {
    /// Describes a stream: the arguments of [`encrypt`].
    ///
    /// # Errors
    ///
    /// Fails if the length of `data` is not a multiple of 16.
    pub fn new(key: &[u8; 32], iv: &[u8; 32], data: &'a mut [u8]) -> Result<Self, LengthError> {
        check_length(data.len())?;
        Ok(Self { key: *key, iv: *iv, data })
    }

    /// No stream, for a place that is filled later.
    pub(crate) const fn empty() -> Self {
        Self { key: [0; 32], iv: [0; 32], data: &mut [] }
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        wipe(&mut self.key);
        wipe(&mut self.iv);
    }
}

impl fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("len", &self.data.len()).finish_non_exhaustive()
    }
}

/// Encrypts every stream in place, several at once: one stream cannot use more than a fraction of the CPU's unit.
///
/// ```
/// use chappe_crypto::ige::{self, Stream};
///
/// let mut parts = [[1; 48], [2; 48], [3; 48], [4; 48]];
/// let mut streams: Vec<_> =
///     parts.iter_mut().map(|part| Stream::new(&[5; 32], &[6; 32], part)).collect::<Result<_, _>>()?;
/// ige::encrypt_many(&mut streams);
/// ige::decrypt_many(&mut streams);
/// drop(streams);
/// assert_eq!(parts, [[1; 48], [2; 48], [3; 48], [4; 48]]);
/// # Ok::<(), ige::LengthError>(())
/// ```
pub fn encrypt_many(streams: &mut [Stream<'_>]) {
    encrypt_many_with(Backend::detect(), streams);
}

/// Decrypts every stream in place, several at once.
pub fn decrypt_many(streams: &mut [Stream<'_>]) {
    decrypt_many_with(Backend::detect(), streams);
}

/// [`encrypt_many`] by a chosen implementation.
pub fn encrypt_many_with(backend: Backend, streams: &mut [Stream<'_>]) {
    backend.ige_encrypt_many(streams);
}

/// [`decrypt_many`] by a chosen implementation.
pub fn decrypt_many_with(backend: Backend, streams: &mut [Stream<'_>]) {
    backend.ige_decrypt_many(streams);
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
