//! What a proxy does instead of passing bytes on.

use core::fmt;
use std::io;
use std::time::Duration;

/// Why a proxy is of no use. The datacenter has no part in it, unless the proxy says so.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy cannot be reached.
    Unreachable(io::Error),
    /// The proxy took the connection and then was silent.
    TimedOut {
        /// For how long.
        after: Duration,
    },
    /// The proxy closed the connection before it answered.
    Closed,
    /// The answer is not one of this kind of proxy.
    Malformed,
    /// The proxy wants to know who asks, in a way that we do not have: no credentials were given, or it takes
    /// neither none nor name and password.
    NoCommonMethod,
    /// The credentials are wrong.
    CredentialsRefused,
    /// Name or password is empty or longer than 255 bytes.
    UnusableCredentials,
    /// A SOCKS5 proxy does not make the connection.
    Socks5Refused {
        /// Its reply, from 1: RFC 1928 section 6.
        reply: u8,
    },
    /// An HTTP proxy does not make the connection.
    HttpRefused {
        /// Its status.
        status: u16,
    },
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("proxy: ")?;
        match self {
            Self::Unreachable(error) => write!(f, "cannot be reached: {error}"),
            Self::TimedOut { after } => write!(f, "says nothing for {after:?}"),
            Self::Closed => f.write_str("closed the connection before it answered"),
            Self::Malformed => f.write_str("its answer is not one of this kind of proxy"),
            Self::NoCommonMethod => f.write_str("asks for credentials that were not given"),
            Self::CredentialsRefused => f.write_str("refuses the credentials"),
            Self::UnusableCredentials => f.write_str("name and password must have 1 to 255 bytes"),
            Self::Socks5Refused { reply } => write!(f, "refuses: {} ({reply})", meaning(*reply)),
            Self::HttpRefused { status } => write!(f, "refuses with status {status}"),
        }
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(error) => Some(error),
            _ => None,
        }
    }
}

/// What a reply of SOCKS5 means, by RFC 1928 section 6.
const fn meaning(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown reply",
    }
}
