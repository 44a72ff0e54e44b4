//! Why a datacenter does not start.

use std::fmt;
use std::io;

use chappe_handshake::ServerOptionsError;

/// Why a datacenter does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be bound, or the operating system has no thread or randomness to give.
    Io(io::Error),
    /// The options of the handshake cannot work.
    Config(ServerOptionsError),
    /// No RSA key could be made.
    Key(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Key(error) => write!(f, "no key for the datacenter: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Config(error) => Some(error),
            Self::Key(_) => None,
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ServerOptionsError> for StartError {
    fn from(error: ServerOptionsError) -> Self {
        Self::Config(error)
    }
}
