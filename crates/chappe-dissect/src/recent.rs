//! A table that knows which of its entries was used longest ago.

use alloc::collections::BTreeMap;

/// Entries by key and by time of use.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    by_use: BTreeMap<u64, K>,
    clock: u64,
}

impl<K: Copy + Ord, V> Recent<K, V> {
    pub(crate) const fn new() -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), clock: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns an entry, which counts as its use.
    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let (used, value) = self.entries.get_mut(&key)?;
        // Most uses follow one of the same entry.
        if *used != self.clock {
            self.by_use.remove(used);
            self.clock += 1;
            *used = self.clock;
            self.by_use.insert(self.clock, key);
        }
        Some(value)
    }

    /// Returns an entry, which is made if there is none.
    pub(crate) fn get_or_insert(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.clock += 1;
            self.by_use.insert(self.clock, key);
            self.entries.insert(key, (self.clock, make()));
        }
        self.get_mut(key).expect("the entry was made if there was none")
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let (used, value) = self.entries.remove(&key)?;
        self.by_use.remove(&used);
        Some(value)
    }

    /// Removes the entry that was used longest ago.
    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.by_use.pop_first()?;
        let (_, value) = self.entries.remove(&key)?;
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_used_longest_ago_goes_first() {
        let mut table = Recent::new();
        for key in [1, 2, 3] {
            table.get_or_insert(key, || key * 10);
        }
        table.get_mut(1);
        table.remove(3);
        assert_eq!(table.pop_oldest(), Some((2, 20)));
        assert_eq!(table.pop_oldest(), Some((1, 10)));
        assert_eq!((table.pop_oldest(), table.len()), (None, 0));
    }
}
