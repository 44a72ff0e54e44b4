//! Proxies that are not part of MTProto: SOCKS5, SOCKS4, HTTP CONNECT, and HTTP proxies that forward requests.
//!
//! They are machines without a socket: bytes in, bytes out, the same for both drivers. Another kind, MTProxy, is
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
pub(crate) mod http_connect;
mod socks4;
mod socks5;

use core::fmt;

use chappe_transport::{ReadBuf, SecretError, SocksLink};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use error::{AuthScheme, ProxyError};
use http_connect::HttpConnect;
use socks4::Socks4;
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
    /// SOCKS version 4, and 4a for targets with a name. It knows no IPv6 addresses and no passwords.
    Socks4 {
        /// `HOST:PORT` of the proxy, looked up for each connection.
        address: String,
        /// The name that the proxy may ask for; empty if there is none.
        user: String,
    },
    /// The method `CONNECT` of HTTP/1.1, RFC 9110 section 9.3.6.
    HttpConnect {
        /// `HOST:PORT` of the proxy, looked up for each connection.
        address: String,
        /// Name and password, if the proxy asks for them; sent as `Basic`, which hides nothing.
        credentials: Option<Credentials>,
    },
    /// A proxy that forwards requests of HTTP/1.1, for networks whose proxies refuse `CONNECT`. It carries HTTP without TLS and
    /// nothing else.
    HttpForward {
        /// `HOST:PORT` of the proxy, looked up for each connection.
        address: String,
        /// Name and password, if the proxy asks for them; sent as `Basic` with each request.
        credentials: Option<Credentials>,
    },
}

impl Proxy {
    /// A SOCKS5 proxy at `HOST:PORT` that asks for no credentials.
    pub fn socks5(address: impl Into<String>) -> Self {
        Self::Socks5 { address: address.into(), credentials: None }
    }

    /// A SOCKS4 proxy at `HOST:PORT`.
    pub fn socks4(address: impl Into<String>) -> Self {
        Self::Socks4 { address: address.into(), user: String::new() }
    }

    /// The SOCKS5 proxy of a link `tg://socks?server=…&port=…&user=…&pass=…` or its `https://t.me/socks` form.
    ///
    /// # Errors
    ///
    /// Says which part of the link is missing or wrong.
    pub fn from_link(link: &str) -> Result<Self, SecretError> {
        let SocksLink { server, port, user, password } = SocksLink::parse(link)?;
        let proxy = Self::socks5(Address::of(&server, port).to_string());
        Ok(match user {
            Some(name) => proxy.with_credentials(Credentials { name, password }),
            None => proxy,
        })
    }

    /// An HTTP proxy at `HOST:PORT` that asks for no credentials.
    pub fn http_connect(address: impl Into<String>) -> Self {
        Self::HttpConnect { address: address.into(), credentials: None }
    }

    /// An HTTP proxy at `HOST:PORT` that forwards requests and asks for no credentials.
    pub fn http_forward(address: impl Into<String>) -> Self {
        Self::HttpForward { address: address.into(), credentials: None }
    }

    /// Returns whether the proxy forwards requests of HTTP, and no connections.
    pub const fn forwards_requests(&self) -> bool {
        matches!(self, Self::HttpForward { .. })
    }

    /// Sets name and password. SOCKS4 has no password and uses the name alone.
    #[must_use]
    pub fn with_credentials(mut self, given: Credentials) -> Self {
        match &mut self {
            Self::Socks5 { credentials, .. }
            | Self::HttpConnect { credentials, .. }
            | Self::HttpForward { credentials, .. } => {
                *credentials = Some(given);
            }
            Self::Socks4 { user, .. } => user.clone_from(&given.name),
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
                Err("a name for SOCKS5 must have 1 to 255 bytes, and a password at most 255")
            }
            Self::Socks4 { user, .. } if !socks4::can_carry(user) => {
                Err("a name for SOCKS4 must have at most 255 bytes, none of them zero")
            }
            // RFC 7617, section 2: the first colon ends the name.
            Self::HttpConnect { credentials: Some(given), .. }
            | Self::HttpForward { credentials: Some(given), .. }
                if given.name.contains(':') =>
            {
                Err("a name for HTTP cannot contain a colon")
            }
            _ => Ok(()),
        }
    }

    /// Returns `HOST:PORT` of the proxy.
    pub fn address(&self) -> &str {
        match self {
            Self::Socks5 { address, .. }
            | Self::Socks4 { address, .. }
            | Self::HttpConnect { address, .. }
            | Self::HttpForward { address, .. } => address,
        }
    }
}

