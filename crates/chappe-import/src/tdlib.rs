//! The database of `TDLib`: the file `td.binlog`, or `td_test.binlog` of the test environment.
//!
//! The file is a list of events: length 4, id 8, type 4, flags 4, extra 8, data, CRC-32 of all of it 4 (numbers are little-endian).
//! An event of type −3 says that everything behind it is encrypted with AES-256-CTR; its data is in TL encoding: flags `int`,
//! salt, IV and HMAC of the key as `bytes`. The key of AES is PBKDF2-HMAC-SHA256 of the database's key and the salt.
//!
//! Events of type `0x4327` are a table of texts. Their data is name and value as `string`; an event with flag 0 replaces the
//! one with the same id. `auth2` holds the key of datacenter 2: id of the key `long`, flags `int`, key as `bytes`.

use chappe_crypto::ctr::Ctr;
use chappe_crypto::{ct, hash};
use chappe_tl::deserialize::{Cursor, Result as Read};
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::keys::Keys;
use crate::{ImportError, ImportedSession, User};

/// Longest file that is read. The library rewrites a file of more than a few megabytes.
const MAX_LEN: usize = 64 << 20;

/// Bytes of an event without its data, and those in front of the data.
const FRAME: usize = 32;
const HEAD: usize = 28;
const TAIL: usize = 4;

/// Longest event, as in the library.
const MAX_EVENT: usize = 1 << 24;

/// Most entries of the table that are kept. They are a key for each datacenter, and three more.
const MAX_ENTRIES: usize = 256;

/// Types of events.
const ENCRYPTION: i32 = -3;
const TABLE: i32 = 0x4327;

/// The flag of an event that replaces another.
const REPLACES: u32 = 1 << 0;

/// The key of a database without one.
const DEFAULT_KEY: &[u8] = b"cucumber";

/// Rounds of PBKDF2 for a key, and for a password.
const ROUNDS: [u32; 2] = [2, 60_002];

/// What the HMAC of the key of AES is taken over.
const KEY_CHECK: &[u8] = b"cucumbers everywhere";

/// Reads the file: a session for each datacenter with a key, that of the account first. `database_key` is the parameter
/// `database_encryption_key` of the library, which is empty unless the program sets one.
///
/// # Errors
///
/// [`ImportError::Locked`] if the key is another one; otherwise it is no such file, or has no key of a datacenter.
pub fn from_binlog(bytes: &[u8], database_key: &[u8]) -> Result<Vec<ImportedSession>, ImportError> {
    if bytes.len() > MAX_LEN {
        return Err(ImportError::Length { len: bytes.len() });
    }
    let mut table = Table::default();
    let mut rest = bytes;
    while let Some((event, behind)) = Event::split(rest) {
        if event.kind == ENCRYPTION {
            let encryption = Encryption::read(event.data)?;
            let mut plain = Zeroizing::new(behind.to_vec());
            encryption.decrypt(&mut plain, database_key)?;
            table.extend(&plain)?;
            return table.into_sessions();
        }
        table.add(&event)?;
        rest = behind;
    }
    if rest.len() == bytes.len() && !bytes.is_empty() {
        return Err(ImportError::UnknownVersion);
    }
    table.into_sessions()
}

/// An event whose checksum is right.
struct Event<'a> {
    id: u64,
    kind: i32,
    flags: u32,
    data: &'a [u8],
}

impl<'a> Event<'a> {
    /// Takes an event from the front. Returns `None` at the end, which an interrupted program may have left incomplete.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let len = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        if !(FRAME..=MAX_EVENT).contains(&len) || !len.is_multiple_of(4) {
            return None;
        }
        let (event, rest) = bytes.split_at_checked(len)?;
        let (summed, checksum) = event.split_last_chunk::<TAIL>()?;
        if crc32fast::hash(summed) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut cursor = Cursor::from_slice(&summed[4..HEAD]);
        let id = u64::from_le_bytes(cursor.read_array().ok()?);
        let (kind, flags) = (cursor.read_i32().ok()?, cursor.read_u32().ok()?);
        Some((Self { id, kind, flags, data: &summed[HEAD..] }, rest))
    }
}

/// How the rest of the file is encrypted.
struct Encryption<'a> {
    salt: &'a [u8],
    iv: [u8; 16],
    check: &'a [u8],
}

