//! Why no `auth_key` was created.

use core::fmt;

use chappe_transport::TransportErrorCode;

use chappe_carrier::{LinkError, Wait};

/// Why no `auth_key` was created.
#[derive(Debug)]
#[non_exhaustive]
pub enum CreateKeyError {
    /// The network: the connection could not be made or was lost.
    Link(LinkError),
    /// The datacenter sent a transport error instead of an answer. It is unauthenticated (`SEC-134`).
    Refused(TransportErrorCode),
    /// An answer failed a check, or none came in time. The exchange has ended and its secrets are wiped.
    Handshake(chappe_handshake::HandshakeError),
}

impl CreateKeyError {
    /// Returns whether the same exchange can go on over a new connection, where the server repeats its answer.
    pub const fn can_resume(&self) -> bool {
        match self {
            Self::Link(LinkError::Io(_) | LinkError::Closed | LinkError::NoAnswer) => true,
            Self::Link(LinkError::TimedOut { waiting_for, .. }) => !matches!(waiting_for, Wait::FirstBytes),
            Self::Link(_) | Self::Refused(_) | Self::Handshake(_) => false,
        }
    }
}

impl fmt::Display for CreateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(error) => error.fmt(f),
            Self::Refused(code) => write!(f, "the datacenter answered with {code}"),
            Self::Handshake(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CreateKeyError {
    /// A variant that prints the error it holds returns the source of that.
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Link(error) => error.source(),
            Self::Handshake(error) => error.source(),
            Self::Refused(_) => None,
        }
    }
}

impl From<LinkError> for CreateKeyError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<chappe_handshake::HandshakeError> for CreateKeyError {
    fn from(error: chappe_handshake::HandshakeError) -> Self {
        Self::Handshake(error)
    }
}
