//! The fields of one object, in wire order.

use crate::codegen::is_set;

use super::{Cursor, Deserializable, Error, Place, Result};

/// Reads the fields of one object and puts its name and theirs into errors.
///
/// Lives as long as the object is being read: this is what counts nesting.
#[derive(Debug)]
pub struct Object<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    ty: &'static str,
}

impl<'c, 'a> Object<'c, 'a> {
    pub(super) const fn new(cursor: &'c mut Cursor<'a>, ty: &'static str) -> Self {
        Self { cursor, ty }
    }

    /// Reads a field that is always there.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not an encoding of `T`; the error names this object and `field` unless an inner object
    /// was at fault.
    #[inline]
    pub fn field<T: Deserializable>(&mut self, field: &'static str) -> Result<T> {
        T::deserialize(self.cursor).map_err(|error| error.within(self.ty, field))
    }

    /// Reads a field that is there if its bit is set in `flags`.
    ///
    /// # Errors
    ///
    /// As for [`field`](Self::field).
    #[inline]
    pub fn optional<T: Deserializable>(
        &mut self,
        field: &'static str,
        flags: u32,
        bit: u8,
    ) -> Result<Option<T>> {
        if is_set(flags, bit) { self.field(field).map(Some) } else { Ok(None) }
    }

    /// Reads a flags word. `known` are the bits that the schema gives a meaning.
    ///
    /// # Errors
    ///
    /// Fails if fewer than 4 bytes are left, or, reading strictly, if an unknown bit is set.
    #[inline]
    pub fn flags(&mut self, field: &'static str, known: u32) -> Result<u32> {
        let offset = self.cursor.pos();
        let word = self.cursor.read_u32().map_err(|error| error.within(self.ty, field))?;
        if word & !known != 0 && self.cursor.is_canonical_wanted() {
            return Err(Error::UnknownFlags {
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
