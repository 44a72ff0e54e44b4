//! The traits that connect a Rust type with its table, and the types without a generated table.
#![allow(unsafe_code)]

use core::marker::PhantomData;

use super::{Kind, Tables, Type};
use crate::{Identifiable, Int512};

/// A type that a table describes.
///
/// # Safety
///
/// [`TYPE`](Self::TYPE) must describe `Self`, whatever its lifetime: its size, its form, and kind and offset of each
/// of its fields, in every variant.
pub unsafe trait Described {
    /// The table.
    const TYPE: &'static Type;
}

/// Of a struct: the id of its constructor or function.
impl<T: Described> Identifiable for T {
    const CONSTRUCTOR_ID: u32 = {
        assert!(T::TYPE.is_struct, "only structs belong to one constructor");
        T::TYPE.only().id
    };
}

/// A type that can be decoded: one that is described, with any lifetime.
///
/// The trait is implemented for a type with any lifetime. [`Of`](Self::Of) is the same type with the lifetime of an arena.
/// `enums::Peer<'static>` as a type argument therefore means the type with every lifetime.
///
/// # Safety
///
/// `Self` must be [`Of`](Self::Of) with some lifetime. `Of` must be `Send`, `Sync` and `Copy`, which follows if all its fields
/// are of the types that `Kind` lists. (These are no bounds because checking them for thousands of types takes the
/// compiler a second.)
pub unsafe trait Family: Described {
    /// The type with the given lifetime.
    type Of<'a>: 'a;
}

macro_rules! value {
    ($($kind:ident $type:ty, $of:ty, $name:literal;)+) => {$(
        // SAFETY: the one field is the value itself, of the Rust type that belongs to this kind.
        unsafe impl Described for $type {
            const TYPE: &'static Type =
                &Type::alone::<$of>($name, Kind::$kind, Tables::NOTHING);
        }
        // SAFETY: the same type with another lifetime, made of plain data and shared references.
        unsafe impl Family for $type {
            type Of<'a> = $of;
        }
    )+};
}

value! {
    Nat u32, u32, "#";
    Int i32, i32, "int";
    Long i64, i64, "long";
    Double f64, f64, "double";
    Bool bool, bool, "Bool";
    Int128 [u8; 16], [u8; 16], "int128";
    Int256 [u8; 32], [u8; 32], "int256";
    Int512 Int512, Int512, "int512";
}

// SAFETY: the one field is the value itself, a string.
unsafe impl Described for &str {
    const TYPE: &'static Type = &Type::alone::<&'static str>("string", Kind::Str, Tables::NOTHING);
}

// SAFETY: the same type with another lifetime.
unsafe impl Family for &str {
    type Of<'a> = &'a str;
}

// SAFETY: the one field is the value itself, a byte string.
unsafe impl Described for &[u8] {
    const TYPE: &'static Type = &Type::alone::<&'static [u8]>("bytes", Kind::Bytes, Tables::NOTHING);
}

// SAFETY: the same type with another lifetime.
unsafe impl Family for &[u8] {
    type Of<'a> = &'a [u8];
}

/// The tables of vectors of `T`.
struct VectorOf<T>(PhantomData<T>);

impl<T: Family> VectorOf<T> {
    const EXTRA: &'static [&'static Type] = &[T::TYPE];
    const TABLES: &'static Tables = &Tables { extra: Self::EXTRA, ..*Tables::NOTHING };
}

// SAFETY: the one field is the value itself, a slice of what the table of `T` describes.
unsafe impl<T: Family> Described for &[T] {
    const TYPE: &'static Type =
        &Type::alone::<&'static [T::Of<'static>]>("Vector", T::TYPE.list_kind(), VectorOf::<T>::TABLES);
}

// SAFETY: the same type with another lifetime.
unsafe impl<T: Family> Family for &[T] {
    type Of<'a> = &'a [T::Of<'a>];
}
