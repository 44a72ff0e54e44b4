//! Values of types that have one constructor.
#![allow(unsafe_code)]

use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use super::layout::Payload;
use super::raw::{encode, encode_flat, encode_to_vec, encoded_len, is_flat};
use super::{Described, Family, Type, View, debug, is_same};
use crate::codegen::Encoded;
use crate::{EncodeError, Serializable, Sink};

/// A value of a type that has one constructor: the constructor's struct, or a reference to it if it is large.
///
/// On the wire the constructor's id stands in front, which is all that is different from the struct. Fields are read
/// as if the wrapper were not there; a struct becomes one by [`From`].
///
/// (Such a type could be an enum with one variant. But nearly every second type of a large schema is of this kind, and
/// every definition costs those who compile it.)
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct One<T>(pub T);

/// What a [`One`] holds.
///
/// # Safety
///
/// [`Struct`](Self::Struct) must be that of the only constructor of a type, and be held as `Self`, with any lifetime: by value
/// or by reference, as the constructor says. `Self` must be [`Of`](Self::Of) with some lifetime, and `Of` as [`Family`]
/// asks for.
pub unsafe trait Sole {
    /// The struct.
    type Struct: Described;
    /// The same with the given lifetime.
    type Of<'a>: 'a;
}

// SAFETY: the wrapper is transparent, so what the table of the type says about its only field holds for itself.
unsafe impl<T: Sole> Described for One<T> {
    const TYPE: &'static Type = T::Struct::TYPE.boxed_type();
}

// SAFETY: the wrapper is transparent and has no lifetime of its own.
unsafe impl<T: Sole> Family for One<T> {
    type Of<'a> = One<T::Of<'a>>;
}

impl<T> From<T> for One<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for One<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Sole> PartialEq for One<T> {
    fn eq(&self, other: &Self) -> bool {
        is_same(self, other)
    }
}

impl<T: Sole> fmt::Debug for One<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(self, f)
    }
}

impl<T: Sole> Serializable for One<T> {
    fn serialized_len(&self) -> usize {
        encoded_len(View::new(self))
    }

    fn try_to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        encode_to_vec(View::new(self))
    }

    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, mut out: &mut S) -> Encoded {
        if const { is_flat::<T::Struct>() } {
            encode_flat(sole(&self.0), true, out);
            return Ok(());
        }
        encode(View::new(self), &mut out)
    }
}

/// Returns the struct that a [`One`] holds, itself or by reference.
#[inline(always)]
const fn sole<T: Sole>(holder: &T) -> &T::Struct {
    let holder = core::ptr::from_ref(holder);
    // SAFETY: `Sole` promises that the table says whether a `T` is the struct or a reference to it.
    unsafe {
        match const { <T::Struct as Described>::TYPE.only().payload } {
            Payload::Value => &*holder.cast(),
            Payload::Reference => *holder.cast::<&T::Struct>(),
        }
    }
}

#[cfg(feature = "serde")]
impl<T: Sole> super::serde::Serialize for One<T> {
    fn serialize<S: super::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::serde::serialize(self, serializer)
    }
}
