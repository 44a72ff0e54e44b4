//! The tables: what the interpreter knows about generated types.
//!
//! A [`Type`] is a TL type, a [`Constructor`] one of its alternatives, or a function, a [`Field`] one row of a constructor. A
//! generated crate has one list of each, which its [`Tables`](super::Tables) hold together. Constructors and rows are printed as bytes:
//! the compiler evaluates every expression, and there are tens of thousands of numbers.
//!
//! What depends on the machine is not printed: structs are `repr(C)`, so their offsets follow from their rows, and
//! [`layout`] computes them while compiling. What follows is compared with `size_of` where a type is used.
//!
//! Nothing here is unsafe: a table is a claim. The claim is made by the `unsafe` functions that make a [`Type`] of it, and by the
//! `unsafe impl` of [`Described`](super::Described) that names the type; it is acted upon in `raw/`.

use super::kind::Memory;
use super::{Field, Type};

/// One alternative of a type, or a function: a line of the schema.
///
/// The generator prints it as 24 bytes, in this order, numbers with the lowest byte first; for what depends on the machine it
/// prints zeros. A change here is a change of [`assert_version`](crate::codegen::assert_version).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Constructor {
    /// The constructor id.
    pub(super) id: u32,
    /// Least number of bytes of the fields on the wire, without the id.
    pub(super) least: u32,
    /// Where the rows begin in the list of all rows.
    pub(super) first: u32,
    /// Where the names begin in the text of all names: that of the constructor, then of each row, with a space between
    /// them and a line feed behind.
    pub(super) names: u32,
    /// How many rows there are.
    pub(super) count: u16,
    /// What the variant holds.
    pub(super) payload: Payload,
    /// Alignment of the struct in bytes.
    pub(super) align: u8,
    /// Size of the struct in bytes.
    pub(super) size: u16,
    /// The type that it is a constructor of, by its number in the list of all types. Of a function: 0.
    pub(super) ty: u16,
}

/// How a variant of an enum holds the fields of its constructor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Payload {
    /// `Variant`, or `Variant(types::X)`: at the payload offset of the enum.
    Value,
    /// `Variant(&types::X)`: the struct stands elsewhere in the arena.
    Reference,
}

impl Constructor {
    /// Returns the constructor id.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Returns the alignment of the struct in bytes.
    pub const fn align(&self) -> u32 {
        self.align as u32
    }
}

/// The constructors and rows of a generated crate.
#[derive(Debug)]
pub struct Layout<const ROWS: usize, const LINES: usize> {
    /// The rows, line after line.
    pub rows: [Field; ROWS],
    /// The constructors, then the functions.
    pub constructors: [Constructor; LINES],
}