/// Name and password for a proxy. The password is never printed. Every copy is wiped, that in the bytes for the socket
/// included. Passwords are compared in constant time.
#[derive(Clone)]
pub struct Credentials {
    name: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// Takes a name and a password. SOCKS5 allows names of 1 to 255 bytes and passwords of 0 to 255.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: Zeroizing::new(password.into()) }
    }

    /// Returns whether one byte can count each of them (RFC 1929, section 2).
    pub(crate) fn fit_into_socks5(&self) -> bool {
        (1..=255).contains(&self.name.len()) && self.password.len() <= 255
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        let is_same_password = self.password.as_bytes().ct_eq(other.password.as_bytes());
        (self.name == other.name) & bool::from(is_same_password)
    }
}

impl Eq for Credentials {}

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
    Socks4(Socks4),
    HttpConnect(HttpConnect),
}

impl Negotiation {
    /// Requests a connection to `target`; what to send is appended to `out`.
    ///
    /// # Errors
    ///
    /// [`ProxyError::UnusableCredentials`] if this kind of proxy cannot carry the credentials, and [`ProxyError::UnusableTarget`] if
    /// it cannot carry the target, or that is no `HOST:PORT`. [`ProxyError::OnlyRequests`] for a proxy without an exchange: see
    /// [`HttpLane::through`](crate::HttpLane::through).
    pub fn start(proxy: &Proxy, target: &Address, out: &mut Zeroizing<Vec<u8>>) -> Result<Self, ProxyError> {
        if target.socket().is_none() && target.name().is_none() {
            return Err(ProxyError::UnusableTarget);
        }
        match proxy {
            Proxy::Socks5 { credentials, .. } => {
                Ok(Self(Machine::Socks5(Socks5::start(target.clone(), credentials.clone(), out)?)))
            }
            Proxy::HttpForward { .. } => Err(ProxyError::OnlyRequests),
            Proxy::Socks4 { user, .. } => Ok(Self(Machine::Socks4(Socks4::start(target, user, out)?))),
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
            Machine::Socks4(machine) => machine.handle(buf),
            Machine::HttpConnect(machine) => machine.handle(buf),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_socks_become_proxies() {
        let proxy = Proxy::from_link("https://t.me/socks?server=proxy.example&port=1080&user=me&pass=s%20s");
        let expected = Proxy::socks5("proxy.example:1080").with_credentials(Credentials::new("me", "s s"));
        assert_eq!(proxy, Ok(expected));
        let six = Proxy::from_link("tg://socks?server=2001:db8::1&port=1080");
        assert_eq!(six, Ok(Proxy::socks5("[2001:db8::1]:1080")));
        let missing = Proxy::from_link("tg://socks?server=a");
        assert_eq!(missing, Err(SecretError::Missing { part: "port" }));
    }

    #[test]
    fn credentials_that_cannot_be_sent_are_found_before() {
        let check = |proxy: Proxy, name: &str, password: &str| {
            proxy.with_credentials(Credentials::new(name, password)).check_credentials().is_ok()
        };
        let long = "x".repeat(256);
        for (name, password, is_good) in [
            ("me", "", true),
            ("me", "key", true),
            ("", "key", false),
            (&long, "", false),
            ("me", &long, false),
        ] {
            assert_eq!(check(Proxy::socks5("a:1"), name, password), is_good, "{name} {password}");
        }
        assert!(check(Proxy::socks4("a:1"), "me", &long));
        assert!(!check(Proxy::socks4("a:1"), "m\0e", ""));
        assert!(!check(Proxy::http_connect("a:1"), "m:e", ""));
    }

    #[test]
    fn a_password_is_not_printed() {
        let proxy = Proxy::socks5("proxy:1080").with_credentials(Credentials::new("me", "swordfish"));
        let shown = format!("{proxy:?}");
        assert!(shown.contains("me") && !shown.contains("swordfish"), "{shown}");
    }
}
