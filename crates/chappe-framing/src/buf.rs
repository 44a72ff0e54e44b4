//! One buffer for one outgoing frame.
//!
//! [`FrameBuf`] reserves room in front of its content, so each layer writes its header without moving the body.

use alloc::vec::Vec;
use core::fmt;

use chappe_tl::Sink;

/// The bytes of one frame, with room in front for the headers of lower layers.
///
/// Start with [`clear`](Self::clear), fill the buffer, pass it to the lower layers, write [`as_slice`](Self::as_slice) to
/// the socket, and reuse the buffer. Once it has the size of the largest frame, it allocates nothing.
#[derive(Clone)]
pub struct FrameBuf {
    /// `bytes[..start]` is free room, `bytes[start..]` the content.
    bytes: Vec<u8>,
    start: usize,
}

/// Bytes of room in front of the content of a cleared [`FrameBuf`].
///
/// The headers of the encrypted envelope take 24 + 32 bytes. The rest is for a transport.
pub const HEADROOM: usize = 96;

impl FrameBuf {
    /// Makes an empty buffer.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// Makes an empty buffer with room for `body` bytes after its headroom.
    pub fn with_capacity(body: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADROOM.saturating_add(body));
        bytes.resize(HEADROOM, 0);
        Self { bytes, start: HEADROOM }
    }

    /// Returns the content.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Returns the content for changes in place.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// Returns the length of the content.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Returns whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many bytes can be prepended without moving the content.
    pub const fn headroom(&self) -> usize {
        self.start
    }

    /// Drops the content and restores the headroom. Keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.resize(HEADROOM, 0);
        self.start = HEADROOM;
    }

    /// Writes bytes in front of the content.
    #[inline]
    pub fn prepend(&mut self, header: &[u8]) {
        if self.start < header.len() {
            self.grow_front(header.len());
        }
        self.start -= header.len();
        self.bytes[self.start..][..header.len()].copy_from_slice(header);
    }

    /// Writes bytes after the content.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes `count` zero bytes after the content and returns them.
    #[inline]
    pub(crate) fn append_zeroed(&mut self, count: usize) -> &mut [u8] {
        let end = self.bytes.len();
        self.bytes.resize(end + count, 0);
        &mut self.bytes[end..]
    }

    /// Reserves memory for `additional` bytes after the content.
    pub fn reserve(&mut self, additional: usize) {
        self.bytes.reserve(additional);
    }

    /// Shortens the content to its first `len` bytes. Does nothing if it is shorter.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start.saturating_add(len));
    }

    /// Releases memory beyond `body` bytes of content, which one large frame may have made the buffer grow to.
    pub fn shrink_to(&mut self, body: usize) {
        self.bytes.shrink_to(HEADROOM.saturating_add(body));
    }

    /// Moves the content back. Needed only if the layers together prepend more than [`HEADROOM`].
    #[cold]
    fn grow_front(&mut self, needed: usize) {
        let missing = needed - self.start + HEADROOM;
        self.bytes.splice(0..0, core::iter::repeat_n(0, missing));
        self.start += missing;
    }
}

impl Default for FrameBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for FrameBuf {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.append(bytes);
    }

    #[inline]
    fn put_u32(&mut self, word: u32) {
        self.bytes.put_u32(word);
    }

    #[inline]
    fn put_u64(&mut self, number: u64) {
        self.bytes.put_u64(number);
    }

    fn reserve(&mut self, additional: usize) {
        Self::reserve(self, additional);
    }

    fn position(&self) -> usize {
        self.bytes.len()
    }

    fn patch_u32(&mut self, position: usize, word: u32) {
        self.bytes.patch_u32(position, word);
    }
}

impl AsRef<[u8]> for FrameBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for FrameBuf {
    /// Prints only sizes, because the content is plaintext before it is sealed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameBuf")
            .field("len", &self.len())
            .field("headroom", &self.start)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_in_front_without_moving_the_body() {
        let mut buf = FrameBuf::new();
        buf.append(b"body");
        let body_at = buf.as_slice().as_ptr();
        buf.prepend(b"head");
        assert_eq!(buf.as_slice(), b"headbody");
        assert_eq!(buf.as_slice()[4..].as_ptr(), body_at);
    }

    #[test]
    fn a_header_larger_than_the_headroom_still_fits() {
        let mut buf = FrameBuf::new();
        buf.append(b"body");
        let header = [7_u8; HEADROOM * 3];
        buf.prepend(&header);
        assert_eq!(buf.as_slice()[..header.len()], header);
        assert_eq!(&buf.as_slice()[header.len()..], b"body");
        assert!(buf.headroom() > 0);
    }

    #[test]
    fn clearing_keeps_the_memory_and_restores_the_room() {
        let mut buf = FrameBuf::with_capacity(100);
        buf.append(&[1; 100]);
        buf.prepend(&[2; 40]);
        let at = buf.bytes.as_ptr();
        buf.clear();
        assert!(buf.is_empty());
        assert_eq!(buf.headroom(), HEADROOM);
        buf.append(&[3; 100]);
        assert_eq!(buf.bytes.as_ptr(), at);
    }
}
