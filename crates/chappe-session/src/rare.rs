//! State that most sessions do not have most of the time.
//!
//! [`Rare`] reads like the value it holds and takes memory for it only once something is written, so that a
//! server or a farm of clients can keep many idle sessions.

use alloc::boxed::Box;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// What there is to read before anything was written.
pub(crate) trait Absent: Sized + 'static {
    /// The value that every session begins with.
    const NEW: Self;

    /// The same, to be borrowed.
    fn absent() -> &'static Self;
}

/// A value that takes memory once it is written to.
pub(crate) struct Rare<T>(Option<Box<T>>);

impl<T: Absent> Rare<T> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Returns the value to be changed, if it was ever written to; else there is nothing to change.
    pub(crate) fn present_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Gives the memory back. The value is as new afterwards.
    pub(crate) fn release(&mut self) {
        self.0 = None;
    }
}

impl<T: Absent> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::absent(),
        }
    }
}

impl<T: Absent> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::NEW))
    }
}

impl<T: Absent + fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Absent for u64 {
        const NEW: Self = 7;

        fn absent() -> &'static Self {
            &Self::NEW
        }
    }

    #[test]
    fn reading_takes_no_memory_and_writing_does() {
        let mut rare = Rare::<u64>::new();
        assert_eq!((*rare, rare.present_mut()), (7, None));
        *rare += 1;
        assert_eq!(*rare, 8);
        rare.release();
        assert_eq!(*rare, 7);
    }
}
