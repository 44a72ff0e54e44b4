//! Parts of files from a CDN: valid requests, decryption, and the check of hashes.
//!
//! A CDN is untrusted: its data must not be used before it matches the hashes from the master DC.
//!
//! Spec: <https://core.telegram.org/cdn>.

use core::fmt;

use zeroize::Zeroize;

use crate::{ct, ctr::Ctr, hash};

/// Offsets and limits are multiples of this many bytes.
pub const GRANULE: u64 = 4096;
/// The length of a part divides this number, and the part lies within one aligned block of this many bytes.
pub const MAX_PART: u64 = 1024 * 1024;

/// A valid part to request. Only [`PartRange::new`] creates one, after it checked the rules (SEC-154).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartRange {
    offset: u64,
    limit: u32,
}

impl PartRange {
    /// Checks the rules: `offset` and `limit` divisible by 4096, 1 MiB divisible by `limit`, no 1 MiB border
    /// inside.
    ///
    /// # Errors
    ///
    /// Fails if a rule is broken, or if the offset exceeds the cipher's counter.
    pub fn new(offset: u64, limit: u32) -> Result<Self, CdnError> {
        let wide = u64::from(limit);
        let fits = limit != 0
            && offset.is_multiple_of(GRANULE)
            && wide.is_multiple_of(GRANULE)
            && MAX_PART.is_multiple_of(wide)
            && offset % MAX_PART + wide <= MAX_PART;
        if !fits {
            return Err(CdnError::InvalidRange { offset, limit });
        }
        part_iv(&[0; 16], offset)?;
        Ok(Self { offset, limit })
    }

    /// Returns the offset of the part in the file.
    pub const fn offset(self) -> u64 {
        self.offset
    }

    /// Returns the number of bytes to request. The last part of a file may be shorter.
    pub const fn limit(self) -> u32 {
        self.limit
    }
}

/// `fileHash`: the SHA-256 of the decrypted bytes from `offset` on, `limit` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHash {
    /// First byte in the file.
    pub offset: u64,
    /// How many bytes. The last hash of a file may cover less.
    pub limit: u32,
    /// Their SHA-256 after decryption.
    pub hash: [u8; 32],
}

/// Key and IV of a file, from `upload.fileCdnRedirect`. Absent from `Debug`, wiped on drop.
#[derive(Clone)]
pub struct CdnFileKey {
    key: [u8; 32],
    iv: [u8; 16],
}

impl CdnFileKey {
    /// Creates the key from `encryption_key` and `encryption_iv` of the DC.
    ///
    /// # Errors
    ///
    /// Fails if they do not have 32 and 16 bytes (SEC-154).
    pub fn new(encryption_key: &[u8], encryption_iv: &[u8]) -> Result<Self, CdnError> {
        let wrong = CdnError::InvalidKey { key: encryption_key.len(), iv: encryption_iv.len() };
        match (encryption_key.try_into(), encryption_iv.try_into()) {
            (Ok(key), Ok(iv)) => Ok(Self { key, iv }),
            _ => Err(wrong),
        }
    }

    /// Decrypts the bytes of `upload.cdnFile` in place, which start at `offset` of the file.
    ///
    /// The result must not be used before [`check_part`] accepted it.
    ///
    /// # Errors
    ///
    /// Fails if `offset` is not a multiple of 16, or beyond what the 32-bit counter of the scheme reaches.
    pub fn decrypt(&self, offset: u64, data: &mut [u8]) -> Result<(), CdnError> {
        Ctr::new(&self.key, &part_iv(&self.iv, offset)?).apply(data);
        Ok(())
    }

    /// Decrypts the answer to a request for `range` in place.
    ///
    /// # Errors
    ///
    /// Fails if there are more bytes than requested (SEC-154).
    pub fn decrypt_part(&self, range: PartRange, data: &mut [u8]) -> Result<(), CdnError> {
        if data.len() as u64 > u64::from(range.limit) {
            return Err(CdnError::PartTooLong { len: data.len(), limit: range.limit });
        }
        self.decrypt(range.offset, data)
    }
}

