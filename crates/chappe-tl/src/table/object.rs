//! Structs: the line that describes each, and the types of its rows.
//!
//! Generated code says as little about a struct as can be: an associated type costs the compiler a fraction of what a
//! function costs, and there are thousands of structs. What can be done with one follows from that here.
#![allow(unsafe_code)]

use core::marker::PhantomData;

use super::fields::{self, RowList};
use super::{Constructor, Described, Type};
use crate::codegen::Encoded;
use crate::{RemoteCall, Serializable, Sink, deserialize::Deserializable};

/// A struct of a constructor, which a line of a list describes, or of a [`Function`].
///
/// # Safety
///
/// Line [`LINE`](Self::LINE) of the list must describe `Self`, whatever its lifetime: its size, and kind and
/// offset of each of its fields. Its rows must be as [`Struct::Rows`] asks for.
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
    /// The types of the rows.
    type Rows;
}

impl<L: Lines, R> Listed for Of<L, R> {
    type Lines = L;
    type Rows = R;
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
    type Rows = <T::Rows as Listed>::Rows;
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

#[cfg(test)]
mod tests {
    //! The checks are made while compiling; here they run, to be seen to fail.

    use super::super::raw::{FieldOf, part_of};
    use super::super::{Flag, Form, Line, RowTable, Word, alternatives, rows};
    use super::*;

    #[derive(Debug)]
    #[repr(C)]
    struct Pair {
        is_set: bool,
        number: i32,
        wide: i64,
    }

    const LINES: &[Line] = &[(0x0403_0201, false, 16, 4, "# 0.3! i l", "pair flags is_set number wide")];
    static ROWS: RowTable<4, 1> = rows(&[LINES], &[], &[]);
    static PAIRS: [Constructor; 1] = alternatives(&[LINES], &ROWS);
    crate::lines! { Pairs, PAIRS, false }

    // SAFETY: the only line of the list has the fields of the struct, in their order.
    unsafe impl Object for Pair {
        const LINE: usize = 0;
        type Rows = Of<Pairs, (Word, Flag, i32, i64)>;
    }

    #[test]
    fn a_struct_is_written_by_its_rows() {
        let pair = Pair { is_set: true, number: 7, wide: -1 };
        assert_eq!((Pair::TYPE.size, Pair::TYPE.align), (16, 8));
        assert_eq!(*FieldOf::<Pair, i32>::of_row(2).read(&pair), 7);
        assert_eq!(pair.to_bytes(), [&[8, 0, 0, 0, 7, 0, 0, 0][..], &[0xff; 8]].concat());
    }

    #[test]
    #[should_panic(expected = "size_of")]
    fn a_row_is_not_read_as_a_type_of_another_size() {
        FieldOf::<Pair, i64>::of_row(2);
    }

    #[test]
    #[should_panic(expected = "as many rows as it says")]
    fn a_line_with_another_number_of_rows_is_refused() {
        rows::<4, 1>(&[&[(1, false, 8, 3, "# 0.3! i l", "pair")]], &[], &[]);
    }

    #[test]
    #[should_panic(expected = "a row that nobody knows")]
    fn a_row_that_is_no_row_is_refused() {
        rows::<1, 1>(&[&[(1, false, 8, 1, "x", "pair")]], &[], &[]);
    }

    #[test]
    #[should_panic(expected = "described as such")]
    fn a_vector_of_what_is_no_element_is_refused() {
        static LONELY: Type = Type::of_enum(&Form::new::<i64>("Lonely", 8, 1), &PAIRS, &[0; 2]);
        rows::<1, 1>(&[&[(1, false, 8, 1, "*e0", "holder lonely")]], &[], &[&LONELY]);
    }

    #[test]
    fn a_part_of_a_list_is_inside_it() {
        static LIST: [u8; 3] = [1, 2, 3];
        assert_eq!(part_of(&LIST, 1, 2), [2, 3]);
        assert_eq!(part_of(&LIST, 3, 0), [0; 0]);
        for (first, count) in [(4, 0), (1, 3), (0, usize::MAX), (usize::MAX, 1)] {
            let found = std::panic::catch_unwind(|| part_of(&LIST, first, count).len());
            assert!(found.is_err(), "{first} {count}");
        }
    }
}
