//! Why a frame could not be unpacked.

use core::fmt;

use chappe_framing::{FrameError, MsgId};

/// Why a frame could not be unpacked by an [`EncryptedSession`](crate::EncryptedSession).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum UnpackError {
    /// The frame is not in order. Nothing of it may be used; close the connection.
    Frame(FrameError),
    /// The message was seen before (SEC-76). It is acknowledged again with the next acknowledgements.
    Duplicate {
        /// Its id.
        msg_id: MsgId,
    },
    /// The message is older than 300 seconds, or than everything remembered (SEC-77, SEC-80).
    TooOld {
        /// Its id.
        msg_id: MsgId,
    },
    /// The message is more than 30 seconds in the future (SEC-80).
    TooNew {
        /// Its id.
        msg_id: MsgId,
    },
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Duplicate { msg_id } => write!(f, "message {msg_id} was received before"),
            Self::TooOld { msg_id } => write!(f, "message {msg_id} is too old"),
            Self::TooNew { msg_id } => write!(f, "message {msg_id} is too far in the future"),
        }
    }
}

impl core::error::Error for UnpackError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // The text of this variant is that of the frame's error.
            Self::Frame(error) => error.source(),
            _ => None,
        }
    }
}

impl From<FrameError> for UnpackError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}
