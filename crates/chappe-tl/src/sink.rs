//! Destinations of encoded bytes.
//!
//! Not here: the values to write ([`Serializable`](crate::Serializable)).

use alloc::vec::Vec;

/// A destination of encoded bytes.
///
/// Implemented for `Vec<u8>` and [`SliceSink`]; buffers with headroom implement it themselves.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Announces `additional` bytes, so that a growing sink grows once.
    fn reserve(&mut self, additional: usize) {
        let _ = additional;
    }

    /// Appends a word, little-endian.
    #[inline]
    fn put_u32(&mut self, word: u32) {
        self.put(&word.to_le_bytes());
    }

    /// Appends a number of eight bytes, little-endian.
    #[inline]
    fn put_u64(&mut self, number: u64) {
        self.put(&number.to_le_bytes());
    }

    /// Returns the position of the next byte, for [`patch_u32`](Self::patch_u32).
    fn position(&self) -> usize;

    /// Overwrites a little-endian word that was written at this [`position`](Self::position).
    ///
    /// A flags word precedes its fields, but is known only after them: it is written as zero, then overwritten.
    fn patch_u32(&mut self, position: usize, word: u32);
}

/// Overwrites a word of what was written. There is one, if the position was that of a word.
#[inline]
fn patch(written: &mut [u8], position: usize, word: u32) {
    if let Some(place) = written.get_mut(position..).and_then(<[u8]>::first_chunk_mut) {
        *place = word.to_le_bytes();
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_u32(&mut self, word: u32) {
        append(self, word.to_le_bytes());
    }

    #[inline]
    fn put_u64(&mut self, number: u64) {
        append(self, number.to_le_bytes());
    }

    fn reserve(&mut self, additional: usize) {
        Self::reserve(self, additional);
    }

    #[inline]
    fn position(&self) -> usize {
        self.len()
    }

    #[inline]
    fn patch_u32(&mut self, position: usize, word: u32) {
        patch(self, position, word);
    }
}

/// Appends a few bytes.
///
/// The check is the one of `extend_from_slice`, which then knows its result. With it this is too much for the compiler to
/// paste it into all the variants of a large enum, and these call a function that knows the number of bytes.
#[inline]
fn append<const N: usize>(bytes: &mut Vec<u8>, more: [u8; N]) {
    if bytes.capacity() - bytes.len() < N {
        bytes.reserve(N);
    }
    bytes.extend_from_slice(&more);
}

impl<S: Sink + ?Sized> Sink for &mut S {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        (**self).put(bytes);
    }

    fn reserve(&mut self, additional: usize) {
        (**self).reserve(additional);
    }

    #[inline]
    fn put_u32(&mut self, word: u32) {
        (**self).put_u32(word);
    }

    #[inline]
    fn put_u64(&mut self, number: u64) {
        (**self).put_u64(number);
    }

    #[inline]
    fn position(&self) -> usize {
        (**self).position()
    }

    #[inline]
    fn patch_u32(&mut self, position: usize, word: u32) {
        (**self).patch_u32(position, word);
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

    #[inline]
    fn position(&self) -> usize {
        self.0
    }

    #[inline]
    fn patch_u32(&mut self, _: usize, _: u32) {}
}

/// Writes into a fixed slice and records whether everything fitted.
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

    /// Returns the written bytes, or `None` if they did not fit. The slice then contains an unusable beginning.
    #[inline]
    pub fn written(&self) -> Option<&[u8]> {
        if self.overflow { None } else { self.space.get(..self.used) }
    }
}

impl Sink for SliceSink<'_> {
    #[inline]
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

    #[inline]
    fn position(&self) -> usize {
        self.used
    }

    #[inline]
    fn patch_u32(&mut self, position: usize, word: u32) {
        if let Some(written) = self.space.get_mut(..self.used) {
            patch(written, position, word);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_word_can_be_written_later_and_only_where_one_was_put() {
        let mut space = [0xa5; 12];
        let mut slice = SliceSink::new(&mut space);
        let mut vec = vec![1];
        for sink in [&mut slice as &mut dyn Sink, &mut vec] {
            let position = sink.position();
            sink.put_u32(0);
            sink.put(&[7]);
            sink.patch_u32(position, 0x0403_0201);
            sink.patch_u32(position + 2, u32::MAX);
        }
        assert_eq!(vec, [1, 1, 2, 3, 4, 7]);
        assert_eq!(slice.written(), Some(&[1, 2, 3, 4, 7][..]));
    }

    #[test]
    fn numbers_are_little_endian_and_a_vector_grows_for_them() {
        let mut space = [0xa5; 12];
        let mut slice = SliceSink::new(&mut space);
        // Room for neither.
        let mut vec = Vec::new();
        let mut counter = Counter::default();
        for sink in [&mut slice as &mut dyn Sink, &mut vec, &mut counter] {
            sink.put_u64(0x0807_0605_0403_0201);
            sink.put_u32(0x0c0b_0a09);
        }
        assert_eq!(vec, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(slice.written(), Some(&vec[..]));
        assert_eq!(counter.len(), 12);
    }

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
