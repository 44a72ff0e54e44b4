//! What can go wrong between a socket and an envelope, by blame.

use core::fmt;
use std::io;
use std::time::Duration;

use chappe_transport::{AcceptRefusal, TransportError};

use crate::proxy::ProxyError;

/// Why a connection could not be made or cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// The operating system says so: refused, unreachable, reset.
    Io(io::Error),
    /// Nothing came, or nothing could be written, for as long as the options allow.
    TimedOut {
        /// What was waited for.
        waiting_for: Wait,
        /// How long.
        after: Duration,
    },
    /// A proxy is to blame, not the datacenter.
    Proxy(ProxyError),
    /// The peer closed the connection. Whatever was being received is incomplete.
    Closed,
    /// The bytes that came are not what this transport carries.
    Transport(TransportError),
    /// TLS failed: a certificate that nobody trusts, or bytes that are not TLS.
    Tls(String),
    /// The peer broke a rule of WebSocket, or did not go over to it.
    WebSocket(String),
    /// A new connection speaks nothing that is served here.
    Refused(AcceptRefusal),
    /// A limit on connections was reached.
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// What a driver was waiting for when its patience ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// For the connection to be made.
    Connect,
    /// For a proxy's word that bytes go through.
    Proxy,
    /// For TLS, or for the word that a server goes over to WebSocket.
    Carrier,
    /// For an `MTProxy`'s answer to the first bytes, or for a client's first bytes.
    FirstBytes,
    /// For a whole frame.
    Frame,
    /// For any sign of life.
    Anything,
    /// For the peer to take what was written.
    Write,
}

impl LinkError {
    /// Takes an error of a blocking socket that has a time-out of `after`.
    pub fn from_io(error: io::Error, waiting_for: Wait, after: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut { waiting_for, after },
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Proxy => "the proxy",
            Self::Carrier => "tls or websocket",
            Self::FirstBytes => "the first bytes",
            Self::Frame => "a frame",
            Self::Anything => "any sign of life",
            Self::Write => "the peer to read",
        })
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TimedOut { waiting_for, after } => {
                write!(f, "waited {after:?} for {waiting_for} in vain")
            }
            Self::Proxy(error) => error.fmt(f),
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Transport(error) => error.fmt(f),
            Self::Tls(reason) => write!(f, "tls: {reason}"),
            Self::WebSocket(reason) => write!(f, "websocket: {reason}"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::TooMany { limit } => write!(f, "more than {limit} connections"),
        }
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Proxy(error) => Some(error),
            Self::Transport(error) => Some(error),
            Self::Refused(refusal) => Some(refusal),
            Self::TimedOut { .. }
            | Self::Closed
            | Self::Tls(_)
            | Self::WebSocket(_)
            | Self::TooMany { .. } => None,
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ProxyError> for LinkError {
    fn from(error: ProxyError) -> Self {
        Self::Proxy(error)
    }
}

impl From<TransportError> for LinkError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}
