//! What a server does, in the shape that monitoring systems expect.

mod histogram;
mod prometheus;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use histogram::Buckets;
pub use histogram::Histogram;

use crate::EngineCounters;

/// Upper bounds of durations, in seconds.
const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Upper bounds of lengths, in bytes.
const BYTES: &[f64] = &[
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// What an [`Engine`](crate::Engine) has done since it started, and what it holds now.
///
/// [`prometheus`](Self::prometheus) writes it as text.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerMetrics {
    /// What was refused, by cause.
    pub refused: EngineCounters,
    /// Permanent keys that clients made.
    pub permanent_keys_made: u64,
    /// Temporary keys that clients made.
    pub temporary_keys_made: u64,
    /// Temporary keys that were bound.
    pub keys_bound: u64,
    /// Sessions that began.
    pub sessions_begun: u64,
    /// Sessions that ended.
    pub sessions_ended: u64,
    /// Logins that were imported.
    pub logins_moved: u64,
    /// Queries that handlers saw.
    pub queries: u64,
    /// Queries that were answered with a result.
    pub results: u64,
    /// Queries that were answered with an error of the codes 300 to 499.
    pub client_errors: u64,
    /// Queries that were answered with any other error.
    pub server_errors: u64,
    /// Queries whose answers clients no longer wanted while they ran.
    pub dropped: u64,
    /// Updates that were pushed.
    pub updates: u64,
    /// Keys that the server has now.
    pub keys: u64,
    /// Calls of a [`Router`](crate::Router) that have no answer yet.
    pub calls_under_way: u64,
    /// How long the server half of a handshake's step takes that needs RSA or Diffie-Hellman, in seconds.
    pub handshake_seconds: Histogram,
    /// How long calls of a [`Router`](crate::Router) take until they are answered, in seconds.
    pub call_seconds: Histogram,
    /// Lengths of queries, in bytes.
    pub query_bytes: Histogram,
    /// Lengths of results, in bytes.
    pub result_bytes: Histogram,
}

impl ServerMetrics {
    /// Returns how many sessions there are now.
    pub const fn sessions(&self) -> u64 {
        self.sessions_begun.saturating_sub(self.sessions_ended)
    }
}

/// The counters, as atomics that all connections add to.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) permanent_keys_made: AtomicU64,
    pub(crate) temporary_keys_made: AtomicU64,
    pub(crate) keys_bound: AtomicU64,
    pub(crate) sessions_begun: AtomicU64,
    pub(crate) sessions_ended: AtomicU64,
    pub(crate) logins_moved: AtomicU64,
    pub(crate) queries: AtomicU64,
    pub(crate) results: AtomicU64,
    pub(crate) client_errors: AtomicU64,
    pub(crate) server_errors: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) updates: AtomicU64,
    pub(crate) calls_under_way: AtomicU64,
    pub(crate) handshake_seconds: Buckets,
    pub(crate) call_seconds: Buckets,
    pub(crate) query_bytes: Buckets,
    pub(crate) result_bytes: Buckets,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            permanent_keys_made: AtomicU64::default(),
            temporary_keys_made: AtomicU64::default(),
            keys_bound: AtomicU64::default(),
            sessions_begun: AtomicU64::default(),
            sessions_ended: AtomicU64::default(),
            logins_moved: AtomicU64::default(),
            queries: AtomicU64::default(),
            results: AtomicU64::default(),
            client_errors: AtomicU64::default(),
            server_errors: AtomicU64::default(),
            dropped: AtomicU64::default(),
            updates: AtomicU64::default(),
            calls_under_way: AtomicU64::default(),
            handshake_seconds: Buckets::new(SECONDS),
            call_seconds: Buckets::new(SECONDS),
            query_bytes: Buckets::new(BYTES),
            result_bytes: Buckets::new(BYTES),
        }
    }
}

impl Activity {
    /// Reads everything, one after the other.
    pub(crate) fn read(&self, refused: EngineCounters, keys: usize) -> ServerMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerMetrics {
            refused,
            permanent_keys_made: read(&self.permanent_keys_made),
            temporary_keys_made: read(&self.temporary_keys_made),
            keys_bound: read(&self.keys_bound),
            sessions_begun: read(&self.sessions_begun),
            sessions_ended: read(&self.sessions_ended),
            logins_moved: read(&self.logins_moved),
            queries: read(&self.queries),
            results: read(&self.results),
            client_errors: read(&self.client_errors),
            server_errors: read(&self.server_errors),
            dropped: read(&self.dropped),
            updates: read(&self.updates),
            keys: keys as u64,
            calls_under_way: read(&self.calls_under_way),
            handshake_seconds: self.handshake_seconds.read(),
            call_seconds: self.call_seconds.read(),
            query_bytes: self.query_bytes.read(),
            result_bytes: self.result_bytes.read(),
        }
    }

    /// Counts what answers a query: a result of this length, or an error of this code.
    pub(crate) fn count_answer(&self, answer: Result<usize, i32>) {
        let counter = match answer {
            Ok(len) => {
                self.result_bytes.record_len(len);
                &self.results
            }
            Err(300..=499) => &self.client_errors,
            Err(_) => &self.server_errors,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Subtracts from a gauge.
pub(crate) fn subtract(gauge: &AtomicU64, count: u64) {
    gauge.fetch_sub(count, Ordering::Relaxed);
}
