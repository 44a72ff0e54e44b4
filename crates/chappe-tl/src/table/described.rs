//! What ties a Rust type to its table, and the types that need no generated one.
#![allow(unsafe_code)]

use super::layout::{Field, Kind, Type};
use super::raw::ListOps;

/// A type that a table describes.
///
/// The trait is implemented for a type with any lifetime; [`Of`](Self::Of) is the same type with the lifetime of an
/// arena. So `enums::Peer<'static>` as a type argument stands for the whole family.
///
/// # Safety
///
/// [`TYPE`](Self::TYPE) must describe [`Of`](Self::Of): its size, its form, and kind and offset of each of its fields, in
/// every variant. `Self` must be `Of` with some lifetime. `Of` must be `Send`, `Sync` and `Copy`, which follows if all its
/// fields are of the types that [`Kind`] lists. (It is not a bound because checking thousands of types takes the
/// compiler a second.)
pub unsafe trait Described {
    /// The type with the given lifetime.
    type Of<'a>: 'a;

    /// Its table.
    const TYPE: &'static Type;
}

macro_rules! value {
    ($($kind:ident $type:ty, $of:ty, $name:literal;)+) => {$(
        // SAFETY: the one field is the value itself, of the Rust type that belongs to this kind.
        unsafe impl Described for $type {
            type Of<'a> = $of;
            const TYPE: &'static Type =
                &Type::value::<$of>($name, Field::new(Kind::$kind, 0), ListOps::of::<$of>());
        }
    )+};
}

value! {
    Int i32, i32, "int";
    Long i64, i64, "long";
    Double f64, f64, "double";
    Bool bool, bool, "Bool";
    Int128 [u8; 16], [u8; 16], "int128";
    Int256 [u8; 32], [u8; 32], "int256";
}

// SAFETY: the one field is the value itself, a string.
unsafe impl Described for &str {
    type Of<'a> = &'a str;
    const TYPE: &'static Type =
        &Type::value::<&'static str>("string", Field::new(Kind::Str, 0), ListOps::of::<&'static str>());
}

// SAFETY: the one field is the value itself, a byte string.
unsafe impl Described for &[u8] {
    type Of<'a> = &'a [u8];
    const TYPE: &'static Type =
        &Type::value::<&'static [u8]>("bytes", Field::new(Kind::Bytes, 0), ListOps::of::<&'static [u8]>());
}

// SAFETY: the one field is the value itself, a slice of what the table of `T` describes.
unsafe impl<T: Described> Described for &[T] {
    type Of<'a> = &'a [T::Of<'a>];
    const TYPE: &'static Type = &Type::value::<&'static [T::Of<'static>]>(
        "Vector",
        T::TYPE.list_field(),
        ListOps::of::<&'static [T::Of<'static>]>(),
    );
}
