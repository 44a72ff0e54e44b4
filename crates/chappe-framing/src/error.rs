//! What can be wrong with a frame or a message, sorted by who is to blame.

use core::fmt;

use chappe_crypto::AuthKeyId;
use chappe_tl::{EncodeError, deserialize};
use chappe_types::Rule;

use crate::{MsgId, SessionId};

/// Why a frame or message was refused.
///
/// After an error nothing of the message may be used, answered or acknowledged. Whatever the
/// variant says, the reaction to a frame that does not open is the same one (SEC-64):
/// discard it and close the connection; the variants are for logs and tests.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    // Malformed bytes.
    /// The bytes end before the fixed part of the structure does.
    TooShort {
        /// Bytes there are.
        len: usize,
        /// Bytes there must be at least.
        min: usize,
    },
    /// The encrypted part is not a whole number of 16-byte blocks (SEC-62).
    UnalignedCiphertext {
        /// Length of the encrypted part in bytes.
        len: usize,
    },
    /// `msg_key` is not the hash of what was decrypted (SEC-63). Nothing of the frame may be used.
    MsgKeyMismatch,
    /// A length field is negative, not a multiple of 4, or points behind the end (SEC-10, SEC-66).
    BadBodyLen {
        /// What the field says.
        claimed: i32,
        /// Bytes that are there.
        available: usize,
    },
    /// The padding is not 12 to 1024 bytes long (SEC-67).
    BadPadding {
        /// Bytes behind the body.
        len: usize,
    },
    /// A container announces a number of messages that is negative or above 1024 (SEC-93).
    BadContainerCount {
        /// What the field says.
        claimed: i32,
    },
    /// Bytes follow a structure that defines its own length.
    TrailingBytes {
        /// How many.
        len: usize,
    },
    /// An object of another constructor was expected.
    UnexpectedConstructor {
        /// The constructor id found.
        id: u32,
    },
    /// The content of `gzip_packed` is neither gzip nor, where accepted, zlib, or is damaged.
    BadCompression,
    /// The checksum or the size at the end of a gzip stream is not that of the unpacked bytes.
    BadChecksum,
    /// A TL value inside the message cannot be read.
    Tl(deserialize::Error),

    // A peer that breaks a rule.
    /// The frame is for a key that is not the one given.
    UnknownAuthKey {
        /// The `auth_key_id` of the frame.
        got: AuthKeyId,
    },
    /// An encrypted frame stands where a plain one was expected.
    NotPlain {
        /// The `auth_key_id` of the frame.
        got: AuthKeyId,
    },
    /// A plain message stands where only encrypted ones are accepted (SEC-75).
    PlainNotAllowed,
    /// A plain message carries an object that must be encrypted (SEC-09).
    NotAHandshakeObject {
        /// Its constructor id.
        id: u32,
    },
    /// The message belongs to another session (SEC-68).
    ForeignSession {
        /// The `session_id` of the message.
        got: SessionId,
    },
    /// The message names session zero (SEC-69).
    ZeroSession,
    /// The low bits of the `msg_id` are not those of the side that wrote it (SEC-11, SEC-70, SEC-71).
    BadOrigin {
        /// The id.
        msg_id: MsgId,
    },
    /// A message in a container has an id that is not below the container's (SEC-95).
    InnerIdNotLower {
        /// The id of the inner message.
        msg_id: MsgId,
    },
    /// A container stands in a container, or `gzip_packed` in `gzip_packed` (SEC-94, SEC-97).
    Nested {
        /// Constructor id of the inner object.
        id: u32,
    },
    /// Unpacking would give more bytes than the caller accepts (SEC-97).
    UnpackedTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// An `rpc_result` names message zero.
    ZeroRequest,

    // Misuse by the caller.
    /// The body to be sent is empty, not a multiple of 4 bytes long, or too long for one frame.
    UnsendableBody {
        /// Its length in bytes.
        len: usize,
    },
    /// The container to be sent already holds 1020 messages.
    ContainerFull,
    /// A TL object to be sent cannot be encoded.
    Encode(EncodeError),
}

impl FrameError {
    /// Returns the rule of the security checklist that the frame broke.
    pub const fn rule(&self) -> Rule {
        Rule::new(match self {
            Self::TooShort { .. } | Self::UnknownAuthKey { .. } => 61,
            Self::UnalignedCiphertext { .. } => 62,
            Self::BadBodyLen { .. } => 66,
            Self::BadPadding { .. } => 67,
            Self::ForeignSession { .. } => 68,
            Self::BadOrigin { .. } => 70,
            Self::PlainNotAllowed => 75,
            Self::BadContainerCount { .. } | Self::TrailingBytes { .. } => 93,
            Self::Nested { .. } => 94,
            Self::InnerIdNotLower { .. } => 95,
            Self::BadCompression | Self::BadChecksum | Self::UnpackedTooLarge { .. } => 97,
            Self::ZeroRequest => 98,
            Self::Tl(_) => 112,
            _ => 63,
        })
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len, min } => write!(f, "{len} bytes where at least {min} are needed"),
            Self::UnalignedCiphertext { len } => {
                write!(f, "encrypted part of {len} bytes is not a multiple of 16")
            }
            Self::MsgKeyMismatch => f.write_str("msg_key does not match the decrypted data"),
            Self::BadBodyLen { claimed, available } => {
                write!(f, "body length {claimed} does not fit the {available} bytes there are")
            }
            Self::BadPadding { len } => write!(f, "padding of {len} bytes is outside 12 to 1024"),
            Self::BadContainerCount { claimed } => write!(f, "container of {claimed} messages"),
            Self::TrailingBytes { len } => write!(f, "{len} bytes left over at the end"),
            Self::UnexpectedConstructor { id } => write!(f, "unexpected constructor {id:08x}"),
            Self::BadCompression => f.write_str("compressed data is damaged"),
            Self::BadChecksum => f.write_str("checksum of the compressed data does not match"),
            Self::Tl(error) => write!(f, "unreadable object: {error}"),
            Self::UnknownAuthKey { got } => write!(f, "unknown auth_key_id {:016x}", got.to_raw()),
            Self::NotPlain { got } => {
                write!(f, "encrypted frame for key {:016x} instead of a plain one", got.to_raw())
            }
            Self::PlainNotAllowed => f.write_str("plain message outside a handshake"),
            Self::NotAHandshakeObject { id } => {
                write!(f, "constructor {id:08x} may not travel in plain form")
            }
            Self::ForeignSession { got } => write!(f, "message of session {:016x}", got.to_raw()),
            Self::ZeroSession => f.write_str("message of session zero"),
            Self::BadOrigin { msg_id } => {
                write!(f, "msg_id {msg_id} does not have the low bits of the side that wrote it")
            }
            Self::InnerIdNotLower { msg_id } => {
                write!(f, "msg_id {msg_id} inside a container is not below the container's")
            }
            Self::Nested { id } => write!(f, "constructor {id:08x} nested in itself"),
            Self::UnpackedTooLarge { limit } => write!(f, "unpacked data exceeds {limit} bytes"),
            Self::ZeroRequest => f.write_str("result of message zero"),
            Self::UnsendableBody { len } => write!(f, "a body of {len} bytes cannot be sent"),
            Self::ContainerFull => f.write_str("container is full"),
            Self::Encode(error) => write!(f, "object cannot be encoded: {error}"),
        }
    }
}

impl core::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Tl(error) => Some(error),
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<deserialize::Error> for FrameError {
    fn from(error: deserialize::Error) -> Self {
        Self::Tl(error)
    }
}

impl From<EncodeError> for FrameError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
