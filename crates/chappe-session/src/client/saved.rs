//! What must survive a restart, as bytes.
//!
//! Key, salts, time offset and a block of the caller's own (the cache of checked primes, say); never temporary
//! keys (SEC-07). The bytes carry a version and a digest; a state that does not fit is not used (SEC-08).
//!
//! Layout, little endian: magic 4, version 2, reserved 2, key id 8, key 256, `created_at` 8, time offset 4, number of
//! salts 4, salts of 24 bytes each, length of the caller's block 4, the block, SHA-256 of all before 32.

use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::{AuthKey, ct, hash};
use chappe_framing::ServerSalt;
use chappe_tl::deserialize::Cursor;
use zeroize::Zeroizing;

use super::{ClockTrust, KeyMaterial};
use crate::salts::TimedSalt;

const MAGIC: [u8; 4] = *b"chSE";
const VERSION: u16 = 1;
const DIGEST_LEN: usize = 32;
const SALT_LEN: usize = 24;
const MAX_SALTS: usize = 64;

/// A session's state, read back.
#[derive(Clone, Debug)]
pub struct SavedState {
    /// What [`ClientSession::new`](super::ClientSession::new) takes.
    pub key: KeyMaterial,
    /// The caller's own block.
    pub extra: Zeroizing<Vec<u8>>,
}

/// Why saved bytes cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateError {
    /// They do not begin with the magic number, or are too short or too long.
    Malformed,
    /// They were written by a later version.
    UnknownVersion {
        /// The version.
        version: u16,
    },
    /// They were damaged.
    BadDigest,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("these bytes are not the state of a session"),
            Self::UnknownVersion { version } => write!(f, "the state has the unknown version {version}"),
            Self::BadDigest => f.write_str("the state was damaged"),
        }
    }
}

impl core::error::Error for StateError {}

/// What is written.
pub(super) struct Contents<'a> {
    pub(super) key: &'a AuthKey,
    pub(super) created_at: i64,
    pub(super) time_offset: i32,
    pub(super) salts: &'a [TimedSalt],
    pub(super) extra: &'a [u8],
}

impl Contents<'_> {
    pub(super) fn write(&self) -> Zeroizing<Vec<u8>> {
        let Self { key, created_at, time_offset, salts, extra } = *self;
        let mut out = Zeroizing::new(Vec::with_capacity(400 + SALT_LEN * salts.len() + extra.len()));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(key.id().as_bytes());
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&created_at.to_le_bytes());
        out.extend_from_slice(&time_offset.to_le_bytes());
        out.extend_from_slice(&(salts.len() as u32).to_le_bytes());
        for salt in salts {
            out.extend_from_slice(&salt.valid_since.to_le_bytes());
            out.extend_from_slice(&salt.valid_until.to_le_bytes());
            out.extend_from_slice(&salt.salt.to_raw().to_le_bytes());
        }
        out.extend_from_slice(&(extra.len() as u32).to_le_bytes());
        out.extend_from_slice(extra);
        let digest = hash::sha256(&[&out]);
        out.extend_from_slice(&digest);
        out
    }
}

impl SavedState {
    /// Writes the same bytes as [`ClientSession::export`](super::ClientSession::export), for a key that comes from
    /// elsewhere. The buffer holds the key, and is wiped when it is dropped.
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let KeyMaterial { auth_key, created_at, salts, time_offset, .. } = &self.key;
        let salts = &salts[..salts.len().min(MAX_SALTS)];
        let (created_at, time_offset) = (*created_at, *time_offset);
        Contents { key: auth_key, created_at, time_offset, salts, extra: &self.extra }.write()
    }

    /// Reads what [`ClientSession::export`](super::ClientSession::export) wrote.
    ///
    /// # Errors
    ///
    /// Fails if any byte differs from what was written; nothing is used then.
    pub fn import(bytes: &[u8]) -> Result<Self, StateError> {
        let (content, digest) = bytes.split_last_chunk::<DIGEST_LEN>().ok_or(StateError::Malformed)?;
        let mut cursor = Cursor::from_slice(content);
        if cursor.read_array::<4>() != Ok(MAGIC) {
            return Err(StateError::Malformed);
        }
        let version = u16::from_le_bytes(cursor.read_array().map_err(|_| StateError::Malformed)?);
        if version != VERSION {
            return Err(StateError::UnknownVersion { version });
        }
        if !ct::eq(&hash::sha256(&[content]), digest) {
            return Err(StateError::BadDigest);
        }
        Self::read(&mut cursor).map_err(|_| StateError::Malformed)?.ok_or(StateError::Malformed)
    }

    /// Reads the key alone from bytes whose digest does not fit, if the key is whole.
    ///
    /// The `auth_key_id` that stands beside the key is a hash of it, so a key that fits was not changed. Everything else
    /// is left out: the session learns salts and time from the server, and the key counts as an old one.
    pub fn salvage(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::from_slice(bytes);
        if cursor.read_array::<4>() != Ok(MAGIC) || cursor.read_array() != Ok(VERSION.to_le_bytes()) {
            return None;
        }
        let _reserved = cursor.read_array::<2>().ok()?;
        let id = cursor.read_array::<8>().ok()?;
        let auth_key = AuthKey::from_bytes(*Zeroizing::new(cursor.read_array::<256>().ok()?));
        let key = KeyMaterial {
            auth_key,
            created_at: 0,
            salts: Vec::new(),
            time_offset: 0,
            clock: ClockTrust::Guess,
        };
        (*key.auth_key.id().as_bytes() == id).then(|| Self { key, extra: Zeroizing::default() })
    }

    fn read(cursor: &mut Cursor<'_>) -> chappe_tl::deserialize::Result<Option<Self>> {
        let _reserved = cursor.read_array::<2>()?;
        let id = cursor.read_array::<8>()?;
        let auth_key = AuthKey::from_bytes(*Zeroizing::new(cursor.read_array::<256>()?));
        let created_at = cursor.read_i64()?;
        let time_offset = cursor.read_i32()?;
        let count = cursor.read_count(SALT_LEN)?;
        if *auth_key.id().as_bytes() != id || count > MAX_SALTS {
            return Ok(None);
        }
        let mut salts = Vec::with_capacity(count);
        for _ in 0..count {
            let (valid_since, valid_until) = (cursor.read_i64()?, cursor.read_i64()?);
            salts.push(TimedSalt {
                valid_since,
                valid_until,
                salt: ServerSalt::from_raw(cursor.read_i64()?),
            });
        }
        let len = cursor.read_count(1)?;
        let extra = Zeroizing::new(cursor.take(len)?.to_vec());
        cursor.finish()?;
        let key = KeyMaterial { auth_key, created_at, salts, time_offset, clock: ClockTrust::Guess };
        Ok(Some(Self { key, extra }))
    }
}
