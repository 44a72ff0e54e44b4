//! Structs: the line that describes each.
//!
//! Generated code says as little about a struct as can be: an associated type costs the compiler a fraction of what a
//! function costs, and there are thousands of structs. What can be done with one follows from that here.
#![allow(unsafe_code)]

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::raw::{encode, encode_flat, encode_to_vec, encoded_len, is_flat};
use super::{Described, Tables, Type, View};
use crate::codegen::Encoded;
use crate::{EncodeError, RemoteCall, Serializable, Sink, deserialize::Deserializable};

/// A struct of a constructor, which a line of a list describes, or of a [`Function`].
///
/// # Safety
///
/// The [line](Listed::LINE) of the list must describe `Self`, whatever its lifetime: its size, and kind and
/// offset of each of its fields.
pub unsafe trait Object: Sized {
    /// The line.
    type Line: Listed;
}

/// The line of the list `L` with the number `ABCD` in decimal.
///
/// Digits are types because of what else there could be: a constant has a body, which the compiler checks and the library
/// keeps, and there are thousands of structs. (For the same reason this is one associated type, not two.)
#[derive(Debug)]
pub struct Of<L, A, B, C, D>(PhantomData<(L, A, B, C, D)>);

/// What a line of a list is.
pub trait Listed {
    /// The list.
    type Lines: Lines;
    /// Where the line stands in the list.
    const LINE: usize;
}

impl<L: Lines, A: Digit, B: Digit, C: Digit, D: Digit> Listed for Of<L, A, B, C, D> {
    type Lines = L;
    const LINE: usize = A::VALUE * 1000 + B::VALUE * 100 + C::VALUE * 10 + D::VALUE;
}

/// A digit of a number.
pub trait Digit {
    /// Its value. Of the first digit of a number this may be more than 9.
    const VALUE: usize;
}

macro_rules! digits {
    ($($name:ident $value:literal)*) => {$(
        #[doc = concat!("The digit ", stringify!($value), ".")]
        #[derive(Debug)]
        pub struct $name;

        impl Digit for $name {
            const VALUE: usize = $value;
        }
    )*};
}

digits! { D0 0 D1 1 D2 2 D3 3 D4 4 D5 5 D6 6 D7 7 D8 8 D9 9 }
digits! { D10 10 D11 11 D12 12 D13 13 D14 14 D15 15 D16 16 D17 17 D18 18 D19 19 }

/// A list of constructors or of functions.
pub trait Lines {
    /// What the lines are in.
    const TABLES: &'static Tables;
    /// Whether the id stands on the wire in front of the fields: of functions it does, of constructors their type writes it.
    const BOXED: bool;
}

// SAFETY: passed on from `Object`.
unsafe impl<T: Object> Described for T {
    const TYPE: &'static Type = &Type::of_line(
        <T::Line as Listed>::Lines::TABLES,
        <T::Line as Listed>::LINE,
        <T::Line as Listed>::Lines::BOXED,
    );
}

/// A described type whose values are written by its table.
///
/// It is a trait of its own because an empty implementation costs the compiler least, and there are a thousand.
pub trait Tabled: Described {}

impl<T: Object> Tabled for T {}

/// With the id of a function in front; a few numbers are written by code.
impl<T: Tabled> Serializable for T {
    fn serialized_len(&self) -> usize {
        encoded_len(View::new(self))
    }

    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, mut out: &mut S) -> Encoded {
        if const { is_flat::<T>() } {
            encode_flat(self, const { T::TYPE.boxed }, out);
            return Ok(());
        }
        encode(View::new(self), &mut out)
    }

    fn try_to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        encode_to_vec(View::new(self))
    }
}

/// A struct of a function, which a line of a list describes.
///
/// # Safety
///
/// As for [`Object`].
pub unsafe trait Function: Sized {
    /// The line.
    type Line: Listed;
    /// What the answer decodes to.
    type Return;
}

// SAFETY: passed on from `Function`.
unsafe impl<T: Function> Object for T {
    type Line = T::Line;
}

impl<T: Function<Return: Deserializable> + Serializable> RemoteCall for T {
    type Return = T::Return;
}

#[cfg(test)]
mod tests {
    //! The checks are made while compiling; here they run, to be seen to fail.

    use super::super::layout::tests::{LINES, ROWS, laid_out};
    use super::super::{Constructor, Kind, Layout};
    use super::*;

    #[derive(Debug)]
    #[repr(C)]
    struct Pair {
        is_set: bool,
        number: i32,
        wide: i64,
    }

    /// Some CPUs of 32 bits align a `long` to four bytes.
    const ALIGN: u32 = align_of::<i64>() as u32;

    static LAYOUT: Layout<4, 1> = laid_out(ROWS, LINES, &[]);
    static TABLES: Tables = Tables {
        constructors: &LAYOUT.constructors,
        rows: &LAYOUT.rows,
        names: &"pair flags is_set number wide\nother",
        ..*Tables::NOTHING
    };
    crate::lines! { Pairs, &TABLES, false }

    // SAFETY: the only line of the list has the fields of the struct, in their order.
    unsafe impl Object for Pair {
        type Line = Of<Pairs, D0, D0, D0, D0>;
    }

    #[test]
    fn a_struct_is_written_by_its_table() {
        let pair = Pair { is_set: true, number: 7, wide: -1 };
        assert_eq!((Pair::TYPE.size, Pair::TYPE.align), (16, ALIGN));
        assert!(!is_flat::<Pair>());
        assert_eq!(pair.to_bytes(), [&[8, 0, 0, 0, 7, 0, 0, 0][..], &[0xff; 8]].concat());
    }

    #[test]
    fn rows_and_constructors_are_read_and_laid_out() {
        let offsets = [("is_set", 0, core::mem::offset_of!(Pair, is_set)), ("number", 1, 4), ("wide", 2, 8)];
        for (name, index, offset) in offsets {
            let field = LAYOUT.rows[index + 1];
            assert_eq!(
                (TABLES.names.split([' ', '\n']).nth(index + 2), field.offset()),
                (Some(name), offset)
            );
        }
        assert_eq!(
            (LAYOUT.rows[0].kind, LAYOUT.rows[0].known(), LAYOUT.rows[1].condition),
            (Kind::Word, 8, 3)
        );
        let Constructor { id, least, size, .. } = LAYOUT.constructors[0];
        assert_eq!((id, least, size, LAYOUT.constructors[0].align()), (0x0403_0201, 16, 16, ALIGN));
        assert_eq!((Pair::TYPE.only_line().name(), Pair::TYPE.only_line().field_name(3)), ("pair", "wide"));
        assert_eq!(Pair::TYPE.only_line().names().count(), 5);
    }
}
