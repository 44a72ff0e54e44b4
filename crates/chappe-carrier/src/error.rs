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
    /// An `MTProxy` closed the connection without a word. It does so if it does not know the secret.
    NoAnswer,
    /// The bytes that arrived are not of this transport.
    Transport(TransportError),
    /// TLS failed: an untrusted certificate, or bytes that are not TLS.
    Tls(String),
    /// The peer broke a rule of WebSocket, or did not go over to it.
    WebSocket(String),
    /// A new connection speaks nothing that is served here.
    Refused(AcceptRefusal),
    /// The first bytes are of another protocol: something on the way answers in the datacenter's place, such as the login
    /// page of a public network.
    Intercepted(Interception),
    /// The peer takes less than is sent: a frame was not accepted, and can be sent again once there is room.
    Congested,
    /// A limit on connections was reached.
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// What answered in the datacenter's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interception {
    /// A server of HTTP, with this status.
    Http {
        /// The status; 302 leads to a login page.
        status: u16,
    },
    /// A server of TLS, which sent an alert.
    Tls {
        /// The alert, RFC 8446 section 6.
        alert: u8,
    },
}

impl Interception {
    /// Returns who answers, if the first bytes of a connection are of another protocol.
    pub fn of(first: &[u8]) -> Option<Self> {
        // "HTTP/1.1 302 Found": a frame that began so would be longer than any limit, or come once in 2^72 connections.
        if let Some(rest) = first.strip_prefix(b"HTTP/1.") {
            let digits = rest.get(2..5).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
            let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
            return Some(Self::Http { status });
        }
        // A record of type 21 with a level and a description, RFC 8446 section 5.1.
        match first {
            [21, 3, 0..=4, 0, 2, 1 | 2, alert] => Some(Self::Tls { alert: *alert }),
            _ => None,
        }
    }
}

impl fmt::Display for Interception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { status } => write!(
                f,
                "a web server answers with status {status} in the datacenter's place; \
                 a public network may want a login in a browser first"
            ),
            Self::Tls { alert } => {
                write!(f, "a tls server answers with alert {alert} in the datacenter's place")
            }
        }
    }
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
    /// For a client to prove that it has a key.
    Authentication,
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
            Self::Authentication => "a client to prove that it has a key",
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
            Self::Congested => f.write_str("too much waits for the peer to read it"),
            Self::NoAnswer => {
                f.write_str("the MTProxy closed the connection without an answer: the secret is likely wrong")
            }
            Self::Transport(error) => error.fmt(f),
            Self::Tls(reason) => write!(f, "tls: {reason}"),
            Self::WebSocket(reason) => write!(f, "websocket: {reason}"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Intercepted(by) => by.fmt(f),
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
            | Self::NoAnswer
            | Self::Tls(_)
            | Self::WebSocket(_)
            | Self::Intercepted(_)
            | Self::Congested
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_page_and_a_tls_alert_are_told_from_frames() {
        let page = b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n";
        assert_eq!(Interception::of(page), Some(Interception::Http { status: 302 }));
        assert_eq!(Interception::of(&[21, 3, 1, 0, 2, 2, 70]), Some(Interception::Tls { alert: 70 }));
        for frame in [&b"HTTP/1.1"[..], b"HTTP/1.1 abc", &[21, 3, 1, 0, 2, 2, 70, 0], &[0x40, 0, 0, 0], &[]] {
            assert_eq!(Interception::of(frame), None, "{frame:?}");
        }
    }
}
