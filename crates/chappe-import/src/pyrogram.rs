//! Sessions of Pyrogram and its forks, such as Kurigram, Hydrogram and Pyrofork.
//!
//! A string is base64 without padding of one of three structures, which differ in length (numbers are big-endian):
//!
//! | bytes | fields |
//! |---|---|
//! | 263 | id of the datacenter 1, test 1, key 256, id of the user 4, bot 1 |
//! | 267 | the same, with an id of the user of 8 |
//! | 271 | id of the datacenter 1, `api_id` 4, test 1, key 256, id of the user 8, bot 1 |
//!
//! A file is an SQLite database; all versions of its tables have the columns of [`QUERY`].

use base64ct::Base64UrlUnpadded;
use chappe_tl::deserialize::{Cursor, Result as Read};
use zeroize::Zeroizing;

use super::export::{self, Bytes, ExportError};
use super::{ImportError, ImportedSession, User, environment, text};

/// SQL query for the columns of a [`Row`], in the order of its fields.
pub const QUERY: &str = "SELECT dc_id, test_mode, auth_key, user_id, is_bot FROM sessions";

const SHORT_USER: usize = 263;
const LONG_USER: usize = 267;
const WITH_API_ID: usize = 271;

/// A row of a session file. A column is `None` where it is `NULL`; some are until the user has logged in.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Row<'a> {
    /// `dc_id`.
    pub dc_id: i64,
    /// `test_mode`: 0 or 1.
    pub test_mode: Option<i64>,
    /// `auth_key`.
    pub auth_key: Option<&'a [u8]>,
    /// `user_id`.
    pub user_id: Option<i64>,
    /// `is_bot`: 0 or 1.
    pub is_bot: Option<i64>,
}

impl core::fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Row")
            .field("dc_id", &self.dc_id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// Returns whether a text has the length of a session string.
pub(super) fn has_length(text: &str) -> bool {
    let digits = text.trim_end_matches('=').len();
    [SHORT_USER, LONG_USER, WITH_API_ID].iter().any(|len| digits == (len * 4).div_ceil(3))
}

/// Reads the string that `export_session_string` returns.
///
/// # Errors
///
/// The text is not such a string, or has no key.
pub fn from_string(text: &str) -> Result<ImportedSession, ImportError> {
    let bytes = text::decode(&text::clean(text)?)?;
    if !matches!(bytes.len(), SHORT_USER | LONG_USER | WITH_API_ID) {
        return Err(ImportError::Length { len: bytes.len() });
    }
    let (row, api_id) = read(&bytes).map_err(|_| ImportError::Malformed { what: "fields" })?;
    Ok(ImportedSession { api_id, ..from_row(&row)? })
}

/// Writes the string that Pyrogram since 2.0 and its forks read: of 271 bytes if the session has an `api_id`, otherwise of 267.
/// A key without a recorded environment is written as one of production.
///
/// # Errors
///
/// The session has no user, or its datacenter is above 255.
pub fn to_string(session: &ImportedSession) -> Result<Zeroizing<String>, ExportError> {
    let user = export::user(session)?;
    let mut bytes = Bytes::new();
    bytes.put(&[export::dc(session)?]);
    if let Some(api_id) = session.api_id {
        bytes.put(&api_id.to_be_bytes());
    }
    bytes.put(&[export::is_test(session).into()]).put(session.auth_key.as_bytes());
    bytes.put(&user.id.to_be_bytes()).put(&[user.is_bot.into()]);
    Ok(bytes.encode::<Base64UrlUnpadded>(""))
}

fn read(bytes: &[u8]) -> Read<(Row<'_>, Option<i32>)> {
    let mut cursor = Cursor::from_slice(bytes);
    let dc_id = cursor.read_byte()?.into();
    let api_id = match bytes.len() {
        WITH_API_ID => Some(i32::from_be_bytes(cursor.read_array()?)),
        _ => None,
    };
    let test_mode = Some(cursor.read_byte()?.into());
    let auth_key = Some(cursor.take(256)?);
    let user_id = Some(match bytes.len() {
        SHORT_USER => u32::from_be_bytes(cursor.read_array()?).into(),
        _ => i64::from_be_bytes(cursor.read_array()?),
    });
    let is_bot = Some(cursor.read_byte()?.into());
    Ok((Row { dc_id, test_mode, auth_key, user_id, is_bot }, api_id))
}

/// Reads a row of a session file.
///
/// # Errors
///
/// A column has an invalid value, or there is no key.
pub fn from_row(row: &Row<'_>) -> Result<ImportedSession, ImportError> {
    let is_test = row.test_mode.map(|value| flag(value, "test_mode")).transpose()?;
    let is_bot = row.is_bot.map(|value| flag(value, "is_bot")).transpose()?;
    let user = match (row.user_id, is_bot) {
        (None | Some(0), _) => None,
        (Some(id), is_bot) => Some(User { id, is_bot: is_bot.unwrap_or_default() }),
    };
    Ok(ImportedSession {
        dc: super::dc(row.dc_id)?,
        environment: is_test.map(environment),
        server: None,
        auth_key: super::auth_key(row.auth_key.unwrap_or_default())?,
        user,
        api_id: None,
    })
}

const fn flag(value: i64, what: &'static str) -> Result<bool, ImportError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ImportError::Malformed { what }),
    }
}
