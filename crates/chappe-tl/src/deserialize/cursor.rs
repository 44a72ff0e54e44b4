//! A position in the bytes of an object.

use alloc::vec::Vec;

use super::{DecodeError, DecodeOptions, Object, Place, Result, Strictness};

/// Reads from a slice, front to back.
///
/// A failed read does not change the position.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
    options: DecodeOptions,
    depth: u16,
    lossy_strings: u32,
    empty_elements: u32,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of `bytes`, with the default [`DecodeOptions`].
    pub const fn from_slice(bytes: &'a [u8]) -> Self {
        Self::with_options(bytes, DecodeOptions::lenient())
    }

    /// Starts at the beginning of `bytes`.
    pub const fn with_options(bytes: &'a [u8], options: DecodeOptions) -> Self {
        Self { bytes, pos: 0, options, depth: 0, lossy_strings: 0, empty_elements: 0 }
    }

    /// Returns the number of bytes read.
    pub const fn pos(&self) -> usize {
        self.pos
    }

    /// Returns the number of remaining bytes.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.pos
    }

    /// Returns whether everything was read.
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// Returns the options.
    pub const fn options(&self) -> DecodeOptions {
        self.options
    }

    /// Returns the number of strings that were not UTF-8 and were read with replacement characters.
    pub const fn lossy_strings(&self) -> u32 {
        self.lossy_strings
    }

    /// Returns the remaining bytes without reading them.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.pos..]
    }

    /// Checks that no bytes remain (SEC-115).
    ///
    /// # Errors
    ///
    /// Fails if bytes remain.
    pub const fn finish(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { place: Place::at(self.pos), count }),
        }
    }

    /// Reads one byte.
    ///
    /// # Errors
    ///
    /// Fails if no byte remains.
    pub fn read_byte(&mut self) -> Result<u8> {
        self.read_array::<1>().map(|[byte]| byte)
    }

    /// Fills `out`.
    ///
    /// # Errors
    ///
    /// Fails if fewer bytes remain.
    pub fn read_exact(&mut self, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(self.take(out.len())?);
        Ok(())
    }

    /// Appends the remaining bytes to `out` and returns their number.
    pub fn read_to_end(&mut self, out: &mut Vec<u8>) -> usize {
        let rest = self.take_rest();
        out.extend_from_slice(rest);
        rest.len()
    }

    /// Reads `len` bytes without copying them.
    ///
    /// # Errors
    ///
    /// Fails if fewer bytes remain.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.rest().get(..len) {
            Some(taken) => {
                self.pos += len;
                Ok(taken)
            }
            None => Err(self.eof(len)),
        }
    }

    /// Reads the remaining bytes without copying them.
    pub fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.pos = self.bytes.len();
        rest
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    ///
    /// Fails if fewer bytes remain.
    #[inline]
    pub fn read_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest().first_chunk() {
            Some(chunk) => {
                self.pos += N;
                Ok(*chunk)
            }
            None => Err(self.eof(N)),
        }
    }

    /// Reads a word, little-endian: `#`, an id or a flags word.
    ///
    /// # Errors
    ///
    /// Fails if fewer than 4 bytes remain.
    #[inline]
    pub fn read_u32(&mut self) -> Result<u32> {
        self.read_array().map(u32::from_le_bytes)
    }

    /// Reads an `int`: 4 bytes, little-endian.
    ///
    /// # Errors
    ///
    /// Fails if fewer than 4 bytes remain.
    #[inline]
    pub fn read_i32(&mut self) -> Result<i32> {
        self.read_array().map(i32::from_le_bytes)
    }

    /// Reads a `long`: 8 bytes, little-endian.
    ///
    /// # Errors
    ///
    /// Fails if fewer than 8 bytes remain.
    #[inline]
    pub fn read_i64(&mut self) -> Result<i64> {
        self.read_array().map(i64::from_le_bytes)
    }

    /// Returns the id of the next object without reading it.
    pub fn peek_u32(&self) -> Option<u32> {
        self.rest().first_chunk().copied().map(u32::from_le_bytes)
    }

    /// Returns the id of the next object without reading it.
    ///
    /// # Errors
    ///
    /// Fails if fewer than 4 bytes remain.
    pub fn peek_id(&self) -> Result<u32> {
        self.peek_u32().ok_or_else(|| self.eof(4))
    }

    /// Reads the id of a boxed value and checks it (SEC-114).
    ///
    /// # Errors
    ///
    /// Fails if the id is another one. The error names `ty` as the wanted type.
    #[inline]
    pub fn expect_id(&mut self, ty: &'static str, wanted: u32) -> Result<()> {
        match self.peek_u32() {
            Some(id) if id == wanted => {
                self.pos += 4;
                Ok(())
            }
            Some(id) => Err(self.unexpected_id(ty, id)),
            None => Err(self.eof(4)),
        }
    }

    /// Returns the error for an id that was just read and is not a constructor of `ty`.
    #[cold]
    pub fn unknown_id(&mut self, ty: &'static str, id: u32) -> DecodeError {
        self.pos = self.pos.saturating_sub(4);
        self.unexpected_id(ty, id)
    }

    /// Enters an object named `ty` in the schema; the returned guard reads its fields.
    ///
    /// # Errors
    ///
    /// Fails if objects nest deeper than allowed (SEC-116).
    #[inline]
    pub fn object<'c>(&'c mut self, ty: &'static str) -> Result<Object<'c, 'a>> {
        if self.depth >= self.options.max_depth {
            return Err(self.too_deep(ty));
        }
        self.depth += 1;
        Ok(Object::new(self, ty))
    }

    pub(super) const fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Resets the position to the start of a failed read.
    pub(crate) const fn rewind(&mut self, pos: usize) {
        debug_assert!(pos <= self.pos);
        self.pos = pos;
    }

    pub(crate) const fn count_lossy_string(&mut self) {
        self.lossy_strings = self.lossy_strings.saturating_add(1);
    }

    /// Returns how many elements without bytes the buffer may still announce.
    pub(crate) const fn empty_elements_left(&self) -> usize {
        crate::vectors::MAX_EMPTY_ELEMENTS - self.empty_elements as usize
    }

    /// Notes elements without bytes; there are not more than are left.
    pub(crate) const fn take_empty_elements(&mut self, count: usize) {
        self.empty_elements += count as u32;
    }

    pub(crate) const fn is_canonical_wanted(&self) -> bool {
        matches!(self.options.canonical, Strictness::Strict)
    }

    pub(crate) const fn is_utf8_wanted(&self) -> bool {
        matches!(self.options.utf8, Strictness::Strict)
    }

    #[cold]
    pub(crate) const fn eof(&self, needed: usize) -> DecodeError {
        DecodeError::UnexpectedEof { place: Place::at(self.pos), needed, remaining: self.remaining() }
    }

    /// Returns the error for a next id that is not a constructor of `ty`.
    #[cold]
    pub const fn unexpected_id(&self, ty: &'static str, id: u32) -> DecodeError {
        DecodeError::UnexpectedConstructor { id, name: None, wanted: ty, place: Place::at(self.pos) }
    }

    #[cold]
    const fn too_deep(&self, ty: &'static str) -> DecodeError {
        let place = Place { ty, field: "", offset: self.pos };
        DecodeError::TooDeep { place, limit: self.options.max_depth }
    }
}
