//! A `VecDeque` that counts the elements it visits, for tests of cost.
//!
//! Tests compile the queues that a peer can make work with this type instead of the one of `alloc`. A test counts steps
//! instead of time, so that it gives the same result on every machine. Access to an end or to a known place is no step:
//! it cannot depend on the length.

use alloc::collections::{VecDeque as Inner, vec_deque};
use core::cmp::Ordering;

std::thread_local! {
    static STEPS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

fn count(steps: usize) {
    STEPS.set(STEPS.get() + steps);
}

/// Returns how many steps `work` takes on this thread.
pub(crate) fn steps_of(work: impl FnOnce()) -> usize {
    let before = STEPS.get();
    work();
    STEPS.get() - before
}

/// A double-ended queue that counts.
#[derive(Clone, Debug)]
pub(crate) struct VecDeque<T>(Inner<T>);

impl<T> Default for VecDeque<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> VecDeque<T> {
    pub(crate) const fn new() -> Self {
        Self(Inner::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    pub(crate) fn reserve_exact(&mut self, more: usize) {
        self.0.reserve_exact(more);
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.0.front()
    }

    pub(crate) fn back(&self) -> Option<&T> {
        self.0.back()
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place)
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.0.get_mut(place)
    }

    pub(crate) fn push_back(&mut self, element: T) {
        self.0.push_back(element);
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        count(1);
        self.0.pop_front()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().inspect(|_| count(1))
    }

    pub(crate) fn drain(&mut self, range: core::ops::RangeTo<usize>) -> vec_deque::Drain<'_, T> {
        count(range.end);
        self.0.drain(range)
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        count(self.0.len());
        self.0.retain(keep);
    }

    pub(crate) fn clear(&mut self) {
        count(self.0.len());
        self.0.clear();
    }

    pub(crate) fn binary_search_by(&self, mut compare: impl FnMut(&T) -> Ordering) -> Result<usize, usize> {
        self.0.binary_search_by(|element| {
            count(1);
            compare(element)
        })
    }
}
