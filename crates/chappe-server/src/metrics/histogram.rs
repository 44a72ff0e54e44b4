//! Numbers counted in fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};

/// Most bounds that a histogram has.
const MAX_BOUNDS: usize = 16;

/// A histogram that many threads add to.
#[derive(Debug)]
pub(crate) struct Buckets {
    bounds: &'static [f64],
    counts: [AtomicU64; MAX_BOUNDS + 1],
    /// The bits of a number.
    sum: AtomicU64,
}

impl Buckets {
    /// Makes an empty histogram with these upper bounds, of which there are at most 16.
    pub(crate) const fn new(bounds: &'static [f64]) -> Self {
        assert!(bounds.len() <= MAX_BOUNDS);
        Self { bounds, counts: [const { AtomicU64::new(0) }; MAX_BOUNDS + 1], sum: AtomicU64::new(0) }
    }

    pub(crate) fn record(&self, value: f64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
        // The closure always returns a value.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Records a length in bytes.
    #[allow(clippy::cast_precision_loss, reason = "no message has 2^52 bytes")]
    pub(crate) fn record_len(&self, len: usize) {
        self.record(len as f64);
    }

    pub(crate) fn read(&self) -> Histogram {
        let counts = self.counts[..=self.bounds.len()].iter().map(|count| count.load(Ordering::Relaxed));
        Histogram {
            bounds: self.bounds,
            counts: counts.collect(),
            sum: f64::from_bits(self.sum.load(Ordering::Relaxed)),
        }
    }
}

/// Numbers counted in fixed buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// Returns the upper bound of each bucket, included, infinite for the last, and how many numbers are in it and in no
    /// smaller one.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied())
    }

    /// Returns how many numbers were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns their sum.
    pub const fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_in_the_smallest_bucket_that_holds_it() {
        let buckets = Buckets::new(&[1.0, 10.0]);
        for value in [0.0, 1.0, 1.5, 10.0, 11.0] {
            buckets.record(value);
        }
        let read = buckets.read();
        let counted: Vec<_> = read.buckets().collect();
        assert_eq!(counted, [(1.0, 2), (10.0, 2), (f64::INFINITY, 1)]);
        assert_eq!((read.count(), read.sum()), (5, 23.5));
    }
}
