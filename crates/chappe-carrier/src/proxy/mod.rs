//! Proxies that are not part of MTProto: SOCKS5 and HTTP CONNECT.
//!
//! Both are machines without a socket: bytes in, bytes out, the same for both drivers. The third kind, MTProxy, is
//! part of the [`Connector`](chappe_transport::Connector), and can be reached through one of these.
//!
//! ```
//! use chappe_carrier::{Credentials, Proxy};
//!
//! let proxy = Proxy::socks5("127.0.0.1:1080").with_credentials(Credentials::new("me", "secret"));
//! assert_eq!(proxy.address(), "127.0.0.1:1080");
//! ```
//!
//! A proxy is not trusted with anything: it sees the datacenter's address and encrypted envelopes.

mod error;
mod http_connect;
mod socks5;

use core::fmt;

use chappe_transport::ReadBuf;
use zeroize::Zeroizing;

pub use error::ProxyError;
use http_connect::HttpConnect;
use socks5::Socks5;

use crate::Address;

/// A proxy between a client and the datacenter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// SOCKS version 5, RFC 1928; with credentials, RFC 1929.
    Socks5 {
        /// `HOST:PORT` of the proxy, looked up for each connection.
        address: String,
        /// Name and password, if the proxy asks for them.
        credentials: Option<Credentials>,
    },
    /// The method `CONNECT` of HTTP/1.1, RFC 9110 section 9.3.6.
    HttpConnect {
        /// `HOST:PORT` of the proxy, looked up for each connection.
        address: String,
        /// Name and password, if the proxy asks for them; sent as `Basic`, which hides nothing.
        credentials: Option<Credentials>,
    },
}

impl Proxy {
    /// A SOCKS5 proxy at `HOST:PORT` that asks for no credentials.
    pub fn socks5(address: impl Into<String>) -> Self {
        Self::Socks5 { address: address.into(), credentials: None }
    }

    /// An HTTP proxy at `HOST:PORT` that asks for no credentials.
    pub fn http_connect(address: impl Into<String>) -> Self {
        Self::HttpConnect { address: address.into(), credentials: None }
    }

    /// Sets name and password.
    #[must_use]
    pub fn with_credentials(mut self, given: Credentials) -> Self {
        match &mut self {
            Self::Socks5 { credentials, .. } | Self::HttpConnect { credentials, .. } => {
                *credentials = Some(given);
            }
        }
        self
    }

    /// Checks that the credentials can be sent to this kind of proxy.
    ///
    /// # Errors
    ///
    /// Says what is wrong with them.
    pub fn check_credentials(&self) -> Result<(), &'static str> {
        match self {
            Self::Socks5 { credentials: Some(given), .. } if !given.fit_into_socks5() => {
                Err("name and password for SOCKS5 must have 1 to 255 bytes")
            }
            // RFC 7617, section 2: the first colon ends the name.
            Self::HttpConnect { credentials: Some(given), .. } if given.name.contains(':') => {
                Err("a name for HTTP cannot contain a colon")
            }
            _ => Ok(()),
        }
    }

    /// Returns `HOST:PORT` of the proxy.
    pub fn address(&self) -> &str {
        match self {
            Self::Socks5 { address, .. } | Self::HttpConnect { address, .. } => address,
        }
    }
}

/// Name and password for a proxy. The password is never printed. Every copy is wiped, that in the bytes for the socket
/// included.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    name: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// Takes a name and a password; SOCKS5 allows each 1 to 255 bytes.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: Zeroizing::new(password.into()) }
    }

    /// Returns whether one byte can count each of them (RFC 1929, section 2).
    pub(crate) fn fit_into_socks5(&self) -> bool {
        [self.name.len(), self.password.len()].iter().all(|len| (1..=255).contains(len))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The exchange with a proxy, until it forwards bytes.
///
/// What it writes can contain a password: the buffer wipes itself.
#[derive(Debug)]
pub struct Negotiation(Machine);

#[derive(Debug)]
enum Machine {
    Socks5(Socks5),
    HttpConnect(HttpConnect),
}

impl Negotiation {
    /// Requests a connection to `target`; what to send is appended to `out`.
    ///
    /// # Errors
    ///
    /// [`ProxyError::UnusableCredentials`] if SOCKS5 cannot carry the credentials, and [`ProxyError::UnusableTarget`] if the
    /// target is no `HOST:PORT`.
    pub fn start(proxy: &Proxy, target: &Address, out: &mut Zeroizing<Vec<u8>>) -> Result<Self, ProxyError> {
        if target.socket().is_none() && target.name().is_none() {
            return Err(ProxyError::UnusableTarget);
        }
        match proxy {
            Proxy::Socks5 { credentials, .. } => {
                Ok(Self(Machine::Socks5(Socks5::start(target.clone(), credentials.clone(), out)?)))
            }
            Proxy::HttpConnect { credentials, .. } => {
                Ok(Self(Machine::HttpConnect(HttpConnect::start(target, credentials.as_ref(), out))))
            }
        }
    }

    /// Handles what has arrived so far, and returns whether the proxy forwards bytes now.
    ///
    /// # Errors
    ///
    /// The proxy refuses, or its answer is malformed.
    pub fn handle(&mut self, buf: &mut ReadBuf, out: &mut Zeroizing<Vec<u8>>) -> Result<bool, ProxyError> {
        match &mut self.0 {
            Machine::Socks5(machine) => machine.handle(buf, out),
            Machine::HttpConnect(machine) => machine.handle(buf),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let proxy = Proxy::socks5("proxy:1080").with_credentials(Credentials::new("me", "swordfish"));
        let shown = format!("{proxy:?}");
        assert!(shown.contains("me") && !shown.contains("swordfish"), "{shown}");
    }
}