/// Lays the structs of constructors and functions out.
///
/// Each row but a flags word is a field of a `repr(C)` struct, in this order, so its offset follows from the fields
/// before it: it is their end, rounded up to the alignment of the field (Reference, "The C representation").
///
/// This is one loop without calls, because what evaluates it while compiling spends most on calls, and there are ten
/// thousand rows.
///
/// # Panics
///
/// Panics, at compile time, if the rows of the lines do not follow each other, or if some belong to none.
pub const fn layout<const ROWS: usize, const LINES: usize>(
    mut layout: Layout<ROWS, LINES>,
    types: &[Type],
    extra: &[&'static Type],
) -> Layout<ROWS, LINES> {
    let memory = Memory::OF_KINDS;
    let (mut index, mut row) = (0, 0);
    while index < LINES {
        let line = &mut layout.constructors[index];
        assert!(line.first as usize == row, "rows follow each other");
        let behind = row + line.count as usize;
        let (mut end, mut largest) = (0, 0);
        while row < behind {
            let field = &mut layout.rows[row];
            let Memory { mut size, mut low, target } = memory[field.kind as usize];
            if target != Memory::NO_TARGET {
                let number = field.target as usize;
                let ty = if number < types.len() { &types[number] } else { extra[number - types.len()] };
                if target == Memory::BY_VALUE {
                    (size, low) = (ty.size, ty.align - 1);
                } else if target == Memory::OF_ELEMENTS {
                    assert!(ty.is_element, "elements of vectors are described as such");
                }
            }
            if low != Memory::NOWHERE {
                end = (end + low) & !low;
                field.offset = end as u16;
                end += size;
                largest |= low;
            }
            row += 1;
        }
        assert!(end <= u16::MAX as u32 - MAX_ALIGN as u32, "no struct has 64 KiB");
        // A `repr(C)` struct ends behind its last field, at a multiple of the largest alignment.
        line.size = ((end + largest) & !largest) as u16;
        line.align = largest as u8 + 1;
        index += 1;
    }
    assert!(row == ROWS, "all rows belong to a line");
    layout
}

impl<const ROWS: usize, const LINES: usize> Layout<ROWS, LINES> {
    /// Turns all numbers round: for what was read as it stands on a machine that has the highest byte first.
    pub(super) const fn turned(mut self) -> Self {
        let mut row = 0;
        while row < ROWS {
            let Field { offset, target, .. } = &mut self.rows[row];
            (*offset, *target) = (offset.swap_bytes(), target.swap_bytes());
            row += 1;
        }
        let mut index = 0;
        while index < LINES {
            let Constructor { id, least, first, names, count, ty, .. } = &mut self.constructors[index];
            (*id, *least) = (id.swap_bytes(), least.swap_bytes());
            (*first, *names) = (first.swap_bytes(), names.swap_bytes());
            (*count, *ty) = (count.swap_bytes(), ty.swap_bytes());
            index += 1;
        }
        self
    }
}

/// The largest alignment of a generated type, in bytes; the arena aligns everything to it.
pub const MAX_ALIGN: usize = 8;

#[cfg(test)]
pub(super) mod tests {
    #![allow(unsafe_code)]

    use super::super::{Form, Kind, Tables, printed, types};
    use super::*;

    /// A line without rows.
    pub(in super::super) fn line(id: u32, least: u32, ty: u16) -> Vec<u8> {
        let numbers = [id, least, 0, 0, 0].map(u32::to_le_bytes).concat();
        [numbers, vec![0, 0], ty.to_le_bytes().to_vec()].concat()
    }

    pub(in super::super) const fn read<const ROWS: usize, const LINES: usize>(
        rows: &[u8],
        lines: &[u8],
    ) -> Layout<ROWS, LINES> {
        // SAFETY: the kinds and payloads below are numbers of such.
        unsafe { printed(rows, lines) }
    }

    /// Of a struct of flags, a flag, an `int` and a `long`.
    pub(in super::super) const ROWS: &[u8; 32] = b"\
        \x00\x00\x83\x00\x08\x00\x00\x00\x01\x03\x03\x00\x00\x00\x00\x00\
        \x03\x00\x80\x00\x00\x00\x00\x00\x04\x00\x80\x00\x00\x00\x00\x00";
    pub(in super::super) const LINES: &[u8; 24] =
        b"\x01\x02\x03\x04\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00";

    pub(in super::super) const fn laid_out<const ROWS: usize, const LINES: usize>(
        rows: &[u8],
        lines: &[u8],
        types: &[Type],
    ) -> Layout<ROWS, LINES> {
        layout(read(rows, lines), types, &[])
    }

    #[test]
    fn numbers_are_read_with_the_lowest_byte_first_and_can_be_turned_round() {
        let rows = [Kind::Word as u8, 32, 129, 0, 0x12, 0x34, 0x56, 0x78];
        let mut lines = line(0x0102_0304, 0x0506_0708, 0x090a);
        lines[16] = 1;
        let printed: Layout<1, 1> = read(&rows, &lines);
        let turned: Layout<1, 1> = read(&rows, &lines).turned();
        assert_eq!((printed.rows[0].known(), turned.rows[0].known()), (0x7856_3412, 0x5678_1234));
        let numbers = |one: &Constructor| (one.id, one.least, one.ty, one.count);
        assert_eq!(numbers(&printed.constructors[0]), (0x0102_0304, 0x0506_0708, 0x090a, 1));
        assert_eq!(numbers(&turned.constructors[0]), (0x0403_0201, 0x0807_0605, 0x0a09, 0x0100));
        assert_eq!((turned.rows[0].condition, turned.rows[0].visit), (32, 129));
    }

    #[test]
    #[should_panic(expected = "as many bytes as the values take")]
    fn other_rows_than_were_printed_are_refused() {
        laid_out::<5, 1>(ROWS, LINES, &[]);
    }

    #[test]
    #[should_panic(expected = "all rows belong to a line")]
    fn rows_that_belong_to_no_line_are_refused() {
        laid_out::<5, 1>(&[&ROWS[..], &ROWS[..8]].concat(), LINES, &[]);
    }

    #[test]
    #[should_panic(expected = "rows follow each other")]
    fn rows_that_belong_to_two_lines_are_refused() {
        laid_out::<4, 2>(ROWS, &[&LINES[..], &LINES[..]].concat(), &[]);
    }

    #[test]
    #[should_panic(expected = "described as such")]
    fn a_vector_of_what_is_no_element_is_refused() {
        static LAYOUT: Layout<4, 1> = laid_out(ROWS, LINES, &[]);
        static TABLES: Tables = Tables { constructors: &LAYOUT.constructors, ..*Tables::NOTHING };
        // SAFETY: no value of the type is made.
        let lonely: [Type; 1] = unsafe { types(&[Form::new::<i64>("Lonely", 8, 1)], &TABLES) };
        let row = [Kind::ListObject as u8, 0, Field::ALWAYS, 0, 0, 0, 0, 0];
        let mut line = *LINES;
        line[16] = 1;
        laid_out::<1, 1>(&row, &line, &lonely);
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn a_reference_to_no_type_is_refused() {
        let row = [Kind::OptObject as u8, 0, 0, 0, 0, 0, 1, 0];
        let mut line = *LINES;
        line[16] = 1;
        laid_out::<1, 1>(&row, &line, &[]);
    }

    #[test]
    #[should_panic(expected = "64 KiB")]
    fn a_struct_whose_offsets_are_no_numbers_of_16_bits_is_refused() {
        let row = [Kind::Str as u8, 0, Field::ALWAYS, 0, 0, 0, 0, 0];
        let mut line = *LINES;
        // A string is a pointer and a length: 64 KiB of them where both have 32 bits, twice as much elsewhere.
        line[16..18].copy_from_slice(&8192_u16.to_le_bytes());
        laid_out::<8192, 1>(&row.repeat(8192), &line, &[]);
    }
}
