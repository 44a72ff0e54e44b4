//! Why a server's session refuses frames of a client, and messages for it.

use core::fmt;

use chappe_framing::FrameError;
use chappe_tl::EncodeError;
use chappe_types::TransportErrorCode;

/// Why a frame of a client was refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerError {
    /// The frame is refused; close the connection.
    Frame(FrameError),
    /// Answer with this transport error, then close the connection: -404 for `session_id` zero.
    Transport(TransportErrorCode),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Transport(code) => write!(f, "the frame is answered with {code}"),
        }
    }
}

impl core::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // The text of this variant is that of the frame's error.
            Self::Frame(error) => error.source(),
            Self::Transport(_) => None,
        }
    }
}

impl From<FrameError> for ServerError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// Why a message of the server was not accepted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RespondError {
    /// The object cannot be encoded.
    Encode(EncodeError),
    /// The body is empty or not a multiple of four bytes.
    BodyLength {
        /// Its length in bytes.
        len: usize,
    },
    /// The client has not acknowledged enough of what it was sent; end the session (SEC-175).
    TooMuchUnacked {
        /// Messages that wait.
        messages: usize,
        /// Their bytes.
        bytes: usize,
    },
}

impl fmt::Display for RespondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(_) => f.write_str("the object cannot be encoded"),
            Self::BodyLength { len } => write!(f, "a body of {len} bytes cannot be sent"),
            Self::TooMuchUnacked { messages, bytes } => {
                write!(f, "the client has not acknowledged {messages} messages of {bytes} bytes")
            }
        }
    }
}

impl core::error::Error for RespondError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<EncodeError> for RespondError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
