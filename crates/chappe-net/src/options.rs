//! How connections are made and served: every time-out and bound, with its reason.

use std::time::Duration;

use chappe_transport::{AcceptConfig, Connector};

#[cfg(feature = "tls")]
use crate::carrier::TlsOptions;
use crate::proxy::Proxy;

/// How a client makes connections.
#[derive(Clone, Debug)]
pub struct DialOptions {
    /// Framing, obfuscation and the secret of an `MTProxy`.
    pub connector: Connector,
    /// What carries the stream. Default TCP alone.
    pub carrier: Carrier,
    /// What stands in between, besides an `MTProxy`, which is the address that is dialled. Default nothing.
    pub proxy: Option<Proxy>,
    /// How long making the TCP connection may take. Default 10 s: three lost SYNs and a round trip around the
    /// world fit.
    pub connect_timeout: Duration,
    /// How long the proxy may take for all of its answers, once it is connected. Default 15 s: it makes a connection
    /// of its own meanwhile.
    pub proxy_timeout: Duration,
    /// How long TLS and the way over to WebSocket may take, each. Default 10 s.
    pub carrier_timeout: Duration,
    /// How long the answer to the first bytes may take, under fake TLS. Default 10 s.
    pub hello_timeout: Duration,
    /// How long the peer may refuse to take what is written. Default 20 s.
    pub write_timeout: Duration,
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
    /// Requests of HTTP/1.1, without framing and obfuscation: what the connector says does not matter. Sessions
    /// must be told to ask for answers with `http_wait`.
    Http(Endpoint),
    /// The same inside TLS.
    #[cfg(feature = "tls")]
    Https(Endpoint, TlsOptions),
}

/// Where a WebSocket or an answer over HTTP is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the host, which TLS checks; the address that is dialled may be any of its own.
    pub host: String,
    /// Path on it.
    pub path: String,
}

impl Endpoint {
    /// The WebSocket of a data centre at `host`, under its [usual path](chappe_transport::websocket::PATH).
    pub fn websocket(host: impl Into<String>) -> Self {
        Self { host: host.into(), path: chappe_transport::websocket::PATH.into() }
    }

    /// The HTTP of a data centre at `host`, under its [usual path](chappe_transport::http::PATH).
    pub fn http(host: impl Into<String>) -> Self {
        Self { host: host.into(), path: chappe_transport::http::PATH.into() }
    }
}

impl Carrier {
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

/// How a server takes connections.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Which transports and secrets are served, and their limits.
    pub accept: AcceptConfig,
    /// How long a client may take until it is known what it speaks. Default 10 s (`SEC-136`).
    pub first_bytes_timeout: Duration,
    /// How long a client may take to send a frame once it has begun. Default 60 s: a MiB over a bad mobile network.
    pub frame_timeout: Duration,
    /// How long a client may take to read what is written to it. Default 30 s (`SEC-138`).
    pub write_timeout: Duration,
    /// How long a connection may be silent. Default 10 min: every client in use pings more often.
    pub idle_timeout: Duration,
    /// Connections at the same time. Default 20 000.
    pub max_connections: usize,
    /// Connections from one address at the same time. Default 10 000, since many clients share an address.
    pub max_connections_per_address: usize,
    /// Obfuscation headers remembered against replays, for proxies; 0 remembers none. Default 0 (`SEC-145`).
    pub remembered_headers: usize,
}

impl ListenOptions {
    /// Makes the options of a datacenter: every transport, no secrets.
    pub const fn data_centre() -> Self {
        Self {
            accept: AcceptConfig::data_centre(),
            first_bytes_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
            max_connections: 20_000,
            max_connections_per_address: 10_000,
            remembered_headers: 0,
        }
    }
}
