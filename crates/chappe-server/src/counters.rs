//! What a server counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a server has done so far, and what it does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCounters {
    /// Connections that are open now.
    pub open: u64,
    /// Connections let in.
    pub accepted: u64,
    /// Connections turned away by a limit, in all or of their address.
    pub over_limit: u64,
    /// Connections that spoke nothing that is served, or nothing at all in time.
    pub unknown: u64,
    /// Connections that carried a stream of frames.
    pub streams: u64,
    /// Connections that carried HTTP.
    pub http: u64,
    /// Payloads that came.
    pub payloads_in: u64,
    /// Payloads that were sent.
    pub payloads_out: u64,
    /// Bytes that came over sockets.
    pub bytes_in: u64,
    /// Bytes that went over sockets.
    pub bytes_out: u64,
    /// Connections closed since their client did not read (`SEC-138`).
    pub slow_readers: u64,
    /// Connections closed since a frame took too long to arrive.
    pub slow_senders: u64,
    /// Connections closed since nothing came for too long.
    pub idle: u64,
}

/// The same, counted from many threads.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: AtomicU64,
    pub(crate) over_limit: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) streams: AtomicU64,
    pub(crate) http: AtomicU64,
    pub(crate) payloads_in: AtomicU64,
    pub(crate) payloads_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) slow_readers: AtomicU64,
    pub(crate) slow_senders: AtomicU64,
    pub(crate) idle: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl Tally {
    /// Reads every counter; they may be a moment apart.
    pub(crate) fn read(&self, open: usize) -> ServerCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerCounters {
            open: open as u64,
            accepted: read(&self.accepted),
            over_limit: read(&self.over_limit),
            unknown: read(&self.unknown),
            streams: read(&self.streams),
            http: read(&self.http),
            payloads_in: read(&self.payloads_in),
            payloads_out: read(&self.payloads_out),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
            slow_readers: read(&self.slow_readers),
            slow_senders: read(&self.slow_senders),
            idle: read(&self.idle),
        }
    }
}
