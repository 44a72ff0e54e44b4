//! The file `tgnet.dat` of Telegram for Android, and of its forks. Further accounts are in `account1/tgnet.dat`, and so on.
//!
//! The file is a length of 4, and as many bytes in TL encoding:
//!
//! ```text
//! version:int test:Bool blocked:Bool (since 3) language:string (since 4) is_set:Bool
//! if is_set: dc:int time_difference:int updated:int push_session:long push:Bool (since 2) time:int (since 5)
//!     sessions:vector<long> datacenters:vector<datacenter>
//! datacenter: version:int id:int layer:int (since 3) media_layer:int (since 10)
//!     IPv4, and since 5 IPv6, IPv4 and IPv6 for downloads: vector<address>
//!     is_cdn:Bool (since 6) key:data key_id:long (since 4) temporary:data id:long (since 8) media:data id:long (since 12)
//!     authorized:int salts:vector<salt>, and since 13 those for media
//! address: host:string port:int flags:int (since 7) secret:string (since 9)
//! salt: since:int until:int salt:long
//! ```
//!
//! A vector has a count of 4 in front and no constructor id, and `data` has a length of 4 and no padding. The user is not in
//! this file.

use chappe_tl::Deserializable as _;
use chappe_tl::deserialize::{Cursor, Result as Read};

use crate::keys::{Keys, MAX_KEYS};
use crate::{ImportError, ImportedSession, environment};

/// Longest file that is read. The addresses of all datacenters take some kilobytes.
const MAX_LEN: usize = 1 << 20;

/// The newest versions of the file and of a datacenter that are known.
const FILE_VERSION: u32 = 5;
const DC_VERSION: u32 = 13;

/// Reads the file: a session for each datacenter with a key, the current one first.
///
/// # Errors
///
/// It is no such file, is of a newer version, or has no key.
pub fn from_file(bytes: &[u8]) -> Result<Vec<ImportedSession>, ImportError> {
    const MALFORMED: ImportError = ImportError::Malformed { what: "fields" };
    if bytes.len() > MAX_LEN {
        return Err(ImportError::Length { len: bytes.len() });
    }
    let (len, rest) = bytes.split_first_chunk().ok_or(MALFORMED)?;
    let contents = rest.get(..u32::from_le_bytes(*len) as usize).ok_or(MALFORMED)?;
    read(&mut Cursor::from_slice(contents)).map_err(|_| MALFORMED)??.into_sessions()
}

fn read(cursor: &mut Cursor<'_>) -> Read<Result<Keys, ImportError>> {
    let mut keys = Keys::default();
    let version = cursor.read_u32()?;
    if version == 0 || version > FILE_VERSION {
        return Ok(Err(ImportError::UnknownVersion));
    }
    keys.environment = Some(environment(bool::deserialize(cursor)?));
    if version >= 3 {
        bool::deserialize(cursor)?;
    }
    if version >= 4 {
        cursor.read_bytes()?;
    }
    if !bool::deserialize(cursor)? {
        return Ok(Err(ImportError::NoKey));
    }
    keys.main = Some(cursor.read_u32()?.into());
    // The difference of the clocks, the time of the last change, and the session of notifications.
    cursor.take(4 + 4 + 8)?;
    if version >= 2 {
        bool::deserialize(cursor)?;
    }
    if version >= 5 {
        cursor.take(4)?;
    }
    let sessions = cursor.read_count(8)?;
    cursor.take(sessions * 8)?;
    let count = cursor.read_count(4)?;
    if count > MAX_KEYS {
        return Ok(Err(ImportError::Malformed { what: "number of datacenters" }));
    }
    for _ in 0..count {
        if let Err(error) = read_datacenter(cursor, &mut keys)? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(keys))
}

fn read_datacenter(cursor: &mut Cursor<'_>, keys: &mut Keys) -> Read<Result<(), ImportError>> {
    let version = cursor.read_u32()?;
    if !(2..=DC_VERSION).contains(&version) {
        return Ok(Err(ImportError::UnknownVersion));
    }
    let id = cursor.read_u32()?;
    let layers = usize::from(version >= 3) + usize::from(version >= 10);
    cursor.take(layers * 4)?;
    let server = read_addresses(cursor, version)?;
    for _ in 1..if version >= 5 { 4 } else { 1 } {
        read_addresses(cursor, version)?;
    }
    if version >= 6 {
        bool::deserialize(cursor)?;
    }
    let key = read_data(cursor)?;
    // Before version 4 the id of the key had a length in front.
    let has_id = version >= 4 || cursor.read_u32()? != 0;
    let key_id = if has_id { Some(cursor.read_array()?) } else { None };
    let temporary_keys = usize::from(version >= 8) + usize::from(version >= 12);
    for _ in 0..temporary_keys {
        read_data(cursor)?;
        cursor.take(8)?;
    }
    cursor.take(4)?;
    for _ in 0..if version >= 13 { 2 } else { 1 } {
        let salts = cursor.read_count(16)?;
        cursor.take(salts * 16)?;
    }
    if key.is_empty() {
        return Ok(Ok(()));
    }
    let server =
        server.and_then(|(host, port)| crate::server(core::str::from_utf8(host).ok()?, port).ok()?);
    Ok(keys.push(id.into(), key, key_id, server))
}

/// Reads a list of addresses and returns the first.
fn read_addresses<'a>(cursor: &mut Cursor<'a>, version: u32) -> Read<Option<(&'a [u8], i64)>> {
    let mut first = None;
    for _ in 0..cursor.read_count(8)? {
        let (host, port) = (cursor.read_bytes()?, cursor.read_u32()?);
        if version >= 7 {
            cursor.take(4)?;
        }
        if version >= 9 {
            cursor.read_bytes()?;
        }
        first = first.or(Some((host, port.into())));
    }
    Ok(first)
}

fn read_data<'a>(cursor: &mut Cursor<'a>) -> Read<&'a [u8]> {
    let len = cursor.read_u32()?;
    cursor.take(len as usize)
}
