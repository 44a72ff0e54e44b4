//! What clients may hold of a server, and what they may make it do.

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
    /// Handshakes that wait for a worker. Default 1024. If there are more, the network with the most loses its latest one;
    /// what is refused is answered with -429.
    pub handshakes_queued: usize,
    /// The same of one network. Default 128.
    pub handshakes_queued_per_network: usize,
    /// Sessions per key. Default 64; the oldest that no connection uses makes room (`SEC-175`).
    pub sessions_per_key: usize,
}

impl Budgets {
    chappe_types::setters! {
        with_unused_keys => unused_keys: usize,
        with_unused_keys_per_network => unused_keys_per_network: usize,
        with_used_keys => used_keys: usize,
        with_used_keys_per_network => used_keys_per_network: usize,
        with_handshakes_queued => handshakes_queued: usize,
        with_handshakes_queued_per_network => handshakes_queued_per_network: usize,
        with_sessions_per_key => sessions_per_key: usize,
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            unused_keys: 16_384,
            unused_keys_per_network: 2048,
            used_keys: 100_000,
            used_keys_per_network: 25_000,
            handshakes_queued: 1024,
            handshakes_queued_per_network: 128,
            sessions_per_key: 64,
        }
    }
}