impl Drop for CdnFileKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.iv.zeroize();
    }
}

impl fmt::Debug for CdnFileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CdnFileKey").finish_non_exhaustive()
    }
}

/// Checks decrypted bytes that start at `offset` against the hashes of the file (SEC-155).
///
/// Every byte must be covered by a hash that lies within the data, and every such hash must match. The caller collects
/// parts until they fill the range of a hash.
///
/// # Errors
///
/// Fails if a byte has no hash (request it from the master DC with `upload.getCdnFileHashes`), or if a hash does not match
/// (discard the data).
pub fn check_part(offset: u64, data: &[u8], hashes: &[FileHash]) -> Result<(), CdnError> {
    let mut at = 0;
    while at < data.len() {
        let here = offset.checked_add(at as u64).ok_or(CdnError::MissingHash { offset })?;
        let (covered, expected) = hashes
            .iter()
            .filter(|hash| hash.offset == here && hash.limit != 0)
            .find_map(|hash| Some((data.get(at..)?.get(..hash.limit as usize)?, hash)))
            .ok_or(CdnError::MissingHash { offset: here })?;
        if !ct::eq(&hash::sha256(&[covered]), &expected.hash) {
            return Err(CdnError::HashMismatch { offset: here });
        }
        at += covered.len();
    }
    Ok(())
}

/// The IV with its last 4 bytes replaced by the number of the block, big-endian.
fn part_iv(iv: &[u8; 16], offset: u64) -> Result<[u8; 16], CdnError> {
    if !offset.is_multiple_of(16) {
        return Err(CdnError::UnalignedOffset { offset });
    }
    let block = u32::try_from(offset / 16).map_err(|_| CdnError::OffsetTooLarge { offset })?;
    let mut iv = *iv;
    iv[12..].copy_from_slice(&block.to_be_bytes());
    Ok(iv)
}

/// Why a CDN part cannot be requested, decrypted or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CdnError {
    /// The master DC sent a key or an IV of the wrong size.
    InvalidKey {
        /// Length of the key in bytes; 32 is right.
        key: usize,
        /// Length of the IV in bytes; 16 is right.
        iv: usize,
    },
    /// The part breaks the rules for requests.
    InvalidRange {
        /// Its offset.
        offset: u64,
        /// Its length.
        limit: u32,
    },
    /// A part starts within a block of the cipher.
    UnalignedOffset {
        /// Its offset.
        offset: u64,
    },
    /// The scheme counts blocks in 32 bits.
    OffsetTooLarge {
        /// The offset of the part.
        offset: u64,
    },
    /// The CDN sent more bytes than requested.
    PartTooLong {
        /// The number of bytes sent.
        len: usize,
        /// The number of bytes requested.
        limit: u32,
    },
    /// No hash is known for the bytes at this offset.
    MissingHash {
        /// Offset in the file.
        offset: u64,
    },
    /// The decrypted bytes are not those of the file.
    HashMismatch {
        /// Offset in the file of the first wrong range.
        offset: u64,
    },
}

impl fmt::Display for CdnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidKey { key, iv } => write!(f, "CDN key of {key} and IV of {iv} bytes, not 32 and 16"),
            Self::InvalidRange { offset, limit } => {
                write!(f, "no part of {limit} bytes may be asked for at {offset}")
            }
            Self::UnalignedOffset { offset } => write!(f, "offset {offset} is not a multiple of 16"),
            Self::OffsetTooLarge { offset } => write!(f, "offset {offset} is beyond the cipher's counter"),
            Self::PartTooLong { len, limit } => write!(f, "part has {len} bytes, {limit} were asked for"),
            Self::MissingHash { offset } => write!(f, "no hash is known for offset {offset}"),
            Self::HashMismatch { offset } => write!(f, "hash at offset {offset} does not match"),
        }
    }
}

impl core::error::Error for CdnError {}
