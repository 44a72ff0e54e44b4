//! Where a WebSocket or HTTP is reached.

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
