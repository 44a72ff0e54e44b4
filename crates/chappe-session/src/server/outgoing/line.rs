//! Messages in the order of their keys, from which any one can be taken at the cost of a binary search.
//!
//! What is taken from the middle leaves a gap. Gaps are closed when they outnumber the messages, so each costs a
//! constant number of moves however the client chooses what it takes.

use alloc::collections::VecDeque;

use super::Outgoing;

/// Places that an empty line keeps for the next messages.
const KEPT_PLACES: usize = 8;

/// Messages by ascending keys. The first place is never a gap.
#[derive(Debug)]
pub(super) struct Line<K> {
    places: VecDeque<(K, Option<Outgoing>)>,
    gaps: usize,
}

impl<K> Default for Line<K> {
    fn default() -> Self {
        Self { places: VecDeque::new(), gaps: 0 }
    }
}

impl<K: Copy + Ord> Line<K> {
    /// Returns the number of messages.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.gaps
    }

    /// Adds a message at the end; its key must be higher than all before.
    pub(super) fn push(&mut self, key: K, message: Outgoing) {
        debug_assert!(self.places.back().is_none_or(|last| last.0 < key), "keys ascend");
        self.places.push_back((key, Some(message)));
    }

    /// Returns the first message.
    pub(super) fn front(&self) -> Option<&Outgoing> {
        self.places.front()?.1.as_ref()
    }

    /// Takes the first message.
    pub(super) fn pop_front(&mut self) -> Option<Outgoing> {
        let message = self.places.pop_front()?.1;
        self.tidy();
        message
    }

    pub(super) fn get(&self, key: K) -> Option<&Outgoing> {
        self.places.get(self.place(key)?)?.1.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut Outgoing> {
        let place = self.place(key)?;
        self.places.get_mut(place)?.1.as_mut()
    }

    /// Takes a message out.
    pub(super) fn take(&mut self, key: K) -> Option<Outgoing> {
        let place = self.place(key)?;
        let message = self.places.get_mut(place)?.1.take()?;
        self.gaps += 1;
        self.tidy();
        Some(message)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// Lists the keys of all messages.
    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.places
            .iter()
            .inspect(|_| crate::steps::count(1))
            .filter(|place| place.1.is_some())
            .map(|place| place.0)
    }

    fn place(&self, key: K) -> Option<usize> {
        crate::steps::count(1);
        // Clients acknowledge mostly in order.
        if self.places.front().is_some_and(|first| first.0 == key) {
            return Some(0);
        }
        let compare = |place: &(K, Option<Outgoing>)| {
            crate::steps::count(1);
            place.0.cmp(&key)
        };
        self.places.binary_search_by(compare).ok()
    }

    /// Closes gaps at the front, and all if there are too many; gives memory back when nothing is left.
    fn tidy(&mut self) {
        while self.places.front().is_some_and(|first| first.1.is_none()) {
            crate::steps::count(1);
            self.places.pop_front();
            self.gaps -= 1;
        }
        if self.gaps > self.len() {
            crate::steps::count(self.places.len());
            self.places.retain(|place| place.1.is_some());
            self.gaps = 0;
        }
        if self.places.is_empty() && self.places.capacity() > KEPT_PLACES {
            self.places = VecDeque::new();
        }
    }
}
