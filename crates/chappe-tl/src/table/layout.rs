//! The tables: what the interpreter knows about generated types.
//!
//! A [`Type`] is a TL type, a [`Constructor`] one of its alternatives, or a function, a [`Field`] one row of a constructor. A
//! generated crate has one list of each, which its [`Tables`] hold together. Constructors and rows are printed as bytes:
//! whoever compiles them pays for every expression, and there are tens of thousands of numbers.
//!
//! What depends on the machine is not printed: structs are `repr(C)`, so their offsets follow from their rows, and
//! [`layout`] computes them while compiling. What follows is compared with `size_of` where a type is used.
//!
//! Nothing here is unsafe: a table is a claim. The claim is made by the `unsafe impl` of
//! [`Described`](super::Described) that names the table, and acted upon in `raw.rs`.

use core::fmt;

use super::kind::{Kind, Memory};
use super::raw::{assert_slices, numbers, part_of};
use super::rows::Field;

/// One alternative of a type, or a function: a line of the schema.
///
/// The generator prints it as 24 bytes, in this order, numbers with the lowest byte first; for what depends on the machine it
/// prints zeros. A change here is a change of [`assert_version`](crate::codegen::assert_version).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Constructor {
    /// The constructor id.
    pub id: u32,
    /// Least number of bytes of the fields on the wire, without the id.
    pub least: u32,
    /// Where the rows begin in the list of all rows.
    first: u32,
    /// Where the names begin in the text of all names: that of the constructor, then of each row, with a space between
    /// them and a line feed behind.
    names: u32,
    /// How many rows there are.
    count: u16,
    /// What the variant holds.
    pub payload: Payload,
    /// Alignment of the struct in bytes.
    align: u8,
    /// Size of the struct in bytes.
    pub size: u16,
    /// The type that it is a constructor of, by its number in the list of all types. Of a function: 0.
    ty: u16,
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
    /// Returns the alignment of the struct in bytes.
    pub const fn align(&self) -> u32 {
        self.align as u32
    }
}

/// All lists of a generated crate.
#[derive(Clone, Copy)]
pub struct Tables {
    /// The types of the schema.
    pub types: &'static [Type],
    /// Types of rows that are none of the schema's, such as vectors of vectors. Their numbers go on behind those.
    pub extra: &'static [&'static Type],
    /// The constructors of all types, then the functions.
    pub constructors: &'static [Constructor],
    /// The rows of all constructors and functions.
    pub rows: &'static [Field],
    /// The hash tables of all types with several constructors.
    pub slots: &'static [u16],
    /// The names, a line for each constructor and function.
    pub names: &'static &'static str,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tables of {} types", self.types.len())
    }
}

/// Of what has no constructors and no rows.
pub(super) const NOTHING: &Tables =
    &Tables { types: &[], extra: &[], constructors: &[], rows: &[], slots: &[], names: &"" };

impl Tables {
    /// Returns the type of a field, or of the elements.
    ///
    /// # Panics
    ///
    /// Panics if the row has no type, which the kind says.
    #[inline(always)]
    pub const fn target(&self, field: Field) -> &'static Type {
        let (types, number) = (self.types, field.target as usize);
        if number < types.len() { &types[number] } else { self.extra[number - types.len()] }
    }

    /// Returns the rows of a constructor of these tables.
    #[inline(always)]
    pub(super) const fn rows_of(&self, constructor: &Constructor) -> &'static [Field] {
        part_of(self.rows, constructor.first as usize, constructor.count as usize)
    }

    /// Returns the name of the constructor or function with that id.
    pub fn name_of(&'static self, id: u32) -> Option<&'static str> {
        let constructor = self.constructors.iter().find(|constructor| constructor.id == id)?;
        Some(Line { tables: self, constructor }.name())
    }
}

/// A constructor or a function with the tables it is in.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    tables: &'static Tables,
    constructor: &'static Constructor,
}

impl Line {
    pub(super) const fn new(tables: &'static Tables, constructor: &'static Constructor) -> Self {
        Self { tables, constructor }
    }

    /// Returns the constructor id.
    pub const fn id(self) -> u32 {
        self.constructor.id
    }

    /// Returns the least number of bytes of the fields on the wire, without the id.
    pub const fn least(self) -> u32 {
        self.constructor.least
    }

