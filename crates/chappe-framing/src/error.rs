//! Why received frames and messages are refused.
//!
//! Errors of writing are [`WriteError`](crate::WriteError).

use core::fmt;

use chappe_crypto::AuthKeyId;
use chappe_tl::DecodeError;
use chappe_types::Rule;

use crate::{MsgId, SessionId};

/// Why a received frame or message was refused.
///
/// After an error nothing of the message may be used, answered or acknowledged. The reaction to a frame that does not
/// open is the same for every variant (SEC-64): discard it and close the connection. The variants are for logs and
/// tests.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The bytes are damaged, which also happens without an attacker.
    Malformed(MalformedFrame),
    /// The bytes are well-formed, but the peer broke a rule.
    Misbehaved(PeerMisbehaved),
}

/// What is damaged in a frame.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MalformedFrame {
    /// The bytes end before the fixed part of the structure does.
    TooShort {
        /// Length in bytes.
        len: usize,
        /// Least length in bytes.
        min: usize,
    },
    /// The encrypted part is not a whole number of 16-byte blocks (SEC-62).
    UnalignedCiphertext {
        /// Length of the encrypted part in bytes.
        len: usize,
    },
    /// `msg_key` is not the hash of the decrypted bytes (SEC-63). Nothing of the frame may be used.
    MsgKeyMismatch,
    /// A length field is negative, not a multiple of 4, or points past the end (SEC-10, SEC-66).
    BadBodyLen {
        /// Value of the field.
        claimed: i32,
        /// Bytes that are there.
        available: usize,
    },
    /// The padding is not 12 to 1024 bytes long (SEC-67).
    BadPadding {
        /// Bytes after the body.
        len: usize,
    },
    /// A container announces a number of messages that is negative or above 1024 (SEC-93).
    BadContainerCount {
        /// Value of the field.
        claimed: i32,
    },
    /// Bytes follow a structure that defines its own length.
    TrailingBytes {
        /// Number of bytes.
        len: usize,
    },
    /// An object of another constructor was expected.
    UnexpectedConstructor {
        /// The constructor id found.
        id: u32,
    },
    /// The content of `gzip_packed` is damaged, or neither gzip nor, where accepted, zlib.
    BadCompression,
    /// The checksum or the size at the end of a gzip stream is not that of the unpacked bytes.
    BadChecksum,
    /// A TL value inside the message cannot be read.
    Tl(DecodeError),
}

/// Which rule a peer broke with a well-formed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// The frame is for another key. A server answers with the transport error -404.
    UnknownAuthKey {
        /// The `auth_key_id` of the frame.
        got: AuthKeyId,
    },
    /// A plain frame was expected, and this one is encrypted.
    NotPlain {
        /// The `auth_key_id` of the frame.
        got: AuthKeyId,
    },
    /// Only encrypted frames are accepted, and this one is plain (SEC-75).
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
    /// A container contains a container, or `gzip_packed` contains `gzip_packed` (SEC-94, SEC-97).
    Nested {
        /// Constructor id of the inner object.
        id: u32,
    },
    /// The unpacked object is longer than the caller accepts (SEC-97).
    UnpackedTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// An `rpc_result` names message zero (SEC-98).
    ZeroRequest,
}

impl FrameError {
    /// Returns the rule of the security checklist that the frame broke.
    pub const fn rule(&self) -> Rule {
        match self {
            Self::Malformed(error) => error.rule(),
            Self::Misbehaved(error) => error.rule(),
        }
    }
}

impl MalformedFrame {
    /// Returns the rule of the security checklist that the frame broke.
    pub const fn rule(&self) -> Rule {
        Rule::new(match self {
            Self::TooShort { .. } => 61,
            Self::UnalignedCiphertext { .. } => 62,
            Self::MsgKeyMismatch | Self::UnexpectedConstructor { .. } => 63,
            Self::BadBodyLen { .. } => 66,
            Self::BadPadding { .. } => 67,
            Self::BadContainerCount { .. } | Self::TrailingBytes { .. } => 93,
            Self::BadCompression | Self::BadChecksum => 97,
            Self::Tl(_) => 112,
        })
    }
}

impl PeerMisbehaved {
    /// Returns the rule of the security checklist that the peer broke.
    pub const fn rule(&self) -> Rule {
        Rule::new(match self {
            Self::NotAHandshakeObject { .. } | Self::NotPlain { .. } => 9,
            Self::UnknownAuthKey { .. } => 61,
            Self::ForeignSession { .. } => 68,
            Self::ZeroSession => 69,
            Self::BadOrigin { .. } => 70,
            Self::PlainNotAllowed => 75,
            Self::Nested { .. } => 94,
            Self::InnerIdNotLower { .. } => 95,
            Self::UnpackedTooLarge { .. } => 97,
            Self::ZeroRequest => 98,
        })
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Misbehaved(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for MalformedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len, min } => write!(f, "{len} bytes where at least {min} are needed"),
            Self::UnalignedCiphertext { len } => {
                write!(f, "encrypted part of {len} bytes is not a multiple of 16")
            }
            Self::MsgKeyMismatch => f.write_str("msg_key does not match the decrypted data"),
            Self::BadBodyLen { claimed, available } => {
                write!(f, "body length {claimed} does not fit the {available} available bytes")
            }
            Self::BadPadding { len } => write!(f, "padding of {len} bytes is outside 12 to 1024"),
            Self::BadContainerCount { claimed } => write!(f, "container of {claimed} messages"),
            Self::TrailingBytes { len } => write!(f, "{len} bytes left over at the end"),
            Self::UnexpectedConstructor { id } => write!(f, "unexpected constructor {id:08x}"),
            Self::BadCompression => f.write_str("compressed data is damaged"),
            Self::BadChecksum => f.write_str("checksum of the compressed data does not match"),
            Self::Tl(_) => f.write_str("object cannot be read"),
        }
    }
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAuthKey { got } => write!(f, "unknown auth_key_id {:016x}", got.to_raw()),
            Self::NotPlain { got } => {
                write!(f, "encrypted frame for key {:016x} instead of a plain one", got.to_raw())
            }
            Self::PlainNotAllowed => f.write_str("plain message outside a handshake"),
            Self::NotAHandshakeObject { id } => write!(f, "constructor {id:08x} in a plain message"),
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
        }
    }
}

impl core::error::Error for FrameError {
    /// The source of the inner error, whose own text is this error's text.
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => error.source(),
            Self::Misbehaved(error) => error.source(),
        }
    }
}

impl core::error::Error for MalformedFrame {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Tl(error) => Some(error),
            _ => None,
        }
    }
}

impl core::error::Error for PeerMisbehaved {}

impl From<MalformedFrame> for FrameError {
    fn from(error: MalformedFrame) -> Self {
        Self::Malformed(error)
    }
}

impl From<PeerMisbehaved> for FrameError {
    fn from(error: PeerMisbehaved) -> Self {
        Self::Misbehaved(error)
    }
}

impl From<DecodeError> for FrameError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(MalformedFrame::Tl(error))
    }
}
