//! Sessions of mtcute.
//!
//! A string is base64 without padding of: version 1, and behind it in the encoding of TL: flags `int`, the main server, the one
//! for media if flag 2 is set, id of the user `long` and bot `Bool` if flag 0 is set, the key as `bytes`. Flag 1 says that
//! the servers are of the test environment.
//!
//! Versions 1 and 2 write a server as a `dcOption` of the API. Version 3 writes `bytes` of: version 1, id of the
//! datacenter 1, flags 1, address `string`, port `int`; since version 2 of these, flag 2 says that it is a server of the test
//! environment.

use chappe_tl::Deserializable as _;
use chappe_tl::deserialize::{Cursor, Result as Read};

use super::{ImportError, ImportedSession, User, environment, text};

const HAS_SELF: u32 = 1 << 0;
const IS_TEST: u32 = 1 << 1;
const HAS_MEDIA: u32 = 1 << 2;

/// `dcOption#18b7a10d`, as it was in every layer that versions 1 and 2 were written under.
const DC_OPTION: u32 = 0x18b7_a10d;
const DC_OPTION_HAS_SECRET: u32 = 1 << 10;

const SERVER_IS_TEST: u8 = 1 << 2;

/// A server as any version writes it.
struct ServerFields<'a> {
    dc: i64,
    host: &'a [u8],
    port: i32,
    is_test: bool,
}

/// Reads what `exportSession` returns.
///
/// # Errors
///
/// Fails if the text is anything else, or has no key.
pub fn from_string(text: &str) -> Result<ImportedSession, ImportError> {
    let bytes = text::decode(text.trim())?;
    let (version, fields) = bytes.split_first().ok_or(ImportError::Length { len: 0 })?;
    if !(1..=3).contains(version) {
        return Err(ImportError::UnknownVersion { version: (*version).into() });
    }
    read(&mut Cursor::from_slice(fields), *version).map_err(|_| ImportError::Malformed { what: "fields" })?
}

fn read(cursor: &mut Cursor<'_>, version: u8) -> Read<Result<ImportedSession, ImportError>> {
    let flags = cursor.read_u32()?;
    let Some(main) = read_server(cursor, version)? else { return Ok(Err(UNKNOWN_SERVER)) };
    if version >= 2 && flags & HAS_MEDIA != 0 && read_server(cursor, version)?.is_none() {
        return Ok(Err(UNKNOWN_SERVER));
    }
    let user = match flags & HAS_SELF {
        0 => None,
        _ => Some(User { id: cursor.read_i64()?, is_bot: bool::deserialize(cursor)? }),
    };
    let auth_key = cursor.read_bytes()?;
    cursor.finish()?;
    Ok(session(&main, flags & IS_TEST != 0, user, auth_key))
}

const UNKNOWN_SERVER: ImportError = ImportError::Malformed { what: "server" };

/// Reads a server, or returns `None` if it is written in a way that is not known.
fn read_server<'a>(cursor: &mut Cursor<'a>, version: u8) -> Read<Option<ServerFields<'a>>> {
    if version < 3 {
        return read_dc_option(cursor);
    }
    let mut cursor = Cursor::from_slice(cursor.read_bytes()?);
    let [version, dc, flags] = cursor.read_array()?;
    if !(1..=2).contains(&version) {
        return Ok(None);
    }
    let is_test = version >= 2 && flags & SERVER_IS_TEST != 0;
    let (host, port) = (cursor.read_bytes()?, cursor.read_i32()?);
    cursor.finish()?;
    Ok(Some(ServerFields { dc: dc.into(), host, port, is_test }))
}

fn read_dc_option<'a>(cursor: &mut Cursor<'a>) -> Read<Option<ServerFields<'a>>> {
    if cursor.read_u32()? != DC_OPTION {
        return Ok(None);
    }
    let flags = cursor.read_u32()?;
    let dc = cursor.read_i32()?.into();
    let (host, port) = (cursor.read_bytes()?, cursor.read_i32()?);
    if flags & DC_OPTION_HAS_SECRET != 0 {
        cursor.read_bytes()?;
    }
    Ok(Some(ServerFields { dc, host, port, is_test: false }))
}

fn session(
    main: &ServerFields<'_>,
    is_test: bool,
    user: Option<User>,
    auth_key: &[u8],
) -> Result<ImportedSession, ImportError> {
    let host = core::str::from_utf8(main.host).map_err(|_| ImportError::Server { len: main.host.len() })?;
    Ok(ImportedSession {
        dc: super::dc(main.dc)?,
        environment: Some(environment(is_test || main.is_test)),
        server: super::server(host, main.port.into())?,
        auth_key: super::auth_key(auth_key)?,
        user,
        api_id: None,
    })
}
