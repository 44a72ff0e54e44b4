//! Where a connection leads to.

use core::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where a connection leads to: an address, the name of a host that is looked up for each connection, or a URL.
///
/// ```
/// use chappe_carrier::Address;
///
/// assert_eq!(Address::of("proxy.example", 443), Address::Name("proxy.example:443".into()));
/// assert_eq!(Address::of("2001:db8::1", 443).to_string(), "[2001:db8::1]:443");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An address.
    Socket(SocketAddr),
    /// `HOST:PORT`. The name is looked up for each connection, so a host can move.
    Name(String),
    /// A URL that only the sockets of the driver understand, such as `wss://HOST/apiws` of a WebSocket in a browser.
    Url(String),
}

impl Address {
    /// Makes the address of a port of a host. The host is a name or an IP address.
    pub fn of(host: &str, port: u16) -> Self {
        match host.parse::<IpAddr>() {
            Ok(host) => Self::Socket(SocketAddr::new(host, port)),
            Err(_) => Self::Name(format!("{host}:{port}")),
        }
    }

    /// Returns host and port of a name, unless it is an address in text form or malformed.
    pub(crate) fn name(&self) -> Option<(&str, u16)> {
        match self {
            Self::Socket(_) | Self::Url(_) => None,
            Self::Name(name) => {
                let (host, port) = name.rsplit_once(':')?;
                // Anything else would not stay in its place in a request.
                let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
                is_name.then_some((host, port.parse().ok()?))
            }
        }
    }

    /// Returns the address, in text form or not; `None` for a name or a URL.
    pub(crate) fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(address) => Some(*address),
            Self::Name(name) => name.parse().ok(),
            Self::Url(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Address {
    fn from(address: (I, u16)) -> Self {
        Self::Socket(address.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Name(text) | Self::Url(text) => f.write_str(text),
        }
    }
}