    /// Returns the rows, in the order of the wire.
    pub const fn fields(self) -> &'static [Field] {
        self.tables.rows_of(self.constructor)
    }

    /// Returns the type of a field, or of the elements, if the kind has one.
    pub fn target(self, field: Field) -> Option<&'static Type> {
        field.kind.has_target().then(|| self.tables.target(field))
    }

    /// Returns the constructor's name, in TL spelling.
    pub fn name(self) -> &'static str {
        self.names().next().unwrap_or_default()
    }

    /// Returns the name of the row with this index, in TL spelling.
    pub fn field_name(self, index: usize) -> &'static str {
        self.names().nth(index + 1).unwrap_or_default()
    }

    /// Returns the name of the constructor, then of each row, in TL spelling.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        crate::serialize::names_at(self.tables.names, self.constructor.names)
    }

    /// Returns the text of all names, and where those of this line begin.
    pub(super) const fn text(self) -> (&'static &'static str, u32) {
        (self.tables.names, self.constructor.names)
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
        if cfg!(target_endian = "big") {
            *line = from_le(*line);
        }
        assert!(line.first as usize == row, "rows follow each other");
        let behind = row + line.count as usize;
        let (mut end, mut largest) = (0, 0);
        while row < behind {
            let field = &mut layout.rows[row];
            if cfg!(target_endian = "big") {
                (field.offset, field.target) = (field.offset.swap_bytes(), field.target.swap_bytes());
            }
            let Memory { mut size, mut low, target } = memory[field.kind as usize];
            if target != Memory::NO_TARGET {
                let number = field.target as usize;
                let ty = if number < types.len() { &types[number] } else { extra[number - types.len()] };
                if target == Memory::BY_VALUE {
                    (size, low) = (ty.size, ty.align - 1);
                } else {
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

/// Turns numbers round on a machine that has the highest byte first.
const fn from_le(line: Constructor) -> Constructor {
    let Constructor { id, least, first, names, count, ty, .. } = line;
    Constructor {
        id: u32::from_le(id),
        least: u32::from_le(least),
        first: u32::from_le(first),
        names: u32::from_le(names),
        count: u16::from_le(count),
        ty: u16::from_le(ty),
        ..line
    }
}

/// Reads hash tables from the bytes that the generator prints: two for each slot, the lower one first.
///
/// A slot is the position of an alternative among those of its type, or [`EMPTY`]. The hash table of a type has the smallest
/// power of two that is at least twice the number of its alternatives; an alternative stands in the slot that [`hash`]
/// says, or behind it in the next one that is free.
///
/// # Panics
///
/// Panics, at compile time, if there are not so many slots.
pub const fn slots<const N: usize>(bytes: &[u8]) -> [u16; N] {
    let mut slots = numbers(bytes);
    let mut index = 0;
    while cfg!(target_endian = "big") && index < N {
        slots[index] = slots[index].swap_bytes();
        index += 1;
    }
    slots
}

/// The largest alignment of a generated type, in bytes; the arena aligns everything to it.
pub const MAX_ALIGN: usize = 8;

/// A TL type, or the bare struct of a constructor or function.
#[derive(Clone, Copy)]
pub struct Type {
    /// The name, in TL spelling; of a struct, empty.
    pub name: &'static str,
    /// Size of a value in bytes.
    pub size: u32,
    /// Alignment of a value in bytes.
    pub align: u32,
    /// Where the union of payloads starts in the enum, in bytes; 0 if there is no discriminant in front of it.
    pub payload: u32,
    /// Whether the value is the struct itself: what constructors say about payloads is about their enum.
    pub is_struct: bool,
    /// Whether the constructor id stands on the wire in front of the fields.
    pub boxed: bool,
    /// Whether values may stand in vectors: then slices of them were checked, while compiling.
    pub is_element: bool,
    /// Length of the shortest encoding in bytes, with the id if it is boxed.
    pub least: u32,
    /// Of a type that is no object: its only row.
    pub value: Option<Field>,
    /// What the type is described by.
    tables: &'static Tables,
    /// Where the alternatives begin in the list of constructors, and how many they are.
    first: u32,
    count: u32,
    /// Where the hash table begins, if there are several.
    slots: u32,
    /// Alternatives that the enum has not, from one position to another: their feature is off.
    absent: &'static [(u32, u32)],
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_struct { self.only_line().name() } else { self.name };
        write!(f, "Type({name})")
    }
}

/// Marks a free slot of a hash table.
pub const EMPTY: u16 = u16::MAX;

impl Type {
    const NONE: Self = Self {
        name: "",
        size: 0,
        align: 1,
        payload: 0,
        is_struct: false,
        boxed: false,
        is_element: false,
        least: 0,
        value: None,
        tables: NOTHING,
        first: 0,
        count: 0,
        slots: 0,
        absent: &[],
    };

    /// Describes a struct: the fields of its line, behind the id if it is boxed. It stands in no vector.
    pub const fn of_line(tables: &'static Tables, line: usize, boxed: bool) -> Self {
        let constructor = &tables.constructors[line];
        Self {
            size: constructor.size as u32,
            align: constructor.align as u32,
            is_struct: true,
            boxed,
            least: constructor.least + if boxed { 4 } else { 0 },
            tables,
            first: line as u32,
            count: 1,
            ..Self::NONE
        }
    }

    /// Describes a struct that stands bare in another object or in a vector: the fields of a line, without the id.
    ///
    /// Nothing of the line is looked up, because its own rows may depend on this type.
    pub const fn bare<T>(least: u32, tables: &'static Tables, line: usize) -> Self {
        assert_slices::<T>();
        Self {
            size: size_of::<T>() as u32,
            align: align_of::<T>() as u32,
            is_struct: true,
            is_element: true,
            least,
            tables,
            first: line as u32,
            count: 1,
            ..Self::NONE
        }
    }

    /// Describes a value that is not an object, such as an `int` or a vector. Its type, if it has one, is the first one of the
    /// tables.
    pub(super) const fn alone<T>(name: &'static str, kind: Kind, tables: &'static Tables) -> Self {
        assert_slices::<T>();
        Self {
            name,
            size: size_of::<T>() as u32,
            align: align_of::<T>() as u32,
            is_element: true,
            least: least_of(kind),
            value: Some(Field::alone(kind)),
            tables,
            ..Self::NONE
        }
    }

    /// Describes the enum of all functions (`repr(C, u32)`), which are `count` lines from `first` on, with the only hash table.
    /// Its discriminants are their positions among them.
    pub const fn calls<T>(
        name: &'static str,
        tables: &'static Tables,
        first: u32,
        count: u32,
        absent: &'static [(u32, u32)],
    ) -> Self {
        // A C struct of the discriminant and a C union of the payloads. Its alignment is the larger of both alignments,
        // which is also where the union starts.
        let align = align_of::<T>() as u32;
        Self {
            name,
            size: size_of::<T>() as u32,
            align,
            payload: align,
            boxed: true,
            least: 4,
            tables,
            first,
            count,
            absent,
            ..Self::NONE
        }
    }

    /// Checks, while compiling, that values of `T` have the size and the alignment that the table says.
    ///
    /// # Panics
    ///
    /// Panics if they have not: then the table is of another type.
    pub const fn assert_is<T>(&self) {
        assert!(size_of::<T>() == self.size as usize && align_of::<T>() == self.align as usize);
    }

    /// Returns what a vector of these values is.
    pub(super) const fn list_kind(&self) -> Kind {
        match self.value {
            Some(Field { kind: Kind::Int, .. }) => Kind::ListInt,
            Some(Field { kind: Kind::Long, .. }) => Kind::ListLong,
            Some(Field { kind: Kind::Double, .. }) => Kind::ListDouble,
            Some(Field { kind: Kind::Bool, .. }) => Kind::ListBool,
            Some(Field { kind: Kind::Str, .. }) => Kind::ListStr,
            Some(Field { kind: Kind::Bytes, .. }) => Kind::ListBytes,
            Some(Field { kind: Kind::Int128, .. }) => Kind::ListInt128,
            Some(Field { kind: Kind::Int256, .. }) => Kind::ListInt256,
            _ => Kind::ListObject,
        }
    }

    /// Returns the first alternative: of a struct, its constructor.
    #[inline(always)]
    pub(super) const fn only(&self) -> &'static Constructor {
        &self.tables.constructors[self.first as usize]
    }

    /// Returns the type that a struct is a constructor of.
    pub(super) const fn boxed_type(&self) -> &'static Type {
        &self.tables.types[self.only().ty as usize]
    }

    /// Returns the first alternative with its names and rows.
    pub(super) const fn only_line(&self) -> Line {
        Line::new(self.tables, self.only())
    }

    /// Returns the rows of a type that has one alternative.
    pub(super) const fn only_rows(&self) -> &'static [Field] {
        self.tables.rows_of(self.only())
    }

    /// Returns what the type is described by.
    pub const fn tables(&self) -> &'static Tables {
        self.tables
    }

    /// Returns the alternatives.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line> + use<> {
        let (tables, first, count) = (self.tables, self.first as usize, self.count as usize);
        part_of(tables.constructors, first, count).iter().map(move |one| Line::new(tables, one))
    }

    /// Returns the type of the only row of a type that is no object, if it has one.
    pub fn target(&self) -> Option<&'static Type> {
        let field = self.value.filter(|field| field.kind.has_target())?;
        Some(self.tables.target(field))
    }

    /// Finds the alternative with this id, and its position, which is also its discriminant.
    #[inline]
    pub fn find(&self, id: u32) -> Option<(u32, &'static Constructor)> {
        let (all, first, count) = (self.tables.constructors, self.first as usize, self.count);
        if count <= 1 {
            let only = all.get(first)?;
            return (count == 1 && only.id == id && self.absent.is_empty()).then_some((0, only));
        }
        let shift = (2 * count - 1).leading_zeros();
        let (slots, mask) = (self.slots as usize, u32::MAX >> shift);
        let mut slot = hash(id, shift);
        loop {
            let at = *self.tables.slots.get(slots + (slot & mask) as usize)?;
            if at == EMPTY {
                return None;
            }
            let constructor = all.get(first + usize::from(at))?;
            if constructor.id == id {
                let tag = u32::from(at);
                let is_absent = self.absent.iter().any(|(from, to)| (*from..*to).contains(&tag));
                return (!is_absent).then_some((tag, constructor));
            }
            slot += 1;
        }
    }

    /// Finds the alternative with this discriminant.
    #[inline]
    pub(super) fn tagged_as(&self, tag: u32) -> Option<&'static Constructor> {
        if tag >= self.count {
            return None;
        }
        self.tables.constructors.get(self.first as usize + tag as usize)
    }
}

