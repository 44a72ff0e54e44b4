//! Streams of unequal length side by side.
//!
//! All lanes advance by what the shortest of them has left. Then finished lanes are filled from the queue. The last streams
//! run with fewer beside them.

use core::{array, mem};

/// Something of each of `N * G` lanes.
type Groups<T, const N: usize, const G: usize> = [[T; N]; G];

/// A stream under way: the state of its cipher, and the blocks that are left.
pub(crate) struct Lane<'a, C> {
    pub(crate) cipher: C,
    pub(crate) rest: &'a mut [[u8; 16]],
}

impl<'a, C> Lane<'a, C> {
    /// Takes the next `count` blocks off the front.
    fn take(&mut self, count: usize) -> &'a mut [[u8; 16]] {
        let (now, later) = mem::take(&mut self.rest).split_at_mut(count);
        self.rest = later;
        now
    }
}

/// Up to `MAX` lanes; those under way stand in front.
pub(crate) struct Lanes<'a, C, const MAX: usize> {
    lanes: [Option<Lane<'a, C>>; MAX],
    active: usize,
}

impl<'a, C, const MAX: usize> Lanes<'a, C, MAX> {
    /// Returns lanes without streams.
    pub(crate) const fn new() -> Self {
        Self { lanes: [const { None }; MAX], active: 0 }
    }

    /// Removes finished lanes and fills the first `width` from the queue. Returns the number of those under way.
    pub(crate) fn refill(&mut self, width: usize, queue: &mut impl Iterator<Item = Lane<'a, C>>) -> usize {
        let mut i = 0;
        while i < self.active {
            if self.lanes[i].as_ref().is_some_and(|lane| !lane.rest.is_empty()) {
                i += 1;
            } else {
                self.active -= 1;
                self.lanes.swap(i, self.active);
                self.lanes[self.active] = None;
            }
        }
        while self.active < width.min(MAX)
            && let Some(lane) = queue.next()
        {
            self.lanes[self.active] = Some(lane);
            self.active += 1;
        }
        self.active
    }

    /// Takes the next blocks off the first `N * G` lanes, in `G` groups: of each lane, as many as the shortest has left.
    ///
    /// # Panics
    ///
    /// Panics if fewer lanes are under way.
    pub(crate) fn take<const N: usize, const G: usize>(
        &mut self,
    ) -> (Groups<&mut C, N, G>, Groups<&'a mut [[u8; 16]], N, G>) {
        let mut lanes = self.lanes.iter_mut().flatten();
        let mut lanes: [[_; N]; G] =
            array::from_fn(|_| array::from_fn(|_| lanes.next().expect("the caller counted the lanes")));
        let blocks = lanes.iter().flatten().map(|lane| lane.rest.len()).min().unwrap_or(0);
        let data = lanes.each_mut().map(|group| group.each_mut().map(|lane| lane.take(blocks)));
        (lanes.map(|group| group.map(|lane| &mut lane.cipher)), data)
    }
}
