//! Sessions of mtcute.
//!
//! A string is base64 without padding of: version 1, then in TL encoding: flags `int`, the main server, the server for media
//! if flag 2 is set, id of the user `long` and bot `Bool` if flag 0 is set, the key as `bytes`. Flag 1 means that the servers
//! belong to the test environment.
//!
//! Versions 1 and 2 write a server as a `dcOption` of the API. Version 3 writes `bytes` of: version 1, id of the
//! datacenter 1, flags 1, address `string`, port `int`; since version 2 of these, flag 2 means the test environment.
//!
//! The SQLite database has a key for each datacenter in `auth_keys`, and in `key_value` the main server as in strings of version 3,
//! and the user: version `int`, flags `int` of which 0 means a bot, id `long`, and if flag 1 is set, a number `int` of user
//! names `string`.

use base64ct::Base64UrlUnpadded;
use chappe_tl::Deserializable as _;
use chappe_tl::deserialize::{Cursor, Result as Read};
use zeroize::Zeroizing;

use super::export::{self, Bytes, ExportError};
use super::{ImportError, ImportedSession, User, environment, text};

const HAS_SELF: u32 = 1 << 0;
const IS_TEST: u32 = 1 << 1;
const HAS_MEDIA: u32 = 1 << 2;

/// `dcOption#18b7a10d`: the same in every layer that wrote versions 1 and 2.
const DC_OPTION: u32 = 0x18b7_a10d;
const DC_OPTION_HAS_SECRET: u32 = 1 << 10;

const SERVER_IS_IPV6: u8 = 1 << 0;
const SERVER_IS_TEST: u8 = 1 << 2;

/// Version of the user's entry, and its flag for bots.
const USER_VERSION: i32 = 1;
const USER_IS_BOT: u32 = 1 << 0;
const USER_HAS_NAMES: u32 = 1 << 1;

/// SQL query for the columns of a [`Row`], in the order of its fields.
pub const QUERY: &str = "SELECT auth_keys.dc, auth_keys.key, main.value, user.value FROM auth_keys \
    LEFT JOIN key_value AS main ON main.key = 'dc_main' LEFT JOIN key_value AS user ON user.key = 'current_user'";

/// A row of the SQLite database.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The datacenter that the key is for.
    pub dc: i64,
    /// The key.
    pub key: &'a [u8],
    /// The main server.
    pub dc_main: Option<&'a [u8]>,
    /// Who is logged in.
    pub current_user: Option<&'a [u8]>,
}

impl core::fmt::Debug for Row<'_> {
    /// Omits the key (`SEC-05`).
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Row").field("dc", &self.dc).finish_non_exhaustive()
    }
}

/// Reads a row of [`QUERY`]. Only the key of the main datacenter has a server and a user.
///
/// # Errors
///
/// A column has an invalid value, or there is no key.
pub fn from_row(row: &Row<'_>) -> Result<ImportedSession, ImportError> {
    const USER: ImportError = ImportError::Malformed { what: "user" };
    let main = match row.dc_main {
        None => None,
        Some(bytes) => Some(read_basic(bytes).map_err(|_| UNKNOWN_SERVER)?.ok_or(UNKNOWN_SERVER)?),
    };
    let user = match row.current_user {
        None | Some([]) => None,
        Some(bytes) => Some(read_user(bytes).map_err(|_| USER)?.ok_or(USER)?),
    };
    match main {
        Some(main) if main.dc == row.dc => session(&main, main.is_test, user, row.key),
        main => Ok(ImportedSession {
            dc: super::dc(row.dc)?,
            environment: main.map(|main| environment(main.is_test)),
            server: None,
            auth_key: super::auth_key(row.key)?,
            user: None,
            api_id: None,
        }),
    }
}

fn read_user(bytes: &[u8]) -> Read<Option<User>> {
    let mut cursor = Cursor::from_slice(bytes);
    if cursor.read_i32()? != USER_VERSION {
        return Ok(None);
    }
    let flags = cursor.read_u32()?;
    let user = User { id: cursor.read_i64()?, is_bot: flags & USER_IS_BOT != 0 };
    let names = if flags & USER_HAS_NAMES == 0 { 0 } else { cursor.read_count(4)? };
    for _ in 0..names {
        cursor.read_bytes()?;
    }
    cursor.finish()?;
    Ok(Some(user))
}

/// A server, from any version.
struct ServerFields<'a> {
    dc: i64,
    host: &'a [u8],
    port: i32,
    is_test: bool,
}

/// Reads the string that `exportSession` returns.
///
/// # Errors
///
/// The text is not such a string, or has no key.
pub fn from_string(text: &str) -> Result<ImportedSession, ImportError> {
    let bytes = text::decode(&text::clean(text)?)?;
    let (version, fields) = bytes.split_first().ok_or(ImportError::Length { len: 0 })?;
    if !(1..=3).contains(version) {
        return Err(ImportError::UnknownVersion);
    }
    read(&mut Cursor::from_slice(fields), *version).map_err(|_| ImportError::Malformed { what: "fields" })?
}

/// Writes the string of version 3 that `importSession` reads. A key without a recorded environment is written as one of
/// production.
///
/// # Errors
///
/// The session has no server, or its datacenter is above 255.
pub fn to_string(session: &ImportedSession) -> Result<Zeroizing<String>, ExportError> {
    const BOOL: [u32; 2] = [0xbc79_9737, 0x9972_75b5];
    let host = &export::server(session)?.host;
    let is_ipv6 = if host.contains(':') { SERVER_IS_IPV6 } else { 0 };
    let is_test = if export::is_test(session) { SERVER_IS_TEST } else { 0 };
    let mut server = Bytes::new();
    server.put(&[2, export::dc(session)?, is_ipv6 | is_test]).put_tl(host.as_bytes());
    server.put(&i32::from(export::server(session)?.port).to_le_bytes());
    let flags = if session.user.is_some() { HAS_SELF } else { 0 };
    let mut bytes = Bytes::new();
    bytes.put(&[3]).put(&flags.to_le_bytes()).put_tl(server.as_slice());
    if let Some(user) = session.user {
        bytes.put(&user.id.to_le_bytes()).put(&BOOL[usize::from(user.is_bot)].to_le_bytes());
    }
    bytes.put_tl(session.auth_key.as_bytes());
    Ok(bytes.encode::<Base64UrlUnpadded>(""))
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

/// Reads a server. Returns `None` for an unknown format.
fn read_server<'a>(cursor: &mut Cursor<'a>, version: u8) -> Read<Option<ServerFields<'a>>> {
    if version < 3 {
        return read_dc_option(cursor);
    }
    read_basic(cursor.read_bytes()?)
}

fn read_basic(bytes: &[u8]) -> Read<Option<ServerFields<'_>>> {
    let mut cursor = Cursor::from_slice(bytes);
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
