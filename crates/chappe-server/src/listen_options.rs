//! How connections are served: every time-out and bound, with its reason.

use std::time::Duration;

use chappe_transport::AcceptConfig;

/// How a server takes connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    chappe_types::setters! {
        with_accept => accept: AcceptConfig,
        with_first_bytes_timeout => first_bytes_timeout: Duration,
        with_frame_timeout => frame_timeout: Duration,
        with_write_timeout => write_timeout: Duration,
        with_idle_timeout => idle_timeout: Duration,
        with_max_connections => max_connections: usize,
        with_max_connections_per_address => max_connections_per_address: usize,
        with_remembered_headers => remembered_headers: usize,
    }
}

impl ListenOptions {
    /// Makes the options of a datacenter: every transport, no secrets.
    pub const fn data_centre() -> Self {
        Self {
            accept: AcceptConfig::datacenter(),
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
