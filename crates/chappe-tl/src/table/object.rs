//! Structs: the line that describes each, and the types of its rows.
//!
//! Generated code says as little about a struct as can be: an associated type costs the compiler a fraction of what a
//! function costs, and there are thousands of structs. What can be done with one follows from that here.
#![allow(unsafe_code)]

use core::marker::PhantomData;

use super::fields::{self, Position, RowList, Words};
use super::{Constructor, Described, Type};
use crate::codegen::Encoded;
use crate::{RemoteCall, Serializable, Sink, deserialize::Deserializable};

/// A struct of a constructor, which a line of a list describes, or of a [`Function`].
///
/// # Safety
///
/// Line [`LINE`](Self::LINE) of the list must describe `Self`, whatever its lifetime: its size, and kind and
/// offset of each of its fields. [`Rows`](Self::Rows) must be as [`Struct::Rows`] asks for.
pub unsafe trait Object: Sized {
    /// Where the line stands in the list.
    const LINE: usize;
    /// The list, and the types of the rows.
    type Rows: Listed;
}

/// Rows `R` of a line in the list `L`. (One associated type with both costs the compiler less than two.)
#[derive(Debug)]
pub struct Of<L, R>(PhantomData<(L, R)>);

/// What is [`Of`] a list.
pub trait Listed {
    /// The list.
    type Lines: Lines;
}

impl<L: Lines, R> Listed for Of<L, R> {
    type Lines = L;
}

impl<L, R: RowList> RowList for Of<L, R> {
    const COUNT: usize = R::COUNT;

    #[inline(always)]
    fn write<T: Struct, P: Position, S: Sink + ?Sized>(
        object: &T,
        words: &mut Words,
        out: &mut S,
    ) -> Encoded {
        R::write::<T, P, S>(object, words, out)
    }
}

/// A list of constructors or of functions.
pub trait Lines {
    /// The list.
    const ALL: &'static [Constructor];
    /// Whether the id stands on the wire in front of the fields: of functions it does, of constructors their type writes it.
    const BOXED: bool;
}

// SAFETY: passed on from `Object`.
unsafe impl<T: Object> Described for T {
    const TYPE: &'static Type =
        &Type::of_line(&<T::Rows as Listed>::Lines::ALL[T::LINE], <T::Rows as Listed>::Lines::BOXED);
}

/// A described type that is a struct.
///
/// # Safety
///
/// If [`Rows`](Self::Rows) implements [`RowList`], its types in their order must be those of the rows of the table, each being
/// what its field can be read as.
pub unsafe trait Struct: Described {
    /// The types of the rows: a tuple of them, or an [`And`](super::And) of tuples.
    type Rows;
}

// SAFETY: passed on from `Object`.
unsafe impl<T: Object> Struct for T {
    type Rows = T::Rows;
}

impl<T: Struct<Rows: RowList>> Serializable for T {
    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        fields::write(self, out)
    }
}

/// A struct of a function, which a line of a list describes.
///
/// # Safety
///
/// As for [`Object`].
pub unsafe trait Function: Sized {
    /// Where the line stands in the list.
    const LINE: usize;
    /// The list, and the types of the rows.
    type Rows: Listed;
    /// What the answer decodes to.
    type Return;
}

// SAFETY: passed on from `Function`.
unsafe impl<T: Function> Object for T {
    const LINE: usize = T::LINE;
    type Rows = T::Rows;
}

impl<T: Function<Return: Deserializable> + Serializable> RemoteCall for T {
    type Return = T::Return;
}
