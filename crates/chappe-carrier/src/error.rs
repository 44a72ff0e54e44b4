//! Why a connection could not be made or broke.

use core::fmt;
use std::io;
use std::time::Duration;

use chappe_transport::{AcceptRefusal, TransportError};

use crate::proxy::ProxyError;

/// Why a connection could not be made or cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// The operating system reported an error: refused, unreachable, reset.
    Io(io::Error),
    /// Nothing arrived, or nothing could be written, for as long as the options allow.
    TimedOut {
        /// What did not happen in time.
        waiting_for: Wait,
        /// How long.
        after: Duration,
    },
    /// The proxy failed, not the datacenter.
    Proxy(ProxyError),
    /// The peer closed the connection. A frame that was being received is incomplete.
    Closed,
    /// The bytes that arrived are not of this transport.
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

/// What did not happen in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// For the connection to be made.
    Connect,
    /// For a proxy to forward bytes.
    Proxy,
    /// For TLS, or for the upgrade to WebSocket.
    Carrier,
    /// For an `MTProxy`'s answer to the first bytes, or for a client's first bytes.
    FirstBytes,
    /// For a whole frame.
    Frame,
    /// For any byte.
    Anything,
    /// For the peer to read what was written.
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
            Self::Anything => "any byte",
            Self::Write => "the peer to read what was written",
        })
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TimedOut { waiting_for, after } => {
                write!(f, "waited {after:?} for {waiting_for}, which did not come")
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
    /// A variant that prints the error it holds returns the source of that.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            Self::Proxy(error) => error.source(),
            Self::Transport(error) => error.source(),
            Self::Refused(refusal) => refusal.source(),
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
