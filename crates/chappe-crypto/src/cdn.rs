//! Parts of files from a CDN: which parts may be asked for, their decryption, the check of their hashes.
//!
//! A CDN is not trusted: nothing it sends may be used before the hashes, which come from the master DC, agree.
//!
//! Spec: <https://core.telegram.org/cdn>.

use core::fmt;

use zeroize::Zeroize;

use crate::{ct, ctr::Ctr, hash};

/// Offsets and limits are multiples of this many bytes.
pub const GRANULE: u64 = 4096;
/// A part divides this many bytes and lies within one such stretch of the file.
pub const MAX_PART: u64 = 1024 * 1024;

/// A part that may be asked for: made by [`PartRange::new`] only, so the rules hold (SEC-154).
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
    /// Fails if one of them is broken, or if the counter of the cipher could not count so far.
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

    /// Returns where the part starts in the file.
    pub const fn offset(self) -> u64 {
        self.offset
    }

    /// Returns how many bytes to ask for. The last part of a file may be shorter.
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

/// Key and IV of a file, from `upload.fileCdnRedirect`. Absent from `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct CdnFileKey {
    key: [u8; 32],
    iv: [u8; 16],
}

impl CdnFileKey {
    /// Takes `encryption_key` and `encryption_iv` as the DC sent them.
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
    /// What comes out must not be used before [`check_part`] or [`FileHash`] agreed with it.
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
    /// Fails if there are more bytes than were asked for (SEC-154).
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
/// Every byte must be covered by a hash that lies wholly within the data, and every such hash must agree, so a
/// caller collects parts until they fill what a hash covers.
///
/// # Errors
///
/// Fails if a byte has no hash (ask the master DC for it, `upload.getCdnFileHashes`), or if a hash disagrees:
/// then the data must be thrown away.
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

/// Why a CDN part cannot be asked for, decrypted or used.
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
    /// A part like this may not be asked for.
    InvalidRange {
        /// Where it would start.
        offset: u64,
        /// How long it would be.
        limit: u32,
    },
    /// A part starts within a block of the cipher.
    UnalignedOffset {
        /// Where it starts.
        offset: u64,
    },
    /// The scheme counts blocks in 32 bits.
    OffsetTooLarge {
        /// Where the part starts.
        offset: u64,
    },
    /// The CDN sent more than was asked for.
    PartTooLong {
        /// How much it sent.
        len: usize,
        /// How much was asked for.
        limit: u32,
    },
    /// No hash is known for what starts here.
    MissingHash {
        /// Where in the file.
        offset: u64,
    },
    /// The decrypted bytes are not those of the file.
    HashMismatch {
        /// Where in the file the bad stretch starts.
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
