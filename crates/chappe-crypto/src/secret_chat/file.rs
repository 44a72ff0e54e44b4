//! Files of a secret chat: each has a fresh key and IV, whose fingerprint detects changes.
//!
//! Spec: <https://core.telegram.org/api/end-to-end#sending-encrypted-files>.

use core::fmt;

use md5::{Digest, Md5};
use zeroize::Zeroize;

use crate::ige::{self, LengthError};

/// `key_fingerprint` of an encrypted file: 4 bytes, a TL `int`. Not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileFingerprint(i32);

impl FileFingerprint {
    /// Takes the TL `int`.
    pub const fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// Returns the TL `int`.
    pub const fn to_raw(self) -> i32 {
        self.0
    }
}

/// Key and IV of one file. Wiped on drop and redacted in `Debug`.
#[derive(Clone)]
pub struct EncryptedFileKey {
    key: [u8; 32],
    iv: [u8; 32],
}

impl EncryptedFileKey {
    /// Creates the key of a file to send from a fresh random key and IV.
    pub const fn new(key: [u8; 32], iv: [u8; 32]) -> Self {
        Self { key, iv }
    }

    /// Creates the key of a received file and checks its fingerprint (SEC-172).
    ///
    /// # Errors
    ///
    /// Fails if the fingerprint does not match. Reject the file.
    pub fn verified(
        key: [u8; 32],
        iv: [u8; 32],
        fingerprint: FileFingerprint,
    ) -> Result<Self, FileKeyMismatch> {
        let file_key = Self::new(key, iv);
        let computed = file_key.fingerprint();
        if computed == fingerprint {
            return Ok(file_key);
        }
        Err(FileKeyMismatch { got: fingerprint, computed })
    }

    /// Returns the first 4 bytes of the MD5 of key and IV, XOR the next 4.
    pub fn fingerprint(&self) -> FileFingerprint {
        let [a, b, c, d, e, f, g, h, ..]: [u8; 16] =
            Md5::new().chain_update(self.key).chain_update(self.iv).finalize().into();
        FileFingerprint(i32::from_le_bytes([a ^ e, b ^ f, c ^ g, d ^ h]))
    }

    /// Encrypts a whole file in place.
    ///
    /// # Errors
    ///
    /// Fails if the length is not a multiple of 16; the caller pads.
    pub fn encrypt(&self, data: &mut [u8]) -> Result<(), LengthError> {
        ige::encrypt(&self.key, &self.iv, data)
    }

    /// Decrypts a whole file in place.
    ///
    /// # Errors
    ///
    /// Fails if the length is not a multiple of 16.
    pub fn decrypt(&self, data: &mut [u8]) -> Result<(), LengthError> {
        ige::decrypt(&self.key, &self.iv, data)
    }
}

impl Drop for EncryptedFileKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.iv.zeroize();
    }
}

impl fmt::Debug for EncryptedFileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedFileKey").finish_non_exhaustive()
    }
}

/// The fingerprint sent with a file is not that of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKeyMismatch {
    /// The peer's fingerprint.
    pub got: FileFingerprint,
    /// The fingerprint of the key.
    pub computed: FileFingerprint,
}

impl fmt::Display for FileKeyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file key fingerprint {:08x}, not {:08x}", self.computed.0, self.got.0)
    }
}

impl core::error::Error for FileKeyMismatch {}
