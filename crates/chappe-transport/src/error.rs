//! Errors of a stream, grouped by cause.
//!
//! Not here: the codes that a server sends instead of a message: [`TransportErrorCode`](crate::TransportErrorCode).

use core::fmt;

use crate::http::HttpError;
use crate::secret::SecretError;

/// Why a connection must be closed, or why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// The bytes are damaged. The stream cannot be read further: close the connection.
    Malformed(MalformedStream),
    /// The peer or the amount of data is not accepted. Close the connection.
    Refused(StreamRefusal),
    /// The caller asked for something that the transport cannot do. The connection is unchanged.
    Misuse(TransportMisuse),
}

/// What is damaged in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedStream {
    /// A frame announces no payload (`SEC-129`).
    EmptyFrame,
    /// A frame announces more than the limit (`SEC-129`).
    FrameTooLong {
        /// Announced length in bytes.
        len: usize,
        /// Limit in bytes.
        max: usize,
    },
    /// A frame's length is not a multiple of four on a transport without padding (`SEC-129`).
    FrameUnaligned {
        /// Announced length in bytes.
        len: usize,
    },
    /// The abridged long form announces fewer than 127 words (`SEC-130`).
    OverlongLength {
        /// Announced length in 4-byte words.
        words: u32,
    },
    /// A full frame is shorter than its own fields (`SEC-131`).
    FrameTooShort {
        /// Announced length in bytes.
        len: usize,
    },
    /// The checksum of a full frame does not match its bytes (`SEC-131`).
    BadCrc {
        /// Checksum in the frame.
        got: u32,
        /// Checksum of the received bytes.
        computed: u32,
    },
    /// A full frame is not the next one (`SEC-131`).
    BadSeqNo {
        /// Number in the frame.
        got: u32,
        /// Number expected.
        expected: u32,
    },
    /// A payload is too short for an envelope and is none of the short payloads (`SEC-132`).
    ShortPayload {
        /// Length in bytes.
        len: usize,
    },
    /// A fake-TLS record is not application data (`SEC-148`).
    UnexpectedRecord {
        /// Content type and version.
        header: [u8; 3],
    },
    /// The answer to a fake-TLS hello does not have the expected records.
    ServerHello,
    /// A fake-TLS `ClientHello` cannot be read.
    ClientHello,
    /// The HTTP head or body breaks a rule.
    Http(HttpError),
}

/// Why a stream is not accepted although its bytes are well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamRefusal {
    /// The first 64 bytes are no transport that this side accepts (`SEC-144`).
    UnknownProtocol,
    /// The peer speaks a transport that the configuration does not allow.
    NotAllowed,
    /// An obfuscation header arrived a second time (`SEC-145`).
    Replayed,
    /// The digest of a fake-TLS answer is not made with the expected secret (`SEC-147`).
    ServerHelloDigest,
    /// A buffer reached its bound (`SEC-138`).
    BufferFull {
        /// Bound in bytes.
        max: usize,
    },
}

/// What the caller asked for that the transport cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportMisuse {
    /// A payload to send is empty, not a multiple of four or over the limit.
    PayloadLength {
        /// Length in bytes.
        len: usize,
    },
    /// The full transport has no tag, so it cannot be obfuscated.
    FullCannotBeObfuscated,
    /// The secret requires padded intermediate framing, and another one was asked for.
    PaddingRequired,
    /// The hello template does not give a record that a peer would accept.
    BadHelloTemplate,
    /// A proxy secret or link cannot be used.
    Secret(SecretError),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Refused(error) => error.fmt(f),
            Self::Misuse(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for MalformedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyFrame => f.write_str("frame without payload"),
            Self::FrameTooLong { len, max } => write!(f, "frame of {len} bytes exceeds the limit of {max}"),
            Self::FrameUnaligned { len } => write!(f, "frame length {len} is not a multiple of four"),
            Self::OverlongLength { words } => write!(f, "abridged long form used for {words} words"),
            Self::FrameTooShort { len } => write!(f, "full frame of {len} bytes is shorter than its fields"),
            Self::BadCrc { got, computed } => {
                write!(f, "frame checksum {got:08x} does not match computed {computed:08x}")
            }
            Self::BadSeqNo { got, expected } => write!(f, "frame number {got} where {expected} was expected"),
            Self::ShortPayload { len } => write!(f, "payload of {len} bytes is too short for an envelope"),
            Self::UnexpectedRecord { header: [kind, major, minor] } => {
                write!(f, "unexpected tls record {kind:02x} {major:02x} {minor:02x}")
            }
            Self::ServerHello => f.write_str("server hello does not have the expected records"),
            Self::ClientHello => f.write_str("client hello cannot be read"),
            Self::Http(_) => f.write_str("malformed http message"),
        }
    }
}

impl fmt::Display for StreamRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownProtocol => f.write_str("first bytes belong to no known transport"),
            Self::NotAllowed => f.write_str("transport is not allowed here"),
            Self::Replayed => f.write_str("obfuscation header was seen before"),
            Self::ServerHelloDigest => {
                f.write_str("the answer was not made with this secret, which is likely wrong")
            }
            Self::BufferFull { max } => write!(f, "buffer reached its bound of {max} bytes"),
        }
    }
}

impl fmt::Display for TransportMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PayloadLength { len } => write!(f, "payload of {len} bytes cannot be framed"),
            Self::FullCannotBeObfuscated => f.write_str("full transport cannot be obfuscated"),
            Self::PaddingRequired => f.write_str("secret requires padded intermediate framing"),
            Self::BadHelloTemplate => f.write_str("hello template gives no usable record"),
            Self::Secret(_) => f.write_str("proxy secret cannot be used"),
        }
    }
}

impl core::error::Error for TransportError {
    /// The source of the inner error, whose own text is this error's text.
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => error.source(),
            Self::Refused(error) => error.source(),
            Self::Misuse(error) => error.source(),
        }
    }
}

impl core::error::Error for MalformedStream {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Http(error) => Some(error),
            _ => None,
        }
    }
}

impl core::error::Error for StreamRefusal {}

impl core::error::Error for TransportMisuse {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Secret(error) => Some(error),
            _ => None,
        }
    }
}

impl From<MalformedStream> for TransportError {
    fn from(error: MalformedStream) -> Self {
        Self::Malformed(error)
    }
}

impl From<StreamRefusal> for TransportError {
    fn from(error: StreamRefusal) -> Self {
        Self::Refused(error)
    }
}

impl From<TransportMisuse> for TransportError {
    fn from(error: TransportMisuse) -> Self {
        Self::Misuse(error)
    }
}

impl From<HttpError> for TransportError {
    fn from(error: HttpError) -> Self {
        Self::Malformed(MalformedStream::Http(error))
    }
}

impl From<SecretError> for TransportError {
    fn from(error: SecretError) -> Self {
        Self::Misuse(TransportMisuse::Secret(error))
    }
}
