//! The folder `tdata` of Telegram Desktop.
//!
//! Every file is called by a name and an ending: `s`, or in older versions `0` and `1`, of which the newer file counts
//! ([`ENDINGS`]). The crate opens no files: the program reads them and hands them over, one after the other.
//!
//! | file | since | function |
//! |---|---|---|
//! | `key_data` | 2.0 | [`Folder::unlock`] |
//! | `D877F783D5D3EF8C/map` | before 2.0 | [`Folder::unlock_legacy`] |
//! | [`account_file`], such as `D877F783D5D3EF8C` | always | [`Folder::account`], for each of [`Folder::accounts`] |
//!
//! A file is `TDF$`, the version of the program 4, the contents, and an MD5 of 16 of all of them. What is inside is a stream of
//! Qt: numbers are big-endian, and a byte array has its length of 4 in front. The lengths inside of encrypted data, and the
//! version, are in the byte order of the machine, which is little-endian.
//!
//! Encrypted data is the first 16 bytes of the SHA-1 of the plaintext, and the plaintext under AES-256-IGE with the key
//! derivation of MTProto 1.0. The local key of 256 bytes that encrypts the accounts is itself encrypted under a key from the passcode:
//!
//! | version | key from the passcode |
//! |---|---|
//! | before 2.0 | PBKDF2-HMAC-SHA1, 4000 rounds, or 4 without a passcode |
//! | since 2.0 | PBKDF2-HMAC-SHA512 of SHA-512(salt, passcode, salt), 100 000 rounds, or 1 without a passcode |
//! | since 7.3, with a passcode | Argon2id, whose parameters are in the file, in a block that begins with `KD2` |

mod account;
mod file;
mod local_key;

use chappe_crypto::AuthKey;
use chappe_tl::deserialize::Cursor;
use md5::{Digest as _, Md5};

use crate::{ImportError, ImportedSession};

use file::{read_bytes, read_i32, read_u32};

/// The endings of a file's name, in the order in which to try them. Of `0` and `1` the newer one counts.
pub const ENDINGS: [char; 3] = ['s', '0', '1'];

/// The name of the file with the local key, without its ending.
pub const KEY_FILE: &str = "key_data";

/// The name of the file with the local key before version 2.0, without its ending.
pub const LEGACY_KEY_FILE: &str = "D877F783D5D3EF8C/map";

/// Most accounts of a folder. The program allows three, or six with Premium.
const MAX_ACCOUNTS: usize = 100;

/// The first bytes of the block that holds a key under Argon2id, and its version.
const BLOCK: [u8; 4] = *b"KD2\0";
const BLOCK_VERSION: u32 = 2;

/// Most ways to unlock in one block. The program writes one.
const MAX_SLOTS: u32 = 8;

/// A folder whose passcode was accepted.
pub struct Folder {
    local_key: AuthKey,
    accounts: Vec<u32>,
}

impl core::fmt::Debug for Folder {
    /// Omits the key (`SEC-05`).
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Folder").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl Folder {
    /// Reads the file [`KEY_FILE`]. The passcode is empty if there is none.
    ///
    /// A passcode costs 100 000 rounds of PBKDF2, or since version 7.3 the memory that the file asks for, up to 256 MiB.
    ///
    /// # Errors
    ///
    /// [`ImportError::Locked`] if the passcode is another one; otherwise the file is damaged or something else.
    pub fn unlock(key_file: &[u8], passcode: &str) -> Result<Self, ImportError> {
        let contents = file::open(key_file)?;
        let mut cursor = Cursor::from_slice(contents);
        let salt = read_bytes(&mut cursor)?;
        let key = read_bytes(&mut cursor)?;
        let info = read_bytes(&mut cursor)?;
        let local_key = if let Some(local_key) = unlock_block(&mut cursor, passcode)? {
            local_key
        } else {
            local_key::open(key, &local_key::of_passcode(passcode, salt)?)?
        };
        let info = file::decrypt(info, &local_key)?;
        let accounts = read_accounts(&mut Cursor::from_slice(&info))?;
        Ok(Self { local_key, accounts })
    }

