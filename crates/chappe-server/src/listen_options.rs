//! How connections are served: every time-out and limit, with its reason.

#[cfg(any(feature = "blocking", feature = "tokio"))]
use std::io;
use std::net::IpAddr;
#[cfg(any(feature = "blocking", feature = "tokio"))]
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use chappe_carrier::Address;
use chappe_transport::AcceptConfig;

use crate::Networks;

/// How a server serves connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Which transports and secrets are served, and their limits.
    pub accept: AcceptConfig,
    /// Connections that the operating system completes while the server has not accepted them yet. Default 4096: a server
    /// that restarts is called by all of its clients at once, and a client whose packet finds the queue full waits a second
    /// before it tries again. Linux lowers it to `net.core.somaxconn`.
    pub backlog: u32,
    /// Whether another process may listen on the same port at the same time, so that a new one starts before the old one has
    /// ended. Both must ask for it. Default no. Only Unix knows it.
    pub reuse_port: bool,
    /// How long it may take until the transport is detected. Default 10 s (`SEC-136`).
    pub first_bytes_timeout: Duration,
    /// How long it may take until a client has proved that it has a key, handshake included. Default 60 s.
    pub authentication_timeout: Duration,
    /// How long a frame may take from its first byte to its last, besides the time that its bytes need at
    /// [`frame_rate`](Self::frame_rate). Default 15 s.
    pub frame_timeout: Duration,
    /// Bytes per second at which the rest of a frame must come, on average since its first byte. Default 2048: a very bad
    /// mobile network.
    pub frame_rate: u32,
    /// How long a client may read nothing of what is written to it. Default 30 s (`SEC-138`).
    pub write_timeout: Duration,
    /// How long a connection may be silent. Default 10 min: every client in use pings more often.
    pub idle_timeout: Duration,
    /// Connections at the same time. Default 20 000. If there are more, the oldest one makes room that has not proved that
    /// it has a key; so also for the limit of a network.
    pub max_connections: usize,
    /// Connections from one network at the same time. Default 10 000, because many clients share an address.
    pub max_connections_per_address: usize,
    /// Threads for RSA and Diffie-Hellman of handshakes. Default 0: half of the processors.
    pub handshake_threads: usize,
    /// Which addresses count as one.
    pub networks: Networks,
    /// Addresses of load balancers. A connection from one of them must begin with a header of the PROXY protocol, version 1 or 2;
    /// the address that it names is the peer's, for limits and logs. From other addresses no header is accepted. Default: none.
    pub load_balancers: Vec<IpAddr>,
    /// The site to which a client is handed on that speaks nothing which is served, with all bytes that it sent: a proxy that is
    /// probed then behaves as this site (`SEC-149`). Default: none, the connection is closed.
    pub mask: Option<Address>,
    /// How long a connection may last that was handed on. Default 10 min.
    pub mask_timeout: Duration,
    /// Beginnings of connections remembered against replays: obfuscation headers, and hellos of fake TLS; 0 remembers none.
    /// Default 65 536, of some 100 bytes each (`SEC-145`). A censor that repeats a recorded hello would otherwise learn that this is
    /// no web server.
    pub remembered_headers: usize,
}

impl ListenOptions {
    chappe_types::setters! {
        with_accept => accept: AcceptConfig,
        with_backlog => backlog: u32,
        with_reuse_port => reuse_port: bool,
        with_first_bytes_timeout => first_bytes_timeout: Duration,
        with_authentication_timeout => authentication_timeout: Duration,
        with_frame_rate => frame_rate: u32,
        with_frame_timeout => frame_timeout: Duration,
        with_write_timeout => write_timeout: Duration,
        with_idle_timeout => idle_timeout: Duration,
        with_max_connections => max_connections: usize,
        with_max_connections_per_address => max_connections_per_address: usize,
        with_handshake_threads => handshake_threads: usize,
        with_networks => networks: Networks,
        with_mask => mask: Option<Address>,
        with_mask_timeout => mask_timeout: Duration,
        with_remembered_headers => remembered_headers: usize,
    }
}

impl ListenOptions {
    /// Makes the options of a datacenter: every transport, no secrets.
    pub const fn datacenter() -> Self {
        Self {
            accept: AcceptConfig::datacenter(),
            backlog: 4096,
            reuse_port: false,
            first_bytes_timeout: Duration::from_secs(10),
            authentication_timeout: Duration::from_secs(60),
            frame_timeout: Duration::from_secs(15),
            frame_rate: 2048,
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
            max_connections: 20_000,
            max_connections_per_address: 10_000,
            handshake_threads: 0,
            networks: Networks { ipv4_bits: 32, ipv6_bits: 64 },
            load_balancers: Vec::new(),
            mask: None,
            mask_timeout: Duration::from_secs(600),
            remembered_headers: 65_536,
        }
    }

    /// Sets the addresses of load balancers.
    #[must_use]
    pub fn with_load_balancers(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.load_balancers = addresses.into_iter().collect();
        self
    }

    /// Returns whether connections from this address begin with a header of the PROXY protocol.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn is_load_balancer(&self, address: IpAddr) -> bool {
        // A socket for both families shows IPv4 addresses as mapped ones.
        self.load_balancers.iter().any(|known| known.to_canonical() == address.to_canonical())
    }

    /// Binds a socket with the [`backlog`](Self::backlog) of these options, for `serve` of either listener.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        use socket2::{Domain, Protocol, Socket, Type};

        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // As the standard library does: a restarted server must not wait for connections of the old one to expire. On
        // Windows the option would let two servers share a port.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        #[cfg(unix)]
        socket.set_reuse_port(self.reuse_port)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(socket.into())
    }

    /// Binds the first of these addresses that can be bound.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn bind_any(&self, addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpListener> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        for address in addresses {
            match self.bind(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