/// Returns in which slot an id is looked for first, if `shift` of 32 bits are too many to number the slots.
pub const fn hash(id: u32, shift: u32) -> u32 {
    id.wrapping_mul(0x9e37_79b1) >> shift
}

/// What generated code says about a type besides its constructors.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    name: &'static str,
    /// Length of the shortest encoding. It is given, not looked up: to look into its alternatives would take an endless
    /// loop where types contain each other.
    least: u32,
    constructors: u32,
    size: u32,
    align: u32,
    is_element: bool,
}

impl Form {
    /// Describes a type whose values stand in no vector. With several constructors it is an enum whose discriminant is
    /// an `u32` in front of the payload (`repr(C, u32)`, or `repr(u32)` where no variant has fields); with one, an enum that
    /// is its payload (`repr(transparent)`, or without a field at all).
    pub const fn new<T>(name: &'static str, least: u32, constructors: u32) -> Self {
        let (size, align) = (size_of::<T>() as u32, align_of::<T>() as u32);
        assert!(align_of::<T>() <= MAX_ALIGN, "no TL type is aligned to more than 8 bytes");
        Self { name, least, constructors, size, align, is_element: false }
    }

    /// Describes a type whose values stand in vectors, otherwise as [`new`](Self::new).
    pub const fn element<T>(name: &'static str, least: u32, constructors: u32) -> Self {
        assert_slices::<T>();
        Self { is_element: true, ..Self::new::<T>(name, least, constructors) }
    }
}

