//! Files of the folder: their frame, streams of Qt, and local encryption.

use chappe_crypto::kdf::aes_v1;
use chappe_crypto::{AuthKey, MsgKey, Side, ct, hash, ige};
use chappe_tl::deserialize::Cursor;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use crate::ImportError;

/// Longest file that is read. The file of an account has some kilobytes.
const MAX_FILE_LEN: usize = 4 << 20;

const MAGIC: [u8; 4] = *b"TDF$";
const CHECKSUM: usize = 16;

/// Bytes of the SHA-1 in front of encrypted data.
const MSG_KEY: usize = 16;

/// The length in front of a byte array that is absent.
const NULL: u32 = u32::MAX;

const CUT_OFF: ImportError = ImportError::Malformed { what: "length of a file of tdata" };

/// Checks the frame of a file and returns the contents.
pub(super) fn open(bytes: &[u8]) -> Result<&[u8], ImportError> {
    if bytes.len() > MAX_FILE_LEN {
        return Err(ImportError::Length { len: bytes.len() });
    }
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else { return Err(CUT_OFF) };
    if *magic != MAGIC {
        return Err(ImportError::UnknownVersion);
    }
    let Some((version, rest)) = rest.split_first_chunk::<4>() else { return Err(CUT_OFF) };
    let Some((contents, checksum)) = rest.split_last_chunk::<CHECKSUM>() else { return Err(CUT_OFF) };
    let digest = Md5::new()
        .chain_update(contents)
        .chain_update((contents.len() as u32).to_le_bytes())
        .chain_update(version)
        .chain_update(MAGIC)
        .finalize();
    if digest[..] == checksum[..] { Ok(contents) } else { Err(ImportError::Malformed { what: "checksum" }) }
}

/// Decrypts local data. The SHA-1 in front of it tells whether the key is the right one.
pub(super) fn decrypt(encrypted: &[u8], key: &AuthKey) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    const MALFORMED: ImportError = ImportError::Malformed { what: "encrypted data" };
    let (msg_key, data) = encrypted.split_first_chunk::<MSG_KEY>().ok_or(MALFORMED)?;
    let mut plain = Zeroizing::new(data.to_vec());
    let aes = aes_v1(key, Side::Server, &MsgKey::from_bytes(*msg_key));
    ige::decrypt(&aes.key, &aes.iv, &mut plain).map_err(|_| MALFORMED)?;
    let digest = Zeroizing::new(hash::sha1(&[&plain]));
    if !ct::eq(&digest[..MSG_KEY], msg_key) {
        return Err(ImportError::Locked);
    }
    let len = plain.first_chunk().map(|len| u32::from_le_bytes(*len) as usize).ok_or(MALFORMED)?;
    // The length counts itself; less than a block is padding.
    if len < 4 || len > plain.len() || len + 16 <= plain.len() {
        return Err(MALFORMED);
    }
    plain.truncate(len);
    plain.drain(..4);
    Ok(plain)
}

/// Reads a byte array. An absent one reads as an empty one.
pub(super) fn read_bytes<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], ImportError> {
    match read_u32(cursor)? {
        NULL => Ok(&[]),
        len => cursor.take(len as usize).map_err(|_| CUT_OFF),
    }
}

pub(super) fn read_u32(cursor: &mut Cursor<'_>) -> Result<u32, ImportError> {
    cursor.read_array().map(u32::from_be_bytes).map_err(|_| CUT_OFF)
}

pub(super) fn read_i32(cursor: &mut Cursor<'_>) -> Result<i32, ImportError> {
    cursor.read_array().map(i32::from_be_bytes).map_err(|_| CUT_OFF)
}

pub(super) fn read_i64(cursor: &mut Cursor<'_>) -> Result<i64, ImportError> {
    cursor.read_array().map(i64::from_be_bytes).map_err(|_| CUT_OFF)
}
