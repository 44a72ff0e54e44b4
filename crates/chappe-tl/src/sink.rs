//! Where encoded bytes go.
//!
//! Not here: what is written ([`Serializable`](crate::Serializable)).

use alloc::vec::Vec;

/// A destination of encoded bytes.
///
/// Implemented for `Vec<u8>` and [`SliceSink`]; buffers with headroom implement it themselves.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Says that `additional` bytes are about to follow, so that a growing sink can grow once.
    fn reserve(&mut self, additional: usize) {
        let _ = additional;
    }

    /// Appends a word, little-endian.
    #[inline]
    fn put_u32(&mut self, word: u32) {
        self.put(&word.to_le_bytes());
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn reserve(&mut self, additional: usize) {
        Self::reserve(self, additional);
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        (**self).put(bytes);
    }

    fn reserve(&mut self, additional: usize) {
        (**self).reserve(additional);
    }
}

/// Counts the bytes and drops them.
#[derive(Debug, Default)]
pub(crate) struct Counter(usize);

impl Counter {
    pub(crate) const fn len(&self) -> usize {
        self.0
    }
}

impl Sink for Counter {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Writes into a fixed slice and remembers whether everything found room.
///
/// ```
/// use chappe_tl::{Serializable, SliceSink};
///
/// let mut space = [0xa5; 8];
/// let mut sink = SliceSink::new(&mut space);
/// 7_i32.serialize(&mut sink)?;
/// assert_eq!(sink.written(), Some(&[7, 0, 0, 0][..]));
/// # Ok::<(), chappe_tl::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct SliceSink<'a> {
    space: &'a mut [u8],
    used: usize,
    overflow: bool,
}

impl<'a> SliceSink<'a> {
    /// Starts at the beginning of `space`.
    pub const fn new(space: &'a mut [u8]) -> Self {
        Self { space, used: 0, overflow: false }
    }

    /// Returns what was written, or `None` if it did not fit; then the slice holds an unusable beginning.
    pub fn written(&self) -> Option<&[u8]> {
        if self.overflow { None } else { self.space.get(..self.used) }
    }
}

impl Sink for SliceSink<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let room = self.space.get_mut(self.used..).and_then(|rest| rest.get_mut(..bytes.len()));
        match room {
            Some(room) if !self.overflow => {
                room.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            _ => self.overflow = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_that_is_too_short_is_reported() {
        let mut space = [0xa5; 6];
        let mut sink = SliceSink::new(&mut space);
        sink.put(&[1; 4]);
        assert_eq!(sink.written(), Some(&[1; 4][..]));
        sink.put(&[2; 4]);
        assert_eq!(sink.written(), None);
        sink.put(&[3; 1]);
        assert_eq!(sink.written(), None, "bytes after a gap must not be taken for the object");
    }
}
