//! The built-in types of fixed size.

use core::convert::identity;

use crate::deserialize::{Buffer, Deserializable, Result};
use crate::{EncodeError, Serializable, Sink};

/// Id of `boolTrue`.
pub(crate) const BOOL_TRUE: u32 = 0x9972_75b5;
/// Id of `boolFalse`.
pub(crate) const BOOL_FALSE: u32 = 0xbc79_9737;

macro_rules! little_endian {
    ($($(#[$doc:meta])* $number:ty: $put:ident($bits:expr)),+) => {$(
        $(#[$doc])*
        impl Serializable for $number {
            #[inline]
            fn serialized_len(&self) -> usize {
                size_of::<Self>()
            }

            #[inline]
            fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
                out.$put($bits(*self));
                Ok(())
            }
        }

        impl Deserializable for $number {
            const LEAST_LEN: usize = size_of::<Self>();

            #[inline]
            fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
                buf.read_array().map(Self::from_le_bytes)
            }
        }
    )+};
}

little_endian!(
    /// `int`: 4 bytes.
    i32: put_u32(i32::cast_unsigned),
    /// `#`: 4 bytes.
    u32: put_u32(identity),
    /// `long`: 8 bytes.
    i64: put_u64(i64::cast_unsigned),
    /// `double`: 8 bytes, IEEE 754. Every bit pattern is preserved.
    f64: put_u64(f64::to_bits)
);

/// `int128` (16 bytes) and `int256` (32 bytes), verbatim.
macro_rules! verbatim {
    ($($len:literal),+) => {$(
        impl Serializable for [u8; $len] {
            #[inline]
            fn serialized_len(&self) -> usize {
                $len
            }

            #[inline]
            fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
                out.put(self);
                Ok(())
            }
        }

        impl Deserializable for [u8; $len] {
            const LEAST_LEN: usize = $len;

            #[inline]
            fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
                buf.read_array()
            }
        }
    )+};
}

verbatim!(16, 32);

/// `Bool`: one of two constructor ids.
impl Serializable for bool {
    #[inline]
    fn serialized_len(&self) -> usize {
        4
    }

    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
        out.put_u32(if *self { BOOL_TRUE } else { BOOL_FALSE });
        Ok(())
    }
}

impl Deserializable for bool {
    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        match buf.read_u32()? {
            BOOL_TRUE => Ok(true),
            BOOL_FALSE => Ok(false),
            id => Err(buf.unknown_id("Bool", id)),
        }
    }
}
