//! What an engine refused, by cause.

use std::sync::atomic::{AtomicU64, Ordering};

/// What an [`Engine`](crate::Engine) refused since it started, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineCounters {
    /// Queries of handshakes: malformed, out of order, or above the rate limit of their network.
    pub handshakes: u64,
    /// Queries of handshakes for which the queue had no room.
    pub handshakes_queued: u64,
    /// Frames under no known key that were longer than strangers may send.
    pub unauthenticated_frames: u64,
    /// Clients whose key could not be looked up in the directory: too many look-ups are under way, or it is out of reach.
    pub look_ups: u64,
    /// Sessions that a key may not begin: too many are in use, or begin in a short time.
    pub sessions: u64,
    /// Frames under a key, or of a network, that has unpacked too much in a short time.
    pub inflated: u64,
    /// Answers and updates that clients leave unacknowledged too many bytes for.
    pub unacked: u64,
    /// Queries whose handler panicked.
    pub panics: u64,
}

/// The counters, as atomics that all connections add to.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) handshakes: AtomicU64,
    pub(crate) handshakes_queued: AtomicU64,
    pub(crate) unauthenticated_frames: AtomicU64,
    pub(crate) look_ups: AtomicU64,
    pub(crate) sessions: AtomicU64,
    pub(crate) inflated: AtomicU64,
    pub(crate) unacked: AtomicU64,
    pub(crate) panics: AtomicU64,
}

impl Refusals {
    /// Reads all counters, one after the other.
    pub(crate) fn read(&self) -> EngineCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EngineCounters {
            handshakes: read(&self.handshakes),
            handshakes_queued: read(&self.handshakes_queued),
            unauthenticated_frames: read(&self.unauthenticated_frames),
            look_ups: read(&self.look_ups),
            sessions: read(&self.sessions),
            inflated: read(&self.inflated),
            unacked: read(&self.unacked),
            panics: read(&self.panics),
        }
    }
}
