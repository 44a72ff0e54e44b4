//! Objects that can be read.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Buffer, Cursor, DecodeOptions, Result};

/// An object that can be read in TL.
pub trait Deserializable: Sized {
    /// The length of the shortest encoding, in bytes.
    ///
    /// A vector that announces more elements than the remaining bytes can hold is rejected before anything is allocated.
    const LEAST_LEN: usize = 4;

    /// Reads the object and leaves the cursor behind it.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not an encoding of the type.
    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self>;

    /// Reads an object that fills `bytes` exactly.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not an encoding of the type, or if bytes remain.
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_with(bytes, DecodeOptions::default())
    }

    /// Reads an object that fills `bytes` exactly, and may keep them instead of copying.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes).
    fn from_owned(bytes: Vec<u8>) -> Result<Self> {
        Self::from_bytes(&bytes)
    }

    /// Reads an object that fills `bytes` exactly, with the given options.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not an encoding of the type, or if bytes remain.
    fn from_bytes_with(bytes: &[u8], options: DecodeOptions) -> Result<Self> {
        let mut cursor = Cursor::with_options(bytes, options);
        let object = Self::deserialize(&mut cursor)?;
        cursor.finish()?;
        Ok(object)
    }
}

impl<T: Deserializable> Deserializable for Box<T> {
    const LEAST_LEN: usize = T::LEAST_LEN;

    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        T::deserialize(buf).map(Self::new)
    }
}