/// Describes types, whose constructors and hash tables follow each other.
///
/// # Panics
///
/// Panics, at compile time, if they are not `N`.
pub const fn types<const N: usize>(mut forms: &[Form], tables: &'static Tables) -> [Type; N] {
    let mut types = [Type::NONE; N];
    let (mut index, mut first, mut slots) = (0, 0, 0);
    while let [form, others @ ..] = forms {
        forms = others;
        let Form { name, least, constructors: count, size, align, is_element } = *form;
        // `repr(C, u32)` is a C struct of the discriminant and a C union of the payloads. Its alignment is the
        // larger of both alignments, which is also where the union starts.
        let payload = if count == 1 { 0 } else { align };
        types[index] = Type {
            name,
            size,
            align,
            payload,
            is_struct: false,
            boxed: true,
            is_element,
            least,
            value: None,
            tables,
            first,
            count,
            slots,
            absent: &[],
        };
        if count > 1 {
            slots += (u32::MAX >> (2 * count - 1).leading_zeros()) + 1;
        }
        first += count;
        index += 1;
    }
    assert!(index == N);
    types
}

/// Of a value that is not an object.
const fn least_of(kind: Kind) -> u32 {
    match kind {
        Kind::Int | Kind::Bool | Kind::Str | Kind::Bytes => 4,
        Kind::Int128 => 16,
        Kind::Int256 => 32,
        // `long`, `double`, and a vector's id and count.
        _ => 8,
    }
}
