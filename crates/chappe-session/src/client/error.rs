//! Errors of a client's session.

use core::fmt;

use chappe_framing::FrameError;
use chappe_tl::EncodeError;
use chappe_types::Rule;

/// Why a call was not accepted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// The call cannot be encoded.
    Encode(EncodeError),
    /// The body is empty, not a multiple of four bytes, or larger than allowed.
    BodyLength {
        /// Its length in bytes.
        len: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// Too many calls are pending; wait until some have ended.
    TooManyPending {
        /// Their number.
        pending: usize,
    },
    /// The bodies of the pending calls take too much memory; wait until some have ended.
    TooManyBytes {
        /// Their number of bytes.
        pending: usize,
    },
    /// The session has ended for good.
    Terminated,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(_) => f.write_str("the call cannot be encoded"),
            Self::BodyLength { len, max } => {
                write!(f, "a body of {len} bytes cannot be sent: at most {max}, and whole words")
            }
            Self::TooManyPending { pending } => write!(f, "{pending} calls are pending already"),
            Self::TooManyBytes { pending } => write!(f, "{pending} bytes are pending already"),
            Self::Terminated => f.write_str("the session has ended"),
        }
    }
}

impl core::error::Error for SendError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// Why a frame was not accepted. In every case: close the connection and open another.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The frame is not in order. Nothing of it was used.
    Frame(FrameError),
    /// Too many events wait to be fetched. The frame was not read; fetch them and pass it again.
    EventsWaiting,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::EventsWaiting => f.write_str("too many events wait to be fetched"),
        }
    }
}

impl core::error::Error for ReceiveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // The text of this variant is that of the frame's error.
            Self::Frame(error) => error.source(),
            Self::EventsWaiting => None,
        }
    }
}

impl From<FrameError> for ReceiveError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl ReceiveError {
    /// Returns the rule that the frame broke. `None` if the frame was not looked at.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Frame(error) => Some(error.rule()),
            Self::EventsWaiting => None,
        }
    }
}
