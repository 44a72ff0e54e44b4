//! The file of an account: a list of settings, of which those of MTProto come first.

use chappe_tl::deserialize::Cursor;

use super::file::{read_bytes, read_i32, read_i64, read_u32};
use crate::keys::{Keys, MAX_KEYS};
use crate::{ImportError, ImportedSession, User};

/// Numbers of settings: a key and the user, as versions before 1.0 wrote them one by one, and all of them in one.
const KEY: u32 = 0x00;
const USER: u32 = 0x01;
const AUTHORIZATION: u32 = 0x4b;

const KEY_LEN: usize = 256;

/// In place of both numbers in front of an authorization, if wider ones follow.
const WIDE: i32 = -1;

/// Reads the keys of an account.
pub(super) fn read(settings: &[u8]) -> Result<Vec<ImportedSession>, ImportError> {
    let mut cursor = Cursor::from_slice(settings);
    let mut keys = Keys::default();
    while !cursor.is_empty() {
        match read_u32(&mut cursor)? {
            AUTHORIZATION => {
                let authorization = read_bytes(&mut cursor)?;
                read_authorization(&mut Cursor::from_slice(authorization), &mut keys)?;
            }
            KEY => read_key(&mut cursor, &mut keys)?,
            USER => {
                let user = read_i32(&mut cursor)?.into();
                set_home(&mut keys, user, read_u32(&mut cursor)?.into());
            }
            // Settings of another kind have other lengths, and follow those of MTProto.
            _ => break,
        }
    }
    keys.into_sessions()
}

fn read_authorization(cursor: &mut Cursor<'_>, keys: &mut Keys) -> Result<(), ImportError> {
    let (user, dc) = (read_i32(cursor)?, read_i32(cursor)?);
    if (user, dc) == (WIDE, WIDE) {
        let user = read_i64(cursor)?;
        set_home(keys, user, read_i32(cursor)?.into());
    } else {
        set_home(keys, user.into(), dc.into());
    }
    let count = read_u32(cursor)?;
    if count as usize > MAX_KEYS {
        return Err(ImportError::Malformed { what: "number of keys" });
    }
    for _ in 0..count {
        read_key(cursor, keys)?;
    }
    // Keys that the program means to destroy follow.
    Ok(())
}

fn read_key(cursor: &mut Cursor<'_>, keys: &mut Keys) -> Result<(), ImportError> {
    let dc = read_i32(cursor)?.into();
    let key = cursor.take(KEY_LEN).map_err(|_| ImportError::Malformed { what: "key" })?;
    keys.push(dc, key, None, None)
}

/// Notes the account. Both are 0 until a user has logged in.
fn set_home(keys: &mut Keys, user: i64, dc: i64) {
    keys.main = Some(dc).filter(|dc| *dc != 0);
    keys.user = Some(User { id: user, is_bot: false }).filter(|user| user.id != 0);
}
