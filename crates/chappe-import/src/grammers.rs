//! Sessions of grammers: one key for each datacenter that was used.
//!
//! Since 0.8 a file is an SQLite database with the columns of [`QUERY`]; `SELECT dc_id FROM dc_home` gives the datacenter of the
//! account. Before 0.8, and in 0.8 with its `TlSession`, it is one TL object:
//!
//! ```text
//! dataCenter flags:# id:int ipv4:flags.0?int ipv6:flags.1?int128 port:int auth:flags.2?bytes = DataCenter;
//! dataCenterWs flags:# id:int url:string auth:flags.0?bytes = DataCenter;
//! user id:long dc:int bot:Bool = User;
//! session flags:# dcs:Vector<DataCenter> user:flags.0?User state:flags.1?UpdateState = Session;
//! ```

use std::net::SocketAddr;

use chappe_tl::Deserializable as _;
use chappe_tl::deserialize::{Cursor, Result as Read};

use super::keys::{Keys, MAX_KEYS};
use super::{ImportError, ImportedSession, User};

/// SQL query for the arguments of [`from_row`]: a row for each datacenter with a key.
pub const QUERY: &str = "SELECT dc_id, ipv4, auth_key FROM dc_option WHERE auth_key IS NOT NULL";

/// Longest file that is read. The update state of a thousand channels takes some 20 KB.
const MAX_FILE_LEN: usize = 4 << 20;

const SESSION: u32 = 0xa73e_b8ce;
const DATA_CENTER: u32 = 0x756d_16b6;
const DATA_CENTER_WS: u32 = 0x7249_0a88;
const USER: u32 = 0x672f_428d;

/// Reads a row of a session file. `ipv4` is an address with a port.
///
/// # Errors
///
/// A column has an invalid value, or there is no key.
pub fn from_row(dc_id: i64, ipv4: &str, auth_key: &[u8]) -> Result<ImportedSession, ImportError> {
    let address: SocketAddr = ipv4.parse().map_err(|_| ImportError::Server { len: ipv4.len() })?;
    Ok(ImportedSession {
        dc: super::dc(dc_id)?,
        environment: None,
        server: super::server(&address.ip().to_string(), address.port().into())?,
        auth_key: super::auth_key(auth_key)?,
        user: None,
        api_id: None,
    })
}

/// Reads a session file of the versions before SQLite. The user is that of the account's own datacenter, which comes
/// first; the others have none.
///
/// Addresses are left out: the library wrote them in different orders of bytes over time.
///
/// # Errors
///
/// It is not such a file, or has no key for any datacenter.
pub fn from_file(bytes: &[u8]) -> Result<Vec<ImportedSession>, ImportError> {
    if bytes.len() > MAX_FILE_LEN {
        return Err(ImportError::Length { len: bytes.len() });
    }
    let mut cursor = Cursor::from_slice(bytes);
    let malformed = |_| ImportError::Malformed { what: "fields" };
    if cursor.read_u32().map_err(malformed)? != SESSION {
        return Err(ImportError::UnknownVersion);
    }
    read(&mut cursor).map_err(malformed)??.into_sessions()
}

/// Reads up to the user. The state of updates follows, which other libraries cannot use.
fn read(cursor: &mut Cursor<'_>) -> Read<Result<Keys, ImportError>> {
    const VECTOR: u32 = 0x1cb5_c415;
    const HAS_USER: u32 = 1 << 0;
    let flags = cursor.read_u32()?;
    if cursor.read_u32()? != VECTOR {
        return Ok(Err(ImportError::Malformed { what: "list of datacenters" }));
    }
    let count = cursor.read_count(8)?;
    if count > MAX_KEYS {
        return Ok(Err(ImportError::Malformed { what: "number of datacenters" }));
    }
    let mut keys = Keys::default();
    for _ in 0..count {
        let found = match cursor.read_u32()? {
            DATA_CENTER => read_data_center(cursor)?,
            DATA_CENTER_WS => read_data_center_ws(cursor)?,
            _ => return Ok(Err(ImportError::UnknownVersion)),
        };
        if let Some((dc, key)) = found
            && let Err(error) = keys.push(dc.into(), key, None, None)
        {
            return Ok(Err(error));
        }
    }
    if flags & HAS_USER == 0 {
        return Ok(Ok(keys));
    }
    if cursor.read_u32()? != USER {
        return Ok(Err(ImportError::UnknownVersion));
    }
    let id = cursor.read_i64()?;
    let dc = cursor.read_i32()?;
    let is_bot = bool::deserialize(cursor)?;
    // 0 stands for a datacenter that is chosen before anybody has logged in.
    keys.main = Some(dc.into()).filter(|_| id != 0);
    keys.user = Some(User { id, is_bot });
    Ok(Ok(keys))
}

fn read_data_center<'a>(cursor: &mut Cursor<'a>) -> Read<Option<(i32, &'a [u8])>> {
    let (flags, id) = (cursor.read_u32()?, cursor.read_i32()?);
    if flags & 1 != 0 {
        cursor.take(4)?;
    }
    if flags & 2 != 0 {
        cursor.take(16)?;
    }
    let _port = cursor.read_i32()?;
    read_key(cursor, id, flags & 4 != 0)
}

fn read_data_center_ws<'a>(cursor: &mut Cursor<'a>) -> Read<Option<(i32, &'a [u8])>> {
    let (flags, id) = (cursor.read_u32()?, cursor.read_i32()?);
    let _url = cursor.read_bytes()?;
    read_key(cursor, id, flags & 1 != 0)
}

fn read_key<'a>(cursor: &mut Cursor<'a>, id: i32, is_there: bool) -> Read<Option<(i32, &'a [u8])>> {
    if !is_there {
        return Ok(None);
    }
    Ok(Some((id, cursor.read_bytes()?)))
}
