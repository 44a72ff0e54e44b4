//! Sessions of GramJS.
//!
//! A string is the letter `1` and base64 of: id of the datacenter 1, length of the address 2 (big-endian), address as text, port 2
//! (big-endian), key 256. Telethon's strings are read as well, as the library does.
//!
//! A `StoreSession` is a directory with a file for each field. A file's name is the session's name, `%3A` and the field's
//! name. Each file holds JSON: a number, a string, or for the key the JSON form of a Node.js `Buffer`.

use base64ct::Base64;
use chappe_tl::deserialize::Cursor;
use zeroize::Zeroizing;

use super::export::{self, Bytes, ExportError};
use super::{ImportError, ImportedSession, telethon};

/// Longest address.
const MAX_ADDRESS_LEN: u16 = 255;

/// Longest file of a key: 256 numbers, the commas between them, and the JSON around them.
const MAX_KEY_TEXT: usize = 2048;

/// The contents of the files of a `StoreSession`.
#[derive(Clone, Copy)]
pub struct StoreFiles<'a> {
    /// The file that ends in `authKey`.
    pub auth_key: &'a str,
    /// The file that ends in `dcId`.
    pub dc_id: &'a str,
    /// The file that ends in `serverAddress`.
    pub server_address: &'a str,
    /// The file that ends in `port`.
    pub port: &'a str,
}

impl core::fmt::Debug for StoreFiles<'_> {
    /// Omits the key (`SEC-05`).
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StoreFiles").field("dc_id", &self.dc_id).finish_non_exhaustive()
    }
}

/// Reads the files of a `StoreSession`.
///
/// # Errors
///
/// A file has other contents, or there is no key.
pub fn from_store(files: &StoreFiles<'_>) -> Result<ImportedSession, ImportError> {
    let dc_id = number(files.dc_id, "dcId")?;
    let port = number(files.port, "port")?;
    let address = files.server_address.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let address = address.ok_or(ImportError::Malformed { what: "serverAddress" })?;
    telethon::from_row(dc_id, address, port, &buffer(files.auth_key)?)
}

fn number(text: &str, what: &'static str) -> Result<i64, ImportError> {
    text.trim().parse().map_err(|_| ImportError::Malformed { what })
}

/// Reads the JSON form of a Node.js `Buffer`.
fn buffer(text: &str) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    const MALFORMED: ImportError = ImportError::Malformed { what: "authKey" };
    if text.len() > MAX_KEY_TEXT {
        return Err(ImportError::Length { len: text.len() });
    }
    let text = text.trim();
    if matches!(text, "" | "null" | "undefined") {
        return Err(ImportError::NoKey);
    }
    let numbers = text.strip_prefix(r#"{"type":"Buffer","data":["#).and_then(|text| text.strip_suffix("]}"));
    // Allocated at full size: a vector that grows leaves its old memory behind without wiping it.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_TEXT));
    for number in numbers.ok_or(MALFORMED)?.split(',') {
        bytes.push(number.trim().parse().map_err(|_| MALFORMED)?);
    }
    Ok(bytes)
}

/// Reads the string that `StringSession.save` returns.
///
/// # Errors
///
/// The text is not such a string, or has no key.
pub fn from_string(text: &str) -> Result<ImportedSession, ImportError> {
    let bytes = telethon::version_1(text)?;
    if is_telethon(&bytes) {
        return telethon::from_bytes(&bytes);
    }
    let mut cursor = Cursor::from_slice(&bytes);
    let (dc, host, port) = read(&mut cursor).map_err(|_| ImportError::Malformed { what: "address" })?;
    let host = core::str::from_utf8(host).map_err(|_| ImportError::Server { len: host.len() })?;
    telethon::from_row(dc.into(), host, port.into(), cursor.rest())
}

/// Writes the string that `StringSession` reads.
///
/// # Errors
///
/// The session has no server, or its datacenter is above 255.
pub fn to_string(session: &ImportedSession) -> Result<Zeroizing<String>, ExportError> {
    let server = export::server(session)?;
    let mut bytes = Bytes::new();
    bytes.put(&[export::dc(session)?]).put(&(server.host.len() as u16).to_be_bytes());
    bytes.put(server.host.as_bytes()).put(&server.port.to_be_bytes()).put(session.auth_key.as_bytes());
    Ok(bytes.encode::<Base64>("1"))
}

/// Returns whether a string is one of Telethon's: an address stands in the place of the length, and is larger than any length. The
/// exceptions are IPv6 addresses such as `::1`, and those of NAT64, which begin with `64:ff9b`.
fn is_telethon(bytes: &[u8]) -> bool {
    let [_, high, low, ..] = bytes else { return false };
    let is_length = |address| address <= MAX_ADDRESS_LEN;
    match (bytes.len(), u16::from_be_bytes([*high, *low])) {
        (telethon::IPV4_LEN, address) => !is_length(address),
        (telethon::IPV6_LEN, address) => !is_length(address) || matches!(address, 0 | 0x64),
        _ => false,
    }
}

fn read<'a>(cursor: &mut Cursor<'a>) -> chappe_tl::deserialize::Result<(u8, &'a [u8], u16)> {
    let dc = cursor.read_byte()?;
    let len = u16::from_be_bytes(cursor.read_array()?);
    let host = cursor.take(len.into())?;
    Ok((dc, host, u16::from_be_bytes(cursor.read_array()?)))
}
