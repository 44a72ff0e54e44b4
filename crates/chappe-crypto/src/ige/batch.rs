//! Several independent IGE streams at once.

use core::fmt;

use super::{LengthError, check_length};
use crate::{backend::Backend, wipe::wipe};

/// A stream for [`encrypt_many`] or [`decrypt_many`]: its key, IV and data. Key and IV are wiped on drop.
pub struct IgeStream<'a> {
    pub(crate) key: [u8; 32],
    pub(crate) iv: [u8; 32],
    pub(crate) data: &'a mut [u8],
}

impl<'a> IgeStream<'a> {
    /// Describes a stream: the arguments of [`encrypt`](super::encrypt).
    ///
    /// # Errors
    ///
    /// Fails if the length of `data` is not a multiple of 16.
    pub fn new(key: &[u8; 32], iv: &[u8; 32], data: &'a mut [u8]) -> Result<Self, LengthError> {
        check_length(data.len())?;
        Ok(Self { key: *key, iv: *iv, data })
    }

    /// Returns a stream without data, for a slot of an array that is filled later.
    pub(crate) const fn empty() -> Self {
        Self { key: [0; 32], iv: [0; 32], data: &mut [] }
    }
}

impl Drop for IgeStream<'_> {
    fn drop(&mut self) {
        wipe(&mut self.key);
        wipe(&mut self.iv);
    }
}

impl fmt::Debug for IgeStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IgeStream").field("len", &self.data.len()).finish_non_exhaustive()
    }
}

/// Encrypts every stream in place, several at once.
///
/// One stream uses only a fraction of the CPU's AES unit, because each block depends on the one before.
///
/// ```
/// use chappe_crypto::ige::{self, IgeStream};
///
/// let mut parts = [[1; 48], [2; 48], [3; 48], [4; 48]];
/// let mut streams: Vec<_> =
///     parts.iter_mut().map(|part| IgeStream::new(&[5; 32], &[6; 32], part)).collect::<Result<_, _>>()?;
/// ige::encrypt_many(&mut streams);
/// ige::decrypt_many(&mut streams);
/// drop(streams);
/// assert_eq!(parts, [[1; 48], [2; 48], [3; 48], [4; 48]]);
/// # Ok::<(), ige::LengthError>(())
/// ```
pub fn encrypt_many(streams: &mut [IgeStream<'_>]) {
    encrypt_many_with(Backend::detect(), streams);
}

/// Decrypts every stream in place, several at once.
pub fn decrypt_many(streams: &mut [IgeStream<'_>]) {
    decrypt_many_with(Backend::detect(), streams);
}

/// [`encrypt_many`] by a chosen implementation.
pub fn encrypt_many_with(backend: Backend, streams: &mut [IgeStream<'_>]) {
    backend.ige_encrypt_many(streams);
}

/// [`decrypt_many`] by a chosen implementation.
pub fn decrypt_many_with(backend: Backend, streams: &mut [IgeStream<'_>]) {
    backend.ige_decrypt_many(streams);
}
