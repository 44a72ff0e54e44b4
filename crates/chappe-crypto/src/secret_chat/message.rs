//! Messages of a secret chat: `key_fingerprint`, `msg_key`, then the encrypted length, body and padding.

use core::{fmt, ops::Range};

use zeroize::Zeroize;

use super::{KeyFingerprint, Party};
use crate::{
    AuthKey, MsgKey, Side,
    message::{self, Layout, OpenError, SealError},
};

mod field {
    use core::ops::{Range, RangeFrom};
    pub(super) const FINGERPRINT: Range<usize> = 0..8;
    pub(super) const MSG_KEY: Range<usize> = FINGERPRINT.end..24;
    pub(super) const ENCRYPTED: RangeFrom<usize> = MSG_KEY.end..;
}

/// Length of the unencrypted header: fingerprint and `msg_key`.
pub const ENVELOPE_LEN: usize = field::MSG_KEY.end;
/// Length of the length field in front of the body, inside the encrypted part.
pub const LENGTH_LEN: usize = 4;
/// Accepted lengths of the padding of a 2.0 message.
const PADDING: core::ops::RangeInclusive<usize> = 12..=1024;

/// The protocol version of a secret chat message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MTProto 1.0: peers below layer 73.
    V1,
    /// MTProto 2.0.
    V2,
}

/// Encrypts a message in place: room for the header, then length, body and padding.
///
/// `frame` holds [`ENVELOPE_LEN`] bytes that are overwritten, then the plaintext. `sender` wrote the message.
///
/// # Errors
///
/// Fails, and leaves the bytes unchanged, if the plaintext is shorter than 32 bytes or not a multiple of 16.
pub fn seal(key: &AuthKey, sender: Party, frame: &mut [u8]) -> Result<(), SealError> {
    let (header, plaintext) = frame.split_first_chunk_mut().ok_or(SealError::InvalidLength { len: 0 })?;
    let sealed = message::seal(key, sender.side(), plaintext)?;
    write_header(header, key, &sealed.msg_key);
    Ok(())
}

/// Encrypts a message in place with MTProto 1.0, for a peer below layer 73.
///
/// Like [`seal`], with 0 to 15 bytes of padding behind the first `unpadded_len` of the plaintext.
///
/// # Errors
///
/// Fails, and leaves the bytes unchanged, if the lengths do not fit.
pub fn seal_v1(key: &AuthKey, frame: &mut [u8], unpadded_len: usize) -> Result<(), SealError> {
    let (header, plaintext) = frame.split_first_chunk_mut().ok_or(SealError::InvalidLength { len: 0 })?;
    let msg_key = message::seal_v1(key, Side::Client, plaintext, unpadded_len)?;
    write_header(header, key, &msg_key);
    Ok(())
}

fn write_header(header: &mut [u8; ENVELOPE_LEN], key: &AuthKey, msg_key: &MsgKey) {
    header[field::FINGERPRINT].copy_from_slice(KeyFingerprint::of(key).as_bytes());
    header[field::MSG_KEY].copy_from_slice(msg_key.as_bytes());
}

