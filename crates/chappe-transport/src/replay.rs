//! Remembers what connections began with, to refuse a recording of one (`SEC-145`).

use alloc::collections::{BTreeMap, VecDeque};

use chappe_crypto::hash::sha256;

/// How long official proxies remember the randoms of fake-TLS hellos: two days, in seconds.
pub(crate) const REMEMBER: u32 = 2 * 24 * 60 * 60;

/// First half of the hash of what a connection began with.
type Key = [u8; 16];

/// A bounded set of the beginnings seen lately.
///
/// It holds 16 bytes of a hash for each, so that a peer cannot choose keys that make it slow, and forgets the
/// oldest when it is full: then a recording older than everything it holds would pass.
#[derive(Debug)]
pub struct ReplayFilter {
    seen: BTreeMap<Key, u32>,
    order: VecDeque<Key>,
    capacity: usize,
    remember: u32,
}

impl ReplayFilter {
    /// Makes a filter that holds up to `capacity` beginnings, at least one, for [`REMEMBER`] seconds each.
    pub const fn new(capacity: usize) -> Self {
        Self::with_memory(capacity, REMEMBER)
    }

    /// Makes a filter that holds up to `capacity` beginnings for `seconds` each.
    pub const fn with_memory(capacity: usize, seconds: u32) -> Self {
        let capacity = if capacity == 0 { 1 } else { capacity };
        Self { seen: BTreeMap::new(), order: VecDeque::new(), capacity, remember: seconds }
    }

    /// Returns how many beginnings it holds.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Says whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Records `beginning` at `unix_time` (seconds) and says whether it is new.
    pub fn insert(&mut self, beginning: &[u8], unix_time: u32) -> bool {
        self.forget_until(unix_time);
        let mut key = Key::default();
        key.copy_from_slice(&sha256(&[beginning])[..16]);
        if self.seen.contains_key(&key) {
            return false;
        }
        if self.order.len() >= self.capacity {
            self.forget_oldest();
        }
        self.seen.insert(key, unix_time);
        self.order.push_back(key);
        true
    }

    fn forget_until(&mut self, now: u32) {
        while let Some(oldest) = self.order.front() {
            let seen_at = self.seen.get(oldest).copied().unwrap_or_default();
            if now.saturating_sub(seen_at) <= self.remember {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.seen.remove(&oldest);
        }
    }
}
