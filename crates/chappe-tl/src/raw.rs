//! Values whose content this crate does not interpret.

use alloc::vec::Vec;

use crate::deserialize::{Buffer, Deserializable, Result};
use crate::{EncodeError, RemoteCall, Serializable, Sink};

/// A vector without constructor id: `vector<T>` in a schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct RawVec<T>(pub Vec<T>);

impl<T> Default for RawVec<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<T>> for RawVec<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(elements)
    }
}

/// `int512`: 64 bytes, verbatim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Int512(pub [u8; 64]);

impl Default for Int512 {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Serializable for Int512 {
    fn serialized_len(&self) -> usize {
        self.0.len()
    }

    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
        out.put(&self.0);
        Ok(())
    }
}

impl Deserializable for Int512 {
    const LEAST_LEN: usize = 64;

    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        buf.read_array().map(Self)
    }
}

/// As a sequence of 64 numbers.
#[cfg(feature = "serde")]
impl serde::Serialize for Int512 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Int512 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        let bytes: Vec<u8> = serde::Deserialize::deserialize(deserializer)?;
        let len = bytes.len();
        let whole = bytes.try_into().map_err(|_| serde::de::Error::invalid_length(len, &"64 bytes"))?;
        Ok(Self(whole))
    }
}

/// One whole object in encoded form.
///
/// Written verbatim; read up to the end of the buffer. As a [`RemoteCall`], its answer is raw, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Blob(pub Vec<u8>);

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serializable for Blob {
    fn serialized_len(&self) -> usize {
        self.0.len()
    }

    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
        out.put(&self.0);
        Ok(())
    }
}

impl Deserializable for Blob {
    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        Ok(Self(buf.take_rest().to_vec()))
    }
}

impl RemoteCall for Blob {
    type Return = Self;
}
