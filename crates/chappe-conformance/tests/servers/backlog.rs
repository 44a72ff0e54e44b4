//! Clients that connect at once, before the server accepts any of them.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use chappe_server::ListenOptions;

/// What a kernel of Linux allows at most; other systems have limits of their own.
fn allowed() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    text.trim().parse().unwrap_or(128)
}

/// Counts how many of `count` clients connect to a socket that never accepts. A client that finds the queue full would
/// try again after a second.
fn connected(options: &ListenOptions, count: usize) -> usize {
    let listener = options.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let mut clients = Vec::new();
    for _ in 0..count {
        match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
            Ok(client) => clients.push(client),
            Err(_) => break,
        }
    }
    clients.len()
}

#[test]
fn a_thousand_clients_that_connect_at_once_wait_for_no_retransmission() {
    let count = 1000.min(allowed());
    let mut options = ListenOptions::datacenter();
    assert_eq!(connected(&options, count), count);
    options.backlog = 16;
    assert!(connected(&options, count) < count, "the option is what decides");
}
