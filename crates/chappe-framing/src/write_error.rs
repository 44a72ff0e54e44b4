//! Why a message cannot be written.

use core::fmt;

use chappe_tl::EncodeError;

/// Why a message cannot be written: the caller asked for something that no frame can carry.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WriteError {
    /// The body is empty, not a multiple of 4 bytes long, or longer than [`MAX_BODY_LEN`](crate::MAX_BODY_LEN).
    UnsendableBody {
        /// Its length in bytes.
        len: usize,
    },
    /// The container already holds [`MAX_MESSAGES_SENT`](crate::MAX_MESSAGES_SENT) messages.
    ContainerFull,
    /// The body is a container, which a container may not hold (SEC-94).
    NestedContainer,
    /// The object cannot be encoded.
    Encode(EncodeError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsendableBody { len } => write!(f, "a body of {len} bytes cannot be sent"),
            Self::ContainerFull => f.write_str("container is full"),
            Self::NestedContainer => f.write_str("container inside a container"),
            Self::Encode(_) => f.write_str("object cannot be encoded"),
        }
    }
}

impl core::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<EncodeError> for WriteError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