    /// Reads the file [`LEGACY_KEY_FILE`] of versions before 2.0, which knew one account.
    ///
    /// # Errors
    ///
    /// [`ImportError::Locked`] if the passcode is another one; otherwise the file is damaged or something else.
    pub fn unlock_legacy(map: &[u8], passcode: &str) -> Result<Self, ImportError> {
        let contents = file::open(map)?;
        let mut cursor = Cursor::from_slice(contents);
        let salt = read_bytes(&mut cursor)?;
        let key = read_bytes(&mut cursor)?;
        let local_key = local_key::open(key, &local_key::of_legacy_passcode(passcode, salt)?)?;
        Ok(Self { local_key, accounts: vec![0] })
    }

    /// Returns the indices of the accounts, that of the active one first.
    pub fn accounts(&self) -> &[u32] {
        &self.accounts
    }

    /// Reads the file [`account_file`] of an account: a session for each datacenter with a key, that of the account first.
    ///
    /// # Errors
    ///
    /// The file belongs to another folder, is damaged, or holds no key.
    pub fn account(&self, account_file: &[u8]) -> Result<Vec<ImportedSession>, ImportError> {
        let contents = file::open(account_file)?;
        let encrypted = read_bytes(&mut Cursor::from_slice(contents))?;
        let settings = file::decrypt(encrypted, &self.local_key)?;
        account::read(&settings)
    }
}

/// Returns the name of the file of an account, without its ending: a hash of `data`, `data#2`, and so on.
pub fn account_file(index: u32) -> String {
    let name = match index {
        0 => String::from("data"),
        index => format!("data#{}", u64::from(index) + 1),
    };
    let digest = Md5::digest(name);
    // The program writes the lower half of each byte first.
    let digits = digest[..8].iter().flat_map(|byte| [byte & 0x0f, byte >> 4]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .map(|digit| digit.to_ascii_uppercase())
        .collect()
}

/// Reads the block of version 7.3 and unlocks with it. Returns `None` if there is none, or no passcode.
fn unlock_block(cursor: &mut Cursor<'_>, passcode: &str) -> Result<Option<AuthKey>, ImportError> {
    const MALFORMED: ImportError = ImportError::Malformed { what: "key block" };
    if cursor.is_empty() {
        return Ok(None);
    }
    let mut block = Cursor::from_slice(read_bytes(cursor)?);
    if block.read_array().map_err(|_| MALFORMED)? != BLOCK || read_u32(&mut block)? != BLOCK_VERSION {
        return Err(ImportError::UnknownVersion);
    }
    let has_passcode = read_u32(&mut block)?;
    let slots = read_u32(&mut block)?;
    if has_passcode == 0 && slots == 0 {
        return Ok(None);
    }
    if slots > MAX_SLOTS {
        return Err(MALFORMED);
    }
    let mut unlocked = Err(ImportError::Locked);
    for _ in 0..slots {
        let slot = local_key::Slot::read(&mut block)?;
        unlocked = unlocked.or_else(|_| slot.unlock(passcode));
    }
    unlocked.map(Some)
}

fn read_accounts(info: &mut Cursor<'_>) -> Result<Vec<u32>, ImportError> {
    const MALFORMED: ImportError = ImportError::Malformed { what: "list of accounts" };
    let count = usize::try_from(read_i32(info)?).map_err(|_| MALFORMED)?;
    if count == 0 || count > MAX_ACCOUNTS {
        return Err(MALFORMED);
    }
    let mut accounts = Vec::with_capacity(count);
    for _ in 0..count {
        let index = u32::try_from(read_i32(info)?).map_err(|_| MALFORMED)?;
        if !accounts.contains(&index) {
            accounts.push(index);
        }
    }
    // Absent in some versions, and -1 in others.
    let active = if info.is_empty() { -1 } else { read_i32(info)? };
    accounts.sort_by_key(|index| i64::from(*index) != i64::from(active));
    Ok(accounts)
}
