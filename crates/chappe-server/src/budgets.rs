//! What clients may hold of a server, and what they may make it do.

use core::time::Duration;

/// Bounds of an [`Engine`](crate::Engine), in number, bytes and time.
///
/// Whatever a client sends, a server needs no more than these allow. "Network" is what
/// [`Networks`](crate::Networks) makes of the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budgets {
    /// Keys that were never used since they were made. Default 16 384, of some 1 KiB each; the oldest make room. A client
    /// uses its key at once, so these need to last for seconds only.
    pub unused_keys: usize,
    /// The same of one network. Default 2048; the network's oldest makes room.
    pub unused_keys_per_network: usize,
    /// Keys that were used, pinned ones not counted. Default 100 000; those not used for longest make room.
    pub used_keys: usize,
    /// The same of keys that were made from one network. Default 25 000; the network's own make room, so that no network
    /// pushes out the keys of others.
    pub used_keys_per_network: usize,
    /// Bytes of a frame that a connection may send before it has named a key of this server. Default 1 KiB: the queries of a
    /// handshake are shorter.
    pub unauthenticated_frame: usize,
    /// Handshakes that wait for a worker. Default 1024. If there are more, the network with the most loses its latest one;
    /// what is refused is answered with -429.
    pub handshakes_queued: usize,
    /// The same of one network. Default 128.
    pub handshakes_queued_per_network: usize,
    /// Sessions per key. Default 64; the oldest that no connection uses makes room (`SEC-175`).
    pub sessions_per_key: usize,
    /// Sessions that a key may begin per second, on average. Default 16; the work of a session's first frames is not
    /// limited by what the session did before.
    pub sessions_begun_per_second: u32,
    /// Sessions that a key may begin at once. Default 256.
    pub sessions_begun_at_once: u32,
    /// How long a session without a connection is kept. Default 10 min.
    pub detached_session: Duration,
    /// Bytes that answers and updates may have which clients leave unacknowledged, in all. Default 1 GiB. If there are more,
    /// only sessions that hold less than a 1024th of this may hold more.
    pub unacked_bytes: usize,
    /// The same of the sessions of one key. Default 64 MiB. A session that would hold more ends.
    pub unacked_bytes_per_key: usize,
    /// Bytes that packed objects under one key may unpack to per second, on average. Default 8 MiB.
    pub inflated_per_second: u32,
    /// Bytes of these at once. Default 32 MiB. A frame that comes when there were more is refused with -429.
    pub inflated_at_once: u32,
    /// Bytes that packed objects of one network may unpack to per second, on average, under whatever keys. Default 64 MiB.
    pub inflated_per_second_per_network: u32,
    /// Bytes of these at once. Default 256 MiB. A frame with a packed object that comes when there were more is refused with
    /// -429; other frames of the network are served.
    pub inflated_at_once_per_network: u32,
}

impl Budgets {
    chappe_types::with!();
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            unused_keys: 16_384,
            unused_keys_per_network: 2048,
            used_keys: 100_000,
            used_keys_per_network: 25_000,
            unauthenticated_frame: 1024,
            handshakes_queued: 1024,
            handshakes_queued_per_network: 128,
            sessions_per_key: 64,
            sessions_begun_per_second: 16,
            sessions_begun_at_once: 256,
            detached_session: Duration::from_secs(600),
            unacked_bytes: 1 << 30,
            unacked_bytes_per_key: 64 << 20,
            inflated_per_second: 8 << 20,
            inflated_at_once: 32 << 20,
            inflated_per_second_per_network: 64 << 20,
            inflated_at_once_per_network: 256 << 20,
        }
    }
}