/// An encrypted message whose fingerprint can be read to find the key.
pub struct Envelope<'a> {
    fingerprint: KeyFingerprint,
    msg_key: MsgKey,
    encrypted: &'a mut [u8],
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl<'a> Envelope<'a> {
    /// Checks the length of the bytes of `encryptedMessage`.
    ///
    /// # Errors
    ///
    /// Fails if they are too short for a message.
    pub fn new_checked(frame: &'a mut [u8]) -> Result<Self, MessageError> {
        let len = frame.len();
        let (header, encrypted) =
            frame.split_first_chunk_mut::<ENVELOPE_LEN>().ok_or(MessageError::TooShort { len })?;
        if encrypted.is_empty() || !encrypted.len().is_multiple_of(16) {
            return Err(MessageError::Open(OpenError::InvalidLength { len: encrypted.len() }));
        }
        let fingerprint = header[field::FINGERPRINT].try_into().expect("the field is 8 bytes wide");
        let msg_key = header[field::MSG_KEY].try_into().expect("the field is 16 bytes wide");
        Ok(Self {
            fingerprint: KeyFingerprint::from_bytes(fingerprint),
            msg_key: MsgKey::from_bytes(msg_key),
            encrypted,
        })
    }

    /// Returns the fingerprint of the sender's key: the current one, or the previous one during re-keying (SEC-165).
    pub const fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// Decrypts with MTProto 2.0 and returns the range of the body in the frame.
    ///
    /// # Errors
    ///
    /// Fails if the key is another one, if `msg_key` is wrong, and then only if length or padding break the rules
    /// (SEC-166). The decrypted bytes are wiped.
    pub fn open(self, key: &AuthKey, sender: Party) -> Result<Range<usize>, MessageError> {
        self.check_fingerprint(key)?;
        message::open(key, sender.side(), &self.msg_key, self.encrypted).map_err(MessageError::Open)?;
        match body_len(self.encrypted) {
            Ok(len) => Ok(body_range(len)),
            Err(error) => {
                self.encrypted.zeroize();
                Err(error)
            }
        }
    }

    /// Decrypts with MTProto 1.0 and returns the range of the body in the frame.
    ///
    /// Only for chats in which no 2.0 message was seen and the peer's layer is below 73 (SEC-168).
    ///
    /// # Errors
    ///
    /// Fails if the key is another one or `msg_key` is wrong. The decrypted bytes are wiped.
    pub fn open_v1(self, key: &AuthKey) -> Result<Range<usize>, MessageError> {
        self.check_fingerprint(key)?;
        let opened = message::open_v1(key, Side::Client, Layout::SecretChat, &self.msg_key, self.encrypted)
            .map_err(MessageError::Open)?;
        Ok(body_range(opened.unpadded_len - LENGTH_LEN))
    }

    fn check_fingerprint(&self, key: &AuthKey) -> Result<(), MessageError> {
        if self.fingerprint == KeyFingerprint::of(key) {
            return Ok(());
        }
        Err(MessageError::UnknownKey { fingerprint: self.fingerprint })
    }
}

fn body_range(len: usize) -> Range<usize> {
    let start = field::ENCRYPTED.start + LENGTH_LEN;
    start..start + len
}

/// Reads the length in front of the body and checks that the padding behind it is allowed.
fn body_len(plaintext: &[u8]) -> Result<usize, MessageError> {
    let (prefix, rest) = plaintext.split_first_chunk::<LENGTH_LEN>().expect("open checked the least length");
    let raw = i32::from_le_bytes(*prefix);
    let len = usize::try_from(raw).map_err(|_| MessageError::InvalidBodyLen { len: raw })?;
    let padding = rest.len().checked_sub(len).ok_or(MessageError::InvalidBodyLen { len: raw })?;
    if !PADDING.contains(&padding) {
        return Err(MessageError::InvalidPadding { len: padding });
    }
    Ok(len)
}

/// Why a secret chat message was not opened. Drop the message and do not acknowledge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// The bytes are too short for fingerprint and `msg_key`.
    TooShort {
        /// Their length.
        len: usize,
    },
    /// The message was encrypted with another key.
    UnknownKey {
        /// The fingerprint of that key.
        fingerprint: KeyFingerprint,
    },
    /// It could not be decrypted.
    Open(OpenError),
    /// The length in front of the body is negative or larger than what is there.
    InvalidBodyLen {
        /// The field's value.
        len: i32,
    },
    /// The length of the padding is not 12 to 1024 bytes.
    InvalidPadding {
        /// The length.
        len: usize,
    },
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len } => write!(f, "{len} bytes are too short for a secret chat message"),
            Self::UnknownKey { fingerprint } => write!(f, "unknown key, {fingerprint:?}"),
            Self::Open(error) => error.fmt(f),
            Self::InvalidBodyLen { len } => write!(f, "body length {len} does not fit"),
            Self::InvalidPadding { len } => write!(f, "{len} bytes of padding are not allowed"),
        }
    }
}

impl core::error::Error for MessageError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // The text of this variant is that of the inner error.
            Self::Open(error) => error.source(),
            _ => None,
        }
    }
}