impl<'a> Encryption<'a> {
    fn read(data: &'a [u8]) -> Result<Self, ImportError> {
        const MALFORMED: ImportError = ImportError::Malformed { what: "encryption" };
        let read = |cursor: &mut Cursor<'a>| -> Read<_> {
            let _flags = cursor.read_u32()?;
            Ok((cursor.read_bytes()?, cursor.read_bytes()?, cursor.read_bytes()?))
        };
        let (salt, iv, check) = read(&mut Cursor::from_slice(data)).map_err(|_| MALFORMED)?;
        Ok(Self { salt, iv: iv.try_into().map_err(|_| MALFORMED)?, check })
    }

    /// Decrypts the rest of a file.
    fn decrypt(&self, rest: &mut [u8], database_key: &[u8]) -> Result<(), ImportError> {
        let database_key = if database_key.is_empty() { DEFAULT_KEY } else { database_key };
        let mut key = Zeroizing::new([0; 32]);
        for rounds in ROUNDS {
            pbkdf2_hmac::<Sha256>(database_key, self.salt, rounds, &mut *key);
            if ct::eq(&hash::hmac_sha256(&*key, &[KEY_CHECK]), self.check) {
                Ctr::new(&key, &self.iv).apply(rest);
                return Ok(());
            }
        }
        Err(ImportError::Locked)
    }
}

/// The entries of the table that matter here.
#[derive(Default)]
struct Table(Vec<Entry>);

struct Entry {
    id: u64,
    name: Name,
    value: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The key of a datacenter.
    Key(i64),
    MainDc,
    User,
    IsBot,
}

impl Name {
    fn of(text: &[u8]) -> Option<Self> {
        match text {
            b"main_dc_id" => Some(Self::MainDc),
            b"my_id" => Some(Self::User),
            b"auth_is_bot" => Some(Self::IsBot),
            _ => number(text.strip_prefix(b"auth")?).map(Self::Key),
        }
    }
}

fn number(text: &[u8]) -> Option<i64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

impl Table {
    /// Adds all events of decrypted bytes.
    fn extend(&mut self, mut bytes: &[u8]) -> Result<(), ImportError> {
        while let Some((event, rest)) = Event::split(bytes) {
            self.add(&event)?;
            bytes = rest;
        }
        Ok(())
    }

    fn add(&mut self, event: &Event<'_>) -> Result<(), ImportError> {
        if event.flags & REPLACES != 0 {
            self.0.retain(|entry| entry.id != event.id);
        }
        if event.kind != TABLE {
            return Ok(());
        }
        let read = |cursor: &mut Cursor<'_>| -> Read<_> {
            let name = Name::of(cursor.read_bytes()?);
            Ok(name.zip(Some(Zeroizing::new(cursor.read_bytes()?.to_vec()))))
        };
        let entry = read(&mut Cursor::from_slice(event.data));
        let Some((name, value)) = entry.map_err(|_| ImportError::Malformed { what: "entry" })? else {
            return Ok(());
        };
        if self.0.len() == MAX_ENTRIES {
            return Err(ImportError::Malformed { what: "number of entries" });
        }
        self.0.push(Entry { id: event.id, name, value });
        Ok(())
    }

    fn get(&self, name: Name) -> Option<&[u8]> {
        self.0.iter().find(|entry| entry.name == name).map(|entry| entry.value.as_slice())
    }

    fn into_sessions(self) -> Result<Vec<ImportedSession>, ImportError> {
        let mut keys = Keys::default();
        keys.main = self.get(Name::MainDc).and_then(number);
        let is_bot = self.get(Name::IsBot) == Some(b"true");
        keys.user = self.get(Name::User).and_then(number).map(|id| User { id, is_bot });
        for entry in &self.0 {
            let Name::Key(dc) = entry.name else { continue };
            let read = |cursor: &mut Cursor<'_>| -> Read<_> {
                let (id, _flags) = (cursor.read_array()?, cursor.read_u32()?);
                Ok((id, Zeroizing::new(cursor.read_bytes()?.to_vec())))
            };
            let (id, key) = read(&mut Cursor::from_slice(&entry.value))
                .map_err(|_| ImportError::Malformed { what: "key" })?;
            // The entry stays, empty, when the library drops a key.
            if !key.is_empty() {
                keys.push(dc, &key, Some(id), None)?;
            }
        }
        keys.into_sessions()
    }
}
