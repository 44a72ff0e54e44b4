//! Why a proxy forwards nothing.

use core::fmt;
use std::io;
use std::time::Duration;

/// Why a proxy forwards nothing. The datacenter has no part in it, unless the proxy says so.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy cannot be reached.
    Unreachable(io::Error),
    /// The proxy accepted the connection and sent nothing.
    TimedOut {
        /// For how long.
        after: Duration,
    },
    /// The proxy closed the connection before it answered.
    Closed,
    /// The answer is not one of this kind of proxy, such as an HTTP answer to SOCKS5.
    Malformed,
    /// The proxy asks for credentials that were not given, or for a method other than name and password.
    NoCommonMethod,
    /// The HTTP proxy asks for credentials in a way other than `Basic`, which is not supported.
    UnsupportedScheme {
        /// The way that it names first.
        scheme: AuthScheme,
    },
    /// The proxy rejected the credentials.
    CredentialsRefused,
    /// The name is empty, or it or the password is longer than 255 bytes.
    UnusableCredentials,
    /// The proxy forwards requests of HTTP and makes no connections.
    OnlyRequests,
    /// The target is not `HOST:PORT`, or this kind of proxy cannot carry it: SOCKS names of more than 255 bytes, SOCKS4 IPv6
    /// addresses.
    UnusableTarget,
    /// A SOCKS5 proxy does not make the connection.
    Socks5Refused {
        /// Its reply, from 1: RFC 1928 section 6.
        reply: u8,
    },
    /// A SOCKS4 proxy does not make the connection.
    Socks4Refused {
        /// Its reply: 91 rejected or failed, 92 and 93 the name could not be checked.
        reply: u8,
    },
    /// An HTTP proxy does not make the connection.
    HttpRefused {
        /// Its status.
        status: u16,
    },
}

impl ProxyError {
    /// Returns whether the credentials in the options are the reason. Without other credentials every attempt fails.
    pub const fn is_about_credentials(&self) -> bool {
        matches!(
            self,
            Self::NoCommonMethod
                | Self::UnsupportedScheme { .. }
                | Self::CredentialsRefused
                | Self::UnusableCredentials
        )
    }
}

/// A way in which HTTP proxies ask for credentials, RFC 9110 section 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthScheme {
    /// RFC 7616.
    Digest,
    /// RFC 4559: Kerberos, or NTLM inside it.
    Negotiate,
    /// NTLM, of Microsoft.
    Ntlm,
    /// Another one.
    Other,
}

impl AuthScheme {
    /// Returns the scheme of a name.
    pub(super) fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "digest" => Self::Digest,
            "negotiate" => Self::Negotiate,
            "ntlm" => Self::Ntlm,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for AuthScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digest => "Digest",
            Self::Negotiate => "Negotiate",
            Self::Ntlm => "NTLM",
            Self::Other => "an unknown scheme",
        })
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(_) => f.write_str("the proxy cannot be reached"),
            Self::TimedOut { after } => write!(f, "the proxy sent nothing for {after:?}"),
            Self::Closed => f.write_str("the proxy closed the connection before it answered"),
            Self::Malformed => {
                f.write_str("the answer is not one of this kind of proxy: check kind and port")
            }
            Self::NoCommonMethod => f.write_str("the proxy asks for credentials: give name and password"),
            Self::UnsupportedScheme { scheme } => {
                write!(f, "the proxy asks for credentials by {scheme}, and only Basic is supported")
            }
            Self::CredentialsRefused => {
                f.write_str("the proxy rejected the credentials: check name and password")
            }
            Self::UnusableCredentials => {
                f.write_str("a name for SOCKS must have 1 to 255 bytes, and a password at most 255")
            }
            Self::OnlyRequests => f.write_str("the proxy forwards requests of HTTP and nothing else"),
            Self::UnusableTarget => f.write_str(
                "the proxy cannot be asked for this target: give HOST:PORT, HOST with 255 bytes at most, \
                 and no IPv6 address for SOCKS4",
            ),
            Self::Socks5Refused { reply } => {
                write!(f, "the proxy did not connect: {} (reply {reply})", meaning(*reply))
            }
            Self::Socks4Refused { reply } => write!(f, "the proxy did not connect (reply {reply})"),
            Self::HttpRefused { status } => write!(f, "the proxy did not connect: HTTP status {status}"),
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
