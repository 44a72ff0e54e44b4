//! The host and path of a WebSocket or HTTP carrier.

/// The host and path of a WebSocket or HTTP carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the host. TLS checks it; the dialled address may be any address of the host.
    pub host: String,
    /// Path on it.
    pub path: String,
}

impl Endpoint {
    /// The WebSocket of a datacenter at `host`, under its [usual path](chappe_transport::websocket::PATH).
    pub fn websocket(host: impl Into<String>) -> Self {
        Self { host: host.into(), path: chappe_transport::websocket::PATH.into() }
    }

    /// The HTTP endpoint of a datacenter at `host`, under its [usual path](chappe_transport::http::PATH).
    pub fn http(host: impl Into<String>) -> Self {
        Self { host: host.into(), path: chappe_transport::http::PATH.into() }
    }
}
