//! Sessions of Telethon.
//!
//! A string is the letter `1` and base64 of: id of the datacenter 1, address 4 or 16, port 2 (big-endian), key 256. A file is an
//! SQLite database; all versions of its tables have the columns of [`QUERY`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64ct::Base64Url;
use chappe_tl::deserialize::Cursor;
use zeroize::Zeroizing;

use super::export::{self, Bytes, ExportError};
use super::{ImportError, ImportedSession, text};

/// SQL query for the arguments of [`from_row`].
pub const QUERY: &str = "SELECT dc_id, server_address, port, auth_key FROM sessions";

pub(super) const IPV4_LEN: usize = 1 + 4 + 2 + 256;
pub(super) const IPV6_LEN: usize = 1 + 16 + 2 + 256;

/// Reads the string that `StringSession.save` returns.
///
/// # Errors
///
/// The text is not such a string, or has no key.
pub fn from_string(text: &str) -> Result<ImportedSession, ImportError> {
    from_bytes(&version_1(text)?)
}

/// Decodes a text behind the version in front of it.
pub(super) fn version_1(text: &str) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    let text = text::clean(text)?;
    match text.strip_prefix('1') {
        Some(digits) => text::decode(digits),
        None if text.is_empty() => Err(ImportError::Length { len: 0 }),
        None => Err(ImportError::UnknownVersion),
    }
}

/// Reads the decoded bytes of a session string.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<ImportedSession, ImportError> {
    if !matches!(bytes.len(), IPV4_LEN | IPV6_LEN) {
        return Err(ImportError::Length { len: bytes.len() });
    }
    read(bytes).map_err(|_| ImportError::Malformed { what: "fields" })?
}

/// Writes the string that `StringSession` reads.
///
/// # Errors
///
/// The session has no address of a server, or its datacenter is above 255.
pub fn to_string(session: &ImportedSession) -> Result<Zeroizing<String>, ExportError> {
    let (address, port) = export::address(session)?;
    let mut bytes = Bytes::new();
    bytes.put(&[export::dc(session)?]);
    match address {
        IpAddr::V4(address) => bytes.put(&address.octets()),
        IpAddr::V6(address) => bytes.put(&address.octets()),
    };
    bytes.put(&port.to_be_bytes()).put(session.auth_key.as_bytes());
    Ok(bytes.encode::<Base64Url>("1"))
}

fn read(bytes: &[u8]) -> chappe_tl::deserialize::Result<Result<ImportedSession, ImportError>> {
    let mut cursor = Cursor::from_slice(bytes);
    let dc = cursor.read_byte()?;
    let address: IpAddr = if bytes.len() == IPV4_LEN {
        Ipv4Addr::from(cursor.read_array::<4>()?).into()
    } else {
        Ipv6Addr::from(cursor.read_array::<16>()?).into()
    };
    let port = u16::from_be_bytes(cursor.read_array()?);
    Ok(from_row(dc.into(), &address.to_string(), port.into(), cursor.rest()))
}

/// Reads a row of a session file. Pass an empty text and an empty key where the column is `NULL`.
///
/// # Errors
///
/// A column has an invalid value, or there is no key.
pub fn from_row(
    dc_id: i64,
    server_address: &str,
    port: i64,
    auth_key: &[u8],
) -> Result<ImportedSession, ImportError> {
    Ok(ImportedSession {
        dc: super::dc(dc_id)?,
        environment: None,
        server: super::server(server_address, port)?,
        auth_key: super::auth_key(auth_key)?,
        user: None,
        api_id: None,
    })
}
