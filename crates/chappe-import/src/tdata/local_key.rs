//! The local key, and the keys from a passcode that encrypt it.

use argon2::{Algorithm, Argon2, Params, Version};
use chappe_crypto::AuthKey;
use chappe_tl::deserialize::Cursor;
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use super::file::{decrypt, read_bytes, read_u32};
use crate::ImportError;

const LEN: usize = 256;
const SALT: usize = 32;

/// Longest passcode, in bytes.
const MAX_PASSCODE: usize = 4096;

/// Rounds of PBKDF2, and those of a folder without a passcode.
const ROUNDS: u32 = 100_000;
const ROUNDS_WITHOUT_PASSCODE: u32 = 1;
const LEGACY_ROUNDS: u32 = 4000;
const LEGACY_ROUNDS_WITHOUT_PASSCODE: u32 = 4;

/// Most memory of Argon2id, in KiB: 256 MiB. The program uses 64 MiB.
const MAX_MEMORY: u32 = 256 << 10;

/// Most passes of Argon2id over its memory. The program makes 8.
const MAX_PASSES: u32 = 64;

/// Most lanes of Argon2id. The program has 1.
const MAX_LANES: u32 = 16;

/// The number of a passcode among the ways to unlock, and of Argon2id among the functions.
const PASSCODE: u32 = 1;
const ARGON2ID: u32 = 1;

/// Derives the key from a passcode, since version 2.0.
pub(super) fn of_passcode(passcode: &str, salt: &[u8]) -> Result<AuthKey, ImportError> {
    check(passcode, salt)?;
    let mut hash = Zeroizing::new([0; 64]);
    let digest = Sha512::new().chain_update(salt).chain_update(passcode).chain_update(salt);
    digest.finalize_into((&mut *hash).into());
    let rounds = if passcode.is_empty() { ROUNDS_WITHOUT_PASSCODE } else { ROUNDS };
    Ok(derive(|key| pbkdf2_hmac::<Sha512>(&*hash, salt, rounds, key)))
}

/// Derives the key from a passcode, before version 2.0.
pub(super) fn of_legacy_passcode(passcode: &str, salt: &[u8]) -> Result<AuthKey, ImportError> {
    check(passcode, salt)?;
    let rounds = if passcode.is_empty() { LEGACY_ROUNDS_WITHOUT_PASSCODE } else { LEGACY_ROUNDS };
    Ok(derive(|key| pbkdf2_hmac::<Sha1>(passcode.as_bytes(), salt, rounds, key)))
}

fn check(passcode: &str, salt: &[u8]) -> Result<(), ImportError> {
    if passcode.len() > MAX_PASSCODE {
        return Err(ImportError::Length { len: passcode.len() });
    }
    if salt.len() == SALT { Ok(()) } else { Err(ImportError::Malformed { what: "salt" }) }
}

fn derive(fill: impl FnOnce(&mut [u8])) -> AuthKey {
    let mut key = Zeroizing::new([0; LEN]);
    fill(&mut *key);
    AuthKey::from_bytes(*key)
}

/// Decrypts the local key.
pub(super) fn open(encrypted: &[u8], key: &AuthKey) -> Result<AuthKey, ImportError> {
    let bytes = decrypt(encrypted, key)?;
    AuthKey::from_slice(&bytes).map_err(|_| ImportError::Malformed { what: "local key" })
}

/// A local key under a passcode, with the parameters of Argon2id, since version 7.3.
pub(super) struct Slot<'a> {
    params: Params,
    salt: &'a [u8],
    encrypted: &'a [u8],
}

impl<'a> Slot<'a> {
    /// Reads a slot: what unlocks it 4, the function 4, memory in KiB 4, passes 4, lanes 4, salt, encrypted key.
    pub(super) fn read(block: &mut Cursor<'a>) -> Result<Self, ImportError> {
        if read_u32(block)? != PASSCODE || read_u32(block)? != ARGON2ID {
            return Err(ImportError::UnknownVersion);
        }
        let (memory, passes, lanes) = (read_u32(block)?, read_u32(block)?, read_u32(block)?);
        let is_bounded = memory <= MAX_MEMORY && passes <= MAX_PASSES && lanes <= MAX_LANES;
        let params = Params::new(memory, passes, lanes, Some(LEN)).ok().filter(|_| is_bounded);
        let params = params.ok_or(ImportError::Malformed { what: "parameters of Argon2id" })?;
        Ok(Self { params, salt: read_bytes(block)?, encrypted: read_bytes(block)? })
    }

    /// Decrypts the local key.
    pub(super) fn unlock(&self, passcode: &str) -> Result<AuthKey, ImportError> {
        check(passcode, self.salt)?;
        let mut key = Zeroizing::new([0; LEN]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
            .hash_password_into(passcode.as_bytes(), self.salt, &mut *key)
            .map_err(|_| ImportError::Malformed { what: "parameters of Argon2id" })?;
        open(self.encrypted, &AuthKey::from_bytes(*key))
    }
}
