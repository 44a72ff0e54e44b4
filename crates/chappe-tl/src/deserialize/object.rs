//! The fields of one object, in wire order.

use crate::codegen::is_set;

use super::{Cursor, DecodeError, Deserializable, Place, Result};

/// Reads the fields of one object and adds type and field to errors.
///
/// It counts nesting, so it must live until the object was read.
#[derive(Debug)]
pub struct Object<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    ty: &'static str,
}

impl<'c, 'a> Object<'c, 'a> {
    pub(super) const fn new(cursor: &'c mut Cursor<'a>, ty: &'static str) -> Self {
        Self { cursor, ty }
    }

    /// Reads an unconditional field.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not an encoding of `T`. The error names this object and `field` unless an
    /// inner object failed.
    #[inline]
    pub fn field<T: Deserializable>(&mut self, field: &'static str) -> Result<T> {
        T::deserialize(self.cursor).map_err(|error| error.within(self.ty, field))
    }

    /// Reads a field that is present if its bit is set in `flags`.
    ///
    /// # Errors
    ///
    /// Those of [`field`](Self::field).
    #[inline]
    pub fn optional<T: Deserializable>(
        &mut self,
        field: &'static str,
        flags: u32,
        bit: u8,
    ) -> Result<Option<T>> {
        if is_set(flags, bit) { self.field(field).map(Some) } else { Ok(None) }
    }

    /// Reads a flags word. `known` are the bits of the schema.
    ///
    /// # Errors
    ///
    /// Fails if fewer than 4 bytes are left, or, in strict reading, if an unknown bit is set.
    #[inline]
    pub fn flags(&mut self, field: &'static str, known: u32) -> Result<u32> {
        let offset = self.cursor.pos();
        let word = self.cursor.read_u32().map_err(|error| error.within(self.ty, field))?;
        if word & !known != 0 && self.cursor.is_canonical_wanted() {
            return Err(DecodeError::UnknownFlags {
                place: Place { ty: self.ty, field, offset },
                bits: word & !known,
            });
        }
        Ok(word)
    }
}

impl Drop for Object<'_, '_> {
    fn drop(&mut self) {
        self.cursor.leave();
    }
}
