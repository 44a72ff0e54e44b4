//! A filter that rejects replayed connections (`SEC-145`).

use alloc::collections::{BTreeMap, VecDeque};

use chappe_crypto::hash::sha256;

/// How long official proxies store the randoms of fake-TLS hellos, in seconds: two days.
pub(crate) const REMEMBER: u32 = 2 * 24 * 60 * 60;

/// First half of the hash of a connection's beginning.
type Key = [u8; 16];

/// A bounded set of recent beginnings of connections.
///
/// It stores 16 bytes of a hash for each, so that a peer cannot choose keys that make it slow. When it is full, it drops the
/// oldest entry: a replay that is older than all entries passes.
#[derive(Debug)]
pub struct ReplayFilter {
    seen: BTreeMap<Key, u32>,
    order: VecDeque<Key>,
    capacity: usize,
    remember: u32,
}

impl ReplayFilter {
    /// Creates a filter for up to `capacity` beginnings, at least one, which are stored for two days.
    pub const fn new(capacity: usize) -> Self {
        Self::with_memory(capacity, REMEMBER)
    }

    /// Creates a filter for up to `capacity` beginnings, which are stored for `seconds`.
    pub const fn with_memory(capacity: usize, seconds: u32) -> Self {
        let capacity = if capacity == 0 { 1 } else { capacity };
        Self { seen: BTreeMap::new(), order: VecDeque::new(), capacity, remember: seconds }
    }

    /// Returns the number of beginnings.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Returns whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Records `beginning` at `unix_time` (seconds) and returns whether it is new.
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
