//! Sessions of `WTelegramClient`.
//!
//! A file is, since version 2, a header of 8: position 4 and length 4 of the newest data (little-endian), of which the file
//! keeps several. Version 1 has the data alone. The data is an IV of 16, and under AES-CBC with PKCS #7 padding: the SHA-256 of the JSON
//! 32, and the JSON. The key of AES is the `session_key` of the configuration, or the `api_hash` without one.
//!
//! ```json
//! {"ApiId": 1, "UserId": 1, "MainDC": 2, "DCSessions": {"2": {"AuthKeyID": 1, "AuthKey": "base64",
//!     "UserId": 1, "DataCenter": {"id": 2, "ip_address": "149.154.167.50", "port": 443}, …}, …}, …}
//! ```
//!
//! Version 1 has the members of one of the `DCSessions` in the place of the whole.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use chappe_crypto::{ct, hash};
use zeroize::Zeroizing;

use crate::json::Object;
use crate::keys::Keys;
use crate::{ImportError, ImportedSession, ServerAddress, User, text};

/// Longest file that is read. The library never lets one grow above this.
const MAX_LEN: usize = 1 << 20;

const HEADER: usize = 8;
const IV: usize = 16;
const DIGEST: usize = 32;

/// Reads a file: a session for each datacenter with a key, that of the account first.
///
/// `session_key` is the option of that name, or the `api_hash` of the application: 32, 48 or 64 hexadecimal digits.
///
/// # Errors
///
/// [`ImportError::Locked`] if the key is another one; otherwise it is no such file, or has no key of a datacenter.
pub fn from_file(bytes: &[u8], session_key: &str) -> Result<Vec<ImportedSession>, ImportError> {
    if bytes.len() > MAX_LEN {
        return Err(ImportError::Length { len: bytes.len() });
    }
    let key = text::decode_hex(session_key)?;
    let newest = newest(bytes).map(|data| decrypt(data, &key));
    let json = match newest {
        Some(Ok(json)) => json,
        _ => decrypt(bytes, &key)?,
    };
    let json = core::str::from_utf8(&json[DIGEST..]).map_err(|_| ImportError::Malformed { what: "JSON" })?;
    read(&Object::parse(json, "JSON")?)
}

/// Returns the newest data of a file with a header.
fn newest(bytes: &[u8]) -> Option<&[u8]> {
    let (position, rest) = bytes.split_first_chunk()?;
    let len = u32::from_le_bytes(*rest.first_chunk()?) as usize;
    let position = u32::from_le_bytes(*position) as usize;
    bytes.get(position..)?.get(..len).filter(|_| position >= HEADER)
}

/// Decrypts data. The digest in front tells whether the key is the right one.
fn decrypt(data: &[u8], key: &[u8]) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    let (iv, encrypted) =
        data.split_first_chunk::<IV>().ok_or(ImportError::Malformed { what: "length of the file" })?;
    let mut plain = Zeroizing::new(encrypted.to_vec());
    let (iv, buf) = (&iv[..], plain.as_mut_slice());
    let len = match key.len() {
        16 => Decryptor::<Aes128>::new_from_slices(key, iv).ok().map(|aes| aes.decrypt_padded::<Pkcs7>(buf)),
        24 => Decryptor::<Aes192>::new_from_slices(key, iv).ok().map(|aes| aes.decrypt_padded::<Pkcs7>(buf)),
        32 => Decryptor::<Aes256>::new_from_slices(key, iv).ok().map(|aes| aes.decrypt_padded::<Pkcs7>(buf)),
        len => return Err(ImportError::Length { len }),
    };
    let len = len.and_then(Result::ok).map(<[u8]>::len).ok_or(ImportError::Locked)?;
    plain.truncate(len);
    let (digest, json) = plain.split_at_checked(DIGEST).ok_or(ImportError::Locked)?;
    if !ct::eq(digest, &hash::sha256(&[json])) {
        return Err(ImportError::Locked);
    }
    Ok(plain)
}

fn read(file: &Object<'_>) -> Result<Vec<ImportedSession>, ImportError> {
    let mut keys = Keys::default();
    keys.api_id = file.integer("ApiId")?.and_then(|id| i32::try_from(id).ok());
    let user = |object: &Object<'_>| -> Result<Option<User>, ImportError> {
        // The library does not say whether it is a bot.
        Ok(object.integer("UserId")?.filter(|id| *id != 0).map(|id| User { id, is_bot: false }))
    };
    keys.user = user(file)?;
    let Some(sessions) = file.object("DCSessions")? else {
        let dc = push(&mut keys, file, None)?.ok_or(ImportError::NoKey)?;
        keys.main = Some(dc);
        return keys.into_sessions();
    };
    keys.main = file.integer("MainDC")?.filter(|dc| *dc != 0);
    for (id, session) in sessions.iter() {
        let id: i64 = id.parse().map_err(|_| ImportError::Malformed { what: "DCSessions" })?;
        // A negative number stands for the servers of media, which use the key of their datacenter.
        if id > 0 {
            push(&mut keys, &Object::parse(session, "DCSessions")?, Some(id))?;
        }
    }
    keys.into_sessions()
}

/// Adds the key of a datacenter, if it has one.
fn push(keys: &mut Keys, session: &Object<'_>, id: Option<i64>) -> Result<Option<i64>, ImportError> {
    let Some(key) = session.text("AuthKey")? else { return Ok(None) };
    let key_id = session.integer("AuthKeyID")?.map(i64::to_le_bytes);
    let server = session.object("DataCenter")?;
    let dc = match (&server, id) {
        (Some(server), None) => server.integer("id")?,
        (_, id) => id,
    };
    let dc = dc.ok_or(ImportError::Malformed { what: "DataCenter" })?;
    let server = server.map(|server| address(&server)).transpose()?.flatten();
    keys.push(dc, &text::decode(&key)?, key_id, server)?;
    Ok(Some(dc))
}

fn address(server: &Object<'_>) -> Result<Option<ServerAddress>, ImportError> {
    let (host, port) = (server.text("ip_address")?, server.integer("port")?);
    match (host, port) {
        (Some(host), Some(port)) => crate::server(&host, port),
        _ => Ok(None),
    }
}
