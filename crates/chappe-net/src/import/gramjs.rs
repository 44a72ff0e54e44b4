//! Sessions of GramJS.
//!
//! A string is the letter `1` and base64 of: id of the datacenter 1, length of the address 2 (big-endian), address as text, port 2
//! (big-endian), key 256. Telethon's are read as well, as the library does itself.

use chappe_tl::deserialize::Cursor;

use super::{ImportError, ImportedSession, telethon, text};

/// Longest address. What is larger in its place is the beginning of an IPv6 address that Telethon wrote.
const MAX_ADDRESS_LEN: u16 = 100;

/// Letters of base64 behind the `1` in Telethon's strings with an IPv4 address.
const TELETHON_IPV4_LEN: usize = 352;

/// Reads what `StringSession.save` returns.
///
/// # Errors
///
/// Fails if the text is anything else, or has no key.
pub fn from_string(text: &str) -> Result<ImportedSession, ImportError> {
    let text = telethon::version_1(text)?;
    let bytes = text::decode(text)?;
    let is_short = matches!(bytes[..], [_, a, b, ..] if u16::from_be_bytes([a, b]) <= MAX_ADDRESS_LEN);
    if text.len() == TELETHON_IPV4_LEN || !is_short {
        return telethon::from_bytes(&bytes);
    }
    let mut cursor = Cursor::from_slice(&bytes);
    let (dc, host, port) = read(&mut cursor).map_err(|_| ImportError::Malformed { what: "address" })?;
    let host = core::str::from_utf8(host).map_err(|_| ImportError::Server { len: host.len() })?;
    telethon::from_row(dc.into(), host, port.into(), cursor.rest())
}

fn read<'a>(cursor: &mut Cursor<'a>) -> chappe_tl::deserialize::Result<(u8, &'a [u8], u16)> {
    let dc = cursor.read_byte()?;
    let len = u16::from_be_bytes(cursor.read_array()?);
    let host = cursor.take(len.into())?;
    Ok((dc, host, u16::from_be_bytes(cursor.read_array()?)))
}
