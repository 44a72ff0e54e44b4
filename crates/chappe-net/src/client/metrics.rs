//! What a client has counted, for a monitoring system.

use std::time::Duration;

/// What a client has counted since it was started.
///
/// All numbers only grow. Counting costs an addition for each call and each system call; nothing is kept for a reader, so
/// a client whose metrics are not read pays no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientMetrics {
    /// Calls, by their ends.
    pub calls: CallCounts,
    /// From the acceptance of a call to its answer or the datacenter's error.
    pub latency: LatencyHistogram,
    /// Bytes read from sockets, proxies and TLS included.
    pub bytes_read: u64,
    /// Bytes written to sockets, proxies and TLS included.
    pub bytes_written: u64,
    /// Connections that were begun.
    pub attempts: u64,
    /// Connections that carried the session.
    pub connections: u64,
    /// Those of them that were lost or given up: not those that a newer connection replaced, nor the last one of a client
    /// that was closed.
    pub disconnects: u64,
    /// Transport errors of the datacenter: -404, -429, -444.
    pub refusals: u64,
    /// Permanent keys that were created.
    pub permanent_keys: u64,
    /// Temporary keys that were created.
    pub temporary_keys: u64,
    /// Updates that arrived.
    pub updates: u64,
    /// Times that the datacenter lost the session, or a message could not be verified: updates may be missing.
    pub gaps: u64,
    /// Failed attempts to change the state in the store.
    pub store_failures: u64,
}

/// How many calls ended how. What was made and has not ended is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounts {
    /// Calls that were accepted.
    pub made: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that the datacenter answered with an error.
    pub rejected: u64,
    /// Calls that took too long.
    pub timed_out: u64,
    /// Calls that ended in another way without an answer, those included that the end of the client ended.
    pub failed: u64,
    /// Calls that their callers dropped.
    pub cancelled: u64,
}

/// Durations, counted in fixed buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyHistogram {
    /// One more than there are bounds: the last is for all that is longer.
    counts: [u64; BUCKETS],
    sum: Duration,
}

const BUCKETS: usize = LatencyHistogram::BOUNDS.len() + 1;

impl LatencyHistogram {
    /// Upper bounds of the buckets, included. The last bucket has none.
    pub const BOUNDS: [Duration; 15] = [
        Duration::from_millis(1),
        Duration::from_micros(2500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2500),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(30),
        Duration::from_secs(60),
    ];

    pub(crate) fn record(&mut self, duration: Duration) {
        let place = Self::BOUNDS.partition_point(|bound| *bound < duration);
        self.counts[place] += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    /// Returns the upper bound of each bucket, `None` for the last, and how many durations are in it and in no smaller one.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounds = Self::BOUNDS.into_iter().map(Some).chain([None]);
        bounds.zip(self.counts.iter().copied())
    }

    /// Returns how many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns their sum.
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

impl ClientMetrics {
    /// Returns every counter by its name, for a recorder; the [`latency`](Self::latency) is left out.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let calls = self.calls;
        [
            ("calls_made", calls.made),
            ("calls_answered", calls.answered),
            ("calls_rejected", calls.rejected),
            ("calls_timed_out", calls.timed_out),
            ("calls_failed", calls.failed),
            ("calls_cancelled", calls.cancelled),
            ("bytes_read", self.bytes_read),
            ("bytes_written", self.bytes_written),
            ("attempts", self.attempts),
            ("connections", self.connections),
            ("disconnects", self.disconnects),
            ("refusals", self.refusals),
            ("permanent_keys", self.permanent_keys),
            ("temporary_keys", self.temporary_keys),
            ("updates", self.updates),
            ("gaps", self.gaps),
            ("store_failures", self.store_failures),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_smallest_bucket_that_holds_it() {
        let mut histogram = LatencyHistogram::default();
        let micros = Duration::from_micros;
        for (duration, bound) in [
            (Duration::ZERO, Some(micros(1000))),
            (micros(1000), Some(micros(1000))),
            (micros(1001), Some(micros(2500))),
            (Duration::from_secs(60), Some(Duration::from_secs(60))),
            (Duration::from_secs(61), None),
            (Duration::MAX, None),
        ] {
            let before = histogram.clone();
            histogram.record(duration);
            let changed = before.buckets().zip(histogram.buckets()).filter(|(before, now)| before.1 != now.1);
            assert_eq!(changed.map(|(_, now)| now.0).collect::<Vec<_>>(), [bound], "{duration:?}");
        }
        assert_eq!((histogram.count(), histogram.sum()), (6, Duration::MAX));
        assert!(LatencyHistogram::BOUNDS.is_sorted());
    }
}
