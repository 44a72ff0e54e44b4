//! A queue in the order of its keys, from which any entry can be taken at the cost of a binary search.
//!
//! Taking an entry from the middle leaves a gap. Gaps are closed when they outnumber the entries, so each removal costs
//! a constant number of moves on average, whatever order the peer chooses.

#[cfg(not(test))]
use alloc::collections::VecDeque;

#[cfg(test)]
use crate::counted::VecDeque;

/// Places that an empty queue keeps for the next entries.
const KEPT_PLACES: usize = 8;

/// Entries by ascending keys. The first place is never a gap.
#[derive(Debug)]
pub(super) struct SparseQueue<K, V> {
    places: VecDeque<(K, Option<V>)>,
    gaps: usize,
}

impl<K, V> Default for SparseQueue<K, V> {
    fn default() -> Self {
        Self { places: VecDeque::new(), gaps: 0 }
    }
}

impl<K: Copy + Ord, V> SparseQueue<K, V> {
    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.gaps
    }

    /// Adds an entry at the end; its key must be higher than all before.
    pub(super) fn push(&mut self, key: K, value: V) {
        debug_assert!(self.places.back().is_none_or(|last| last.0 < key), "keys ascend");
        self.places.push_back((key, Some(value)));
    }

    /// Returns the first entry.
    pub(super) fn front(&self) -> Option<&V> {
        self.places.front()?.1.as_ref()
    }

    /// Takes the first entry.
    pub(super) fn pop_front(&mut self) -> Option<V> {
        let value = self.places.pop_front()?.1;
        self.close_gaps();
        value
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.places.get(self.place(key)?)?.1.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.place(key)?;
        self.places.get_mut(place)?.1.as_mut()
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, key: K) -> Option<V> {
        let place = self.place(key)?;
        let value = self.places.get_mut(place)?.1.take()?;
        self.gaps += 1;
        self.close_gaps();
        Some(value)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// Lists the keys of all entries.
    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.places.iter().filter(|place| place.1.is_some()).map(|place| place.0)
    }

    fn place(&self, key: K) -> Option<usize> {
        // Clients acknowledge mostly in order.
        if self.places.front().is_some_and(|first| first.0 == key) {
            return Some(0);
        }
        self.places.binary_search_by(|place| place.0.cmp(&key)).ok()
    }

    /// Closes gaps at the front, and all of them if there are too many. Frees the memory of a large empty queue.
    fn close_gaps(&mut self) {
        while self.places.front().is_some_and(|first| first.1.is_none()) {
            self.places.pop_front();
            self.gaps -= 1;
        }
        if self.gaps > self.len() {
            self.places.retain(|place| place.1.is_some());
            self.gaps = 0;
        }
        if self.places.is_empty() && self.places.capacity() > KEPT_PLACES {
            self.places = VecDeque::new();
        }
    }
}
