//! Values of types that have one constructor.
#![allow(unsafe_code)]

use core::fmt;
use core::ops::Deref;

use super::fields::{RowList, write_boxed};
use super::raw::sole;
use super::{Described, Family, Struct, Type, debug, is_same};
use crate::codegen::Encoded;
use crate::{Serializable, Sink};

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

impl<T: Sole<Struct: Struct<Rows: RowList>>> Serializable for One<T> {
    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        write_boxed(sole(&self.0), out)
    }
}

#[cfg(feature = "serde")]
impl<T: Sole> super::serde::Serialize for One<T> {
    fn serialize<S: super::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::serde::serialize(self, serializer)
    }
}
