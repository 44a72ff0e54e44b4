//! How connections are made: every time-out and bound, with its reason.

use std::time::Duration;

#[cfg(feature = "tls")]
use chappe_carrier::TlsOptions;
use chappe_carrier::{Endpoint, Proxy};
use chappe_transport::Connector;

/// How a client makes connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DialOptions {
    /// Framing, obfuscation and the secret of an `MTProxy`.
    pub connector: Connector,
    /// What carries the stream. Default TCP alone.
    pub carrier: Carrier,
    /// A SOCKS5 or HTTP proxy in front of the address. An `MTProxy` is no such proxy: it is the address. Default none.
    pub proxy: Option<Proxy>,
    /// How long the TCP connection may take. Default 10 s: three lost SYNs and a round trip around the world.
    pub connect_timeout: Duration,
    /// How long the proxy may take for all of its answers, once it is connected. Default 15 s: in that time it makes a
    /// connection of its own.
    pub proxy_timeout: Duration,
    /// How long TLS and the upgrade to WebSocket may take, each. Default 10 s.
    pub carrier_timeout: Duration,
    /// How long the answer to the first bytes may take, under fake TLS. Default 10 s.
    pub hello_timeout: Duration,
    /// How long the peer may accept no bytes. Default 20 s.
    pub write_timeout: Duration,
}

impl DialOptions {
    chappe_types::setters! {
        with_connector => connector: Connector,
        with_carrier => carrier: Carrier,
        with_proxy => proxy: Option<Proxy>,
        with_connect_timeout => connect_timeout: Duration,
        with_proxy_timeout => proxy_timeout: Duration,
        with_carrier_timeout => carrier_timeout: Duration,
        with_hello_timeout => hello_timeout: Duration,
        with_write_timeout => write_timeout: Duration,
    }
}

impl DialOptions {
    /// Makes options with the defaults of each field.
    pub const fn new(connector: Connector) -> Self {
        Self {
            connector,
            carrier: Carrier::Tcp,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            proxy_timeout: Duration::from_secs(15),
            carrier_timeout: Duration::from_secs(10),
            hello_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(20),
        }
    }
}

/// What carries a client's stream of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Carrier {
    /// A TCP connection.
    #[default]
    Tcp,
    /// A WebSocket. The connector must be [obfuscated](Connector::obfuscated) (`SEC-139`).
    #[cfg(feature = "websocket")]
    WebSocket(Endpoint),
    /// A WebSocket inside TLS.
    #[cfg(all(feature = "websocket", feature = "tls"))]
    WebSocketTls(Endpoint, TlsOptions),
    /// Requests of HTTP/1.1, without framing and obfuscation: the connector is ignored. Sessions must be told to request
    /// answers with `http_wait`.
    Http(Endpoint),
    /// The same inside TLS.
    #[cfg(feature = "tls")]
    Https(Endpoint, TlsOptions),
}

impl Carrier {
    /// Returns the host and path that are asked for, unless it is TCP alone.
    pub(crate) const fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Tcp => None,
            #[cfg(feature = "websocket")]
            Self::WebSocket(endpoint) => Some(endpoint),
            #[cfg(all(feature = "websocket", feature = "tls"))]
            Self::WebSocketTls(endpoint, _) => Some(endpoint),
            Self::Http(endpoint) => Some(endpoint),
            #[cfg(feature = "tls")]
            Self::Https(endpoint, _) => Some(endpoint),
        }
    }

    /// Returns whether the host's name is checked by TLS.
    pub(crate) const fn is_tls(&self) -> bool {
        match self {
            #[cfg(all(feature = "websocket", feature = "tls"))]
            Self::WebSocketTls(..) => true,
            #[cfg(feature = "tls")]
            Self::Https(..) => true,
            _ => false,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Option<(&Endpoint, &TlsOptions)> {
        match self {
            #[cfg(feature = "websocket")]
            Self::WebSocketTls(endpoint, options) => Some((endpoint, options)),
            Self::Https(endpoint, options) => Some((endpoint, options)),
            _ => None,
        }
    }

    pub(crate) const fn http(&self) -> Option<&Endpoint> {
        match self {
            Self::Http(endpoint) => Some(endpoint),
            #[cfg(feature = "tls")]
            Self::Https(endpoint, _) => Some(endpoint),
            _ => None,
        }
    }

    #[cfg(feature = "websocket")]
    pub(crate) const fn websocket(&self) -> Option<&Endpoint> {
        match self {
            Self::WebSocket(endpoint) => Some(endpoint),
            #[cfg(feature = "tls")]
            Self::WebSocketTls(endpoint, _) => Some(endpoint),
            _ => None,
        }
    }
}
