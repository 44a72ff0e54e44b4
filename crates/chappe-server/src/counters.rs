//! Counters of a server.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a server has done since it started, and its open connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCounters {
    /// Connections that are open now.
    pub open: u64,
    /// Connections admitted.
    pub accepted: u64,
    /// Connections rejected by a limit, total or per address.
    pub over_limit: u64,
    /// Connections without a served transport, or silent for too long at the start.
    pub unknown: u64,
    /// Of these, connections that were handed on to the site of [`ListenOptions::mask`](crate::ListenOptions::mask).
    pub handed_on: u64,
    /// Connections that carried a stream of frames.
    pub streams: u64,
    /// Connections that carried HTTP.
    pub http: u64,
    /// Payloads received.
    pub payloads_in: u64,
    /// Payloads sent.
    pub payloads_out: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Connections closed because the client did not read (`SEC-138`).
    pub slow_readers: u64,
    /// Connections closed because a frame took too long to arrive.
    pub slow_senders: u64,
    /// Connections closed because they were silent for too long.
    pub idle: u64,
    /// Connections closed because the client did not prove in time that it has a key, or had to make room.
    pub unauthenticated: u64,
}

/// The counters, as atomics that all connections add to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: AtomicU64,
    pub(crate) over_limit: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) handed_on: AtomicU64,
    pub(crate) streams: AtomicU64,
    pub(crate) http: AtomicU64,
    pub(crate) payloads_in: AtomicU64,
    pub(crate) payloads_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) slow_readers: AtomicU64,
    pub(crate) slow_senders: AtomicU64,
    pub(crate) idle: AtomicU64,
    pub(crate) unauthenticated: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl Tally {
    /// Reads all counters, one after the other.
    pub(crate) fn read(&self, open: usize) -> ServerCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerCounters {
            open: open as u64,
            accepted: read(&self.accepted),
            over_limit: read(&self.over_limit),
            unknown: read(&self.unknown),
            handed_on: read(&self.handed_on),
            streams: read(&self.streams),
            http: read(&self.http),
            payloads_in: read(&self.payloads_in),
            payloads_out: read(&self.payloads_out),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
            slow_readers: read(&self.slow_readers),
            slow_senders: read(&self.slow_senders),
            idle: read(&self.idle),
            unauthenticated: read(&self.unauthenticated),
        }
    }
}
