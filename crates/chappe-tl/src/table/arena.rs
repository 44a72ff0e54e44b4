//! Decoding into an arena.

use super::raw::Source;
use super::{Arena, Family, Type, View};
use crate::deserialize::{DecodeError, DecodeOptions, Place, Result};

impl Arena {
    /// Decodes an object that fills `bytes` exactly.
    ///
    /// Strings are borrowed from `bytes`. Vectors and large parts of the object are in the arena. One arena can hold any number
    /// of objects; [`reset`](Self::reset) it between answers.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not an encoding of the type, or if bytes remain.
    pub fn decode<'a, T: Family>(&'a self, bytes: &'a [u8]) -> Result<&'a T::Of<'a>> {
        self.decode_with::<T>(bytes, DecodeOptions::default())
    }

    /// Decodes an object that fills `bytes` exactly, with the given options.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    pub fn decode_with<'a, T: Family>(
        &'a self,
        bytes: &'a [u8],
        options: DecodeOptions,
    ) -> Result<&'a T::Of<'a>> {
        let (object, taken) = self.decode_prefix::<T>(bytes, options)?;
        nothing_left(bytes.len(), taken)?;
        Ok(object)
    }

    /// Decodes an object from the start of `bytes`. Returns it and its length in bytes.
    ///
    /// # Errors
    ///
    /// Fails if the bytes do not begin with an encoding of the type.
    pub fn decode_prefix<'a, T: Family>(
        &'a self,
        bytes: &'a [u8],
        options: DecodeOptions,
    ) -> Result<(&'a T::Of<'a>, usize)> {
        self.decode_at::<T>(Source { input: bytes, offset: 0, options, copy: false })
    }

    /// Decodes an object of any type that fills `bytes` exactly, to be read by its table. For tests of tables.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    #[doc(hidden)]
    pub fn view<'a>(
        &'a self,
        ty: &'static Type,
        bytes: &'a [u8],
        options: DecodeOptions,
    ) -> Result<View<'a>> {
        let (view, taken) = self.view_at(ty, Source { input: bytes, offset: 0, options, copy: false })?;
        nothing_left(bytes.len(), taken)?;
        Ok(view)
    }
}

/// Checks that the object took all bytes (SEC-115).
pub(super) fn nothing_left(len: usize, taken: usize) -> Result<()> {
    match len - taken {
        0 => Ok(()),
        count => Err(DecodeError::TrailingBytes { place: Place::at(taken), count }),
    }
}
