//! `Vector<T>` (boxed) and `vector<T>` (bare): a count and the elements.

use alloc::vec::Vec;

use crate::deserialize::{Buffer, Cursor, DecodeError, Deserializable, Place, Result};
use crate::{EncodeError, RawVec, Serializable, Sink};

/// Constructor id of `vector {t:Type} # [ t ] = Vector t`.
pub const VECTOR_ID: u32 = 0x1cb5_c415;

/// The most elements without bytes of their own that one buffer may announce: `Vector<%Nothing>` with `nothing = Nothing`.
///
/// The bytes that are left do not bound their number, so this does.
pub const MAX_EMPTY_ELEMENTS: usize = 1 << 16;

/// Memory set aside for elements before they are read, in bytes per byte of input that is left.
const RESERVE_PER_BYTE: usize = 20;

impl Cursor<'_> {
    /// Reads the count of a vector, whose elements take at least `least` bytes each (SEC-113).
    ///
    /// # Errors
    ///
    /// Fails if the count is negative or more than the remaining bytes can hold; of elements without bytes, if the buffer
    /// announces more than [`MAX_EMPTY_ELEMENTS`].
    pub fn read_count(&mut self, least: usize) -> Result<usize> {
        let offset = self.pos();
        let count = self.read_i32()?;
        let most = self.remaining().checked_div(least).unwrap_or_else(|| self.empty_elements_left());
        match usize::try_from(count) {
            Ok(count) if count <= most => {
                if least == 0 {
                    self.take_empty_elements(count);
                }
                Ok(count)
            }
            _ => {
                self.rewind(offset);
                Err(DecodeError::BadCount { place: Place::at(offset), count, most })
            }
        }
    }
}

fn read_elements<T: Deserializable>(buf: Buffer<'_, '_>) -> Result<Vec<T>> {
    let count = buf.read_count(T::LEAST_LEN)?;
    let mut elements = Vec::new();
    for read in 0..count {
        if elements.len() == elements.capacity() {
            // Large elements with short encodings would turn few bytes into much memory: they get room as they come.
            let affordable = buf.remaining().saturating_mul(RESERVE_PER_BYTE) / size_of::<T>().max(1);
            elements.reserve_exact((count - read).min(affordable.max(1)));
        }
        elements.push(T::deserialize(buf)?);
    }
    Ok(elements)
}

/// Writes a vector without its id.
///
/// # Errors
///
/// Fails if an element has no encoding, or if there are too many.
pub fn write_elements<T: Serializable, S: Sink + ?Sized>(
    elements: &[T],
    out: &mut S,
) -> core::result::Result<(), EncodeError> {
    let len = elements.len();
    let count = i32::try_from(len).map_err(|_| EncodeError::VectorTooLong { len })?;
    if size_of::<T>() == 0 && len > MAX_EMPTY_ELEMENTS && elements[0].serialized_len() == 0 {
        return Err(EncodeError::TooManyEmptyElements { len });
    }
    count.serialize(out)?;
    elements.iter().try_for_each(|element| element.serialize(out))
}

fn elements_len<T: Serializable>(elements: &[T]) -> usize {
    elements.iter().map(T::serialized_len).sum()
}

impl<T: Serializable> Serializable for Vec<T> {
    fn serialized_len(&self) -> usize {
        8 + elements_len(self)
    }

    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
        out.put_u32(VECTOR_ID);
        write_elements(self, out)
    }
}

impl<T: Deserializable> Deserializable for Vec<T> {
    const LEAST_LEN: usize = 8;

    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        buf.expect_id("Vector", VECTOR_ID)?;
        read_elements(buf)
    }
}

impl<T: Serializable> Serializable for RawVec<T> {
    fn serialized_len(&self) -> usize {
        4 + elements_len(&self.0)
    }

    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
        write_elements(&self.0, out)
    }
}

impl<T: Deserializable> Deserializable for RawVec<T> {
    const LEAST_LEN: usize = 4;

    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        read_elements(buf).map(Self)
    }
}
