//! Types: what the interpreter knows about each besides its constructors, and how it finds them.
#![allow(
    unsafe_code,
    reason = "a type is a promise: the functions that make one are unsafe, and do nothing unsafe"
)]

use core::fmt;

use super::layout::MAX_ALIGN;
use super::raw::{TablesPointer, assert_slices, numbers, part_of};
use super::{Constructor, Field, Kind, Line, Native, Tables};

/// A TL type, or the bare struct of a constructor or function.
///
/// What decodes and reads values believes it, so it is made by `unsafe` functions only, and nothing changes it:
///
/// ```compile_fail,E0616
/// let mut long = *<i64 as chappe_tl::__private::Described>::TYPE;
/// long.size = 0;
/// ```
/// ```compile_fail,E0133
/// use chappe_tl::__private::{Tables, Type};
///
/// static LONG: Type = Type::bare::<i64>(8, Tables::NOTHING, 0);
/// ```
#[derive(Clone, Copy)]
pub struct Type {
    /// The name, in TL spelling; of a struct, empty.
    pub(super) name: &'static str,
    /// Size of a value in bytes.
    pub(super) size: u32,
    /// Alignment of a value in bytes.
    pub(super) align: u32,
    /// Where the union of payloads starts in the enum, in bytes; 0 if there is no discriminant in front of it.
    pub(super) payload: u32,
    /// Whether the value is the struct itself: what constructors say about payloads is about their enum.
    pub(super) is_struct: bool,
    /// Whether the constructor id stands on the wire in front of the fields.
    pub(super) boxed: bool,
    /// Whether values may stand in vectors: then slices of them were checked, while compiling.
    pub(super) is_element: bool,
    /// Length of the shortest encoding in bytes, with the id if it is boxed.
    pub(super) least: u32,
    /// Of a type that is no object: its only row.
    pub(super) value: Option<Field>,
    /// What the type is described by.
    tables: TablesPointer,
    /// Where the alternatives begin in the list of constructors, and how many they are.
    first: u32,
    count: u32,
    /// Where the hash table begins, if there are several.
    slots: u32,
    /// Code that writes values.
    pub(super) native: Option<Native>,
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
        tables: TablesPointer::new(Tables::NOTHING),
        first: 0,
        count: 0,
        slots: 0,
        native: None,
        absent: &[],
    };

    /// Returns the name of the constructor or function with that id, of the schema that the type belongs to.
    #[cold]
    pub(super) fn name_of(&'static self, id: u32) -> Option<&'static str> {
        let mut ty = self;
        // The tables of a vector have nothing but the type of its elements.
        while let (&[], &[of, ..]) = (ty.tables().constructors, ty.tables().extra) {
            ty = of;
        }
        ty.tables().name_of(id)
    }

    /// Returns the name, in TL spelling; of a struct, nothing.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the size of a value in bytes.
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// Returns the alignment of a value in bytes.
    pub const fn align(&self) -> usize {
        self.align as usize
    }

    /// Returns the only row of a type that is no object.
    pub const fn value(&'static self) -> Option<&'static Field> {
        self.value.as_ref()
    }

    /// Returns the length of the shortest encoding in bytes, with the id if it is boxed.
    pub const fn least(&self) -> usize {
        self.least as usize
    }

    /// Returns whether the constructor id stands on the wire in front of the fields.
    pub const fn is_boxed(&self) -> bool {
        self.boxed
    }

    /// Describes a struct: the fields of its line, behind the id if it is boxed. It stands in no vector.
    pub(super) const fn of_line(tables: &'static Tables, line: usize, boxed: bool) -> Self {
        let constructor = &tables.constructors[line];
        Self {
            size: constructor.size as u32,
            align: constructor.align as u32,
            is_struct: true,
            boxed,
            least: constructor.least + if boxed { 4 } else { 0 },
            tables: TablesPointer::new(tables),
            first: line as u32,
            count: 1,
            ..Self::NONE
        }
    }

    /// Describes a struct that stands bare in another object or in a vector: the fields of a line, without the id.
    ///
    /// Nothing of the line is looked up, because its own rows may depend on this type.
    ///
    /// # Safety
    ///
    /// The line must describe `T`.
    pub const unsafe fn bare<T>(least: u32, tables: &'static Tables, line: usize) -> Self {
        assert_slices::<T>();
        Self {
            size: size_of::<T>() as u32,
            align: align_of_checked::<T>(),
            is_struct: true,
            is_element: true,
            least,
            tables: TablesPointer::new(tables),
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
            align: align_of_checked::<T>(),
            is_element: true,
            least: least_of(kind),
            value: Some(Field::alone(kind)),
            tables: TablesPointer::new(tables),
            ..Self::NONE
        }
    }

    /// Describes a vector of objects, whose type is the first extra one of the tables.
    ///
    /// It is for tables: what they refer to is a `static`, never the constant of a [`Described`](super::Described) type that
    /// refers to them, since evaluating a constant visits everything it refers to.
    ///
    /// # Safety
    ///
    /// `T` must be a slice of what the first extra type describes.
    pub const unsafe fn objects<T>(tables: &'static Tables) -> Self {
        Self::alone::<T>("Vector", Kind::ListObject, tables)
    }

    /// Describes the enum of all functions (`repr(C, u32)`), which are `count` lines from `first` on, with the only hash table.
    /// Its discriminants are their positions among them.
    ///
    /// # Safety
    ///
    /// `T` must be such an enum, with the variants that these lines describe.
    pub const unsafe fn calls<T>(
        name: &'static str,
        tables: &'static Tables,
        first: u32,
        count: u32,
        absent: &'static [(u32, u32)],
    ) -> Self {
        // A C struct of the discriminant and a C union of the payloads. Its alignment is the larger of both alignments,
        // which is also where the union starts.
        let align = align_of_checked::<T>();
        assert!((first + count) as usize <= tables.constructors.len(), "all alternatives are in the list");
        assert!(slots_of(count) as usize == tables.slots.len(), "the slots are those of the alternatives");
        Self {
            name,
            size: size_of::<T>() as u32,
            align,
            payload: align,
            boxed: true,
            least: 4,
            tables: TablesPointer::new(tables),
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
            Some(Field { kind: Kind::Nat, .. }) => Kind::ListNat,
            Some(Field { kind: Kind::Int, .. }) => Kind::ListInt,
            Some(Field { kind: Kind::Long, .. }) => Kind::ListLong,
            Some(Field { kind: Kind::Double, .. }) => Kind::ListDouble,
            Some(Field { kind: Kind::Bool, .. }) => Kind::ListBool,
            Some(Field { kind: Kind::Str, .. }) => Kind::ListStr,
            Some(Field { kind: Kind::Bytes, .. }) => Kind::ListBytes,
            Some(Field { kind: Kind::Int128, .. }) => Kind::ListInt128,
            Some(Field { kind: Kind::Int256, .. }) => Kind::ListInt256,
            Some(Field { kind: Kind::Int512, .. }) => Kind::ListInt512,
            _ => Kind::ListObject,
        }
    }

    /// Returns the first alternative: of a struct, its constructor.
    #[inline(always)]
    pub(super) const fn only(&self) -> &'static Constructor {
        &self.tables().constructors[self.first as usize]
    }

    /// Returns the type that a struct is a constructor of.
    pub(super) const fn boxed_type(&self) -> &'static Type {
        &self.tables().types[self.only().ty as usize]
    }

    /// Returns the first alternative with its names and rows.
    pub(super) const fn only_line(&self) -> Line {
        Line::new(self.tables(), self.only())
    }

    /// Returns the rows of a type that has one alternative.
    pub(super) const fn only_rows(&self) -> &'static [Field] {
        self.tables().rows_of(self.only())
    }

    /// Returns what the type is described by.
    #[inline(always)]
    pub const fn tables(&self) -> &'static Tables {
        self.tables.get()
    }

    /// Returns the alternatives.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line> + use<> {
        let (tables, first, count) = (self.tables(), self.first as usize, self.count as usize);
        part_of(tables.constructors, first, count).iter().map(move |one| Line::new(tables, one))
    }

    /// Returns the type of the only row of a type that is no object, if it has one.
    pub fn target(&self) -> Option<&'static Type> {
        let field = self.value.filter(|field| field.kind.has_target())?;
        Some(self.tables().target(field))
    }

    /// Finds the alternative with this id, and its position, which is also its discriminant.
    #[inline]
    pub fn find(&self, id: u32) -> Option<(u32, &'static Constructor)> {
        let (all, first, count) = (self.tables().constructors, self.first as usize, self.count);
        if count <= 1 {
            let only = all.get(first)?;
            return (count == 1 && only.id == id && self.absent.is_empty()).then_some((0, only));
        }
        let shift = (2 * count - 1).leading_zeros();
        let (slots, mask) = (self.slots as usize, u32::MAX >> shift);
        let slot = hash(id, shift);
        // A free slot ends the search: half of them are.
        for step in 0..=mask {
            let at = *self.tables().slots.get(slots + ((slot + step) & mask) as usize)?;
            if at == EMPTY {
                return None;
            }
            let constructor = all.get(first + usize::from(at))?;
            if constructor.id == id {
                let tag = u32::from(at);
                let is_absent = self.absent.iter().any(|(from, to)| (*from..*to).contains(&tag));
                return (!is_absent).then_some((tag, constructor));
            }
        }
        None
    }

    /// Finds the alternative with this discriminant.
    #[inline]
    pub(super) fn tagged_as(&self, tag: u32) -> Option<&'static Constructor> {
        if tag >= self.count {
            return None;
        }
        self.tables().constructors.get(self.first as usize + tag as usize)
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
    native: Option<Native>,
}

impl Form {
    /// Describes a type whose values stand in no vector. With several constructors it is an enum whose discriminant is
    /// an `u32` in front of the payload (`repr(C, u32)`, or `repr(u32)` where no variant has fields); with one, an enum that
    /// is its payload (`repr(transparent)`, or without a field at all).
    pub const fn new<T>(name: &'static str, least: u32, constructors: u32) -> Self {
        let (size, align) = (size_of::<T>() as u32, align_of_checked::<T>());
        Self { name, least, constructors, size, align, is_element: false, native: None }
    }

    /// Describes a type whose values stand in vectors, otherwise as [`new`](Self::new).
    pub const fn element<T>(name: &'static str, least: u32, constructors: u32) -> Self {
        assert_slices::<T>();
        Self { is_element: true, ..Self::new::<T>(name, least, constructors) }
    }

    /// Adds code that writes values of the type.
    #[must_use]
    pub const fn native(self, native: Native) -> Self {
        Self { native: Some(native), ..self }
    }
}

/// Describes types, whose constructors and hash tables follow each other.
///
/// # Panics
///
/// Panics, at compile time, if they are not `N`, or if constructors or slots are missing or slots are left over.
///
/// # Safety
///
/// The forms must be those of types that the constructors of the tables describe, in their order, and their code must be for
/// values of these types.
pub const unsafe fn types<const N: usize>(mut forms: &[Form], tables: &'static Tables) -> [Type; N] {
    let mut types = [Type::NONE; N];
    let (mut index, mut first, mut slots) = (0, 0, 0);
    while let [form, others @ ..] = forms {
        forms = others;
        let Form { name, least, constructors: count, size, align, is_element, native } = *form;
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
            tables: TablesPointer::new(tables),
            first,
            count,
            slots,
            native,
            absent: &[],
        };
        if count > 1 {
            slots += slots_of(count);
        }
        first += count;
        index += 1;
    }
    assert!(index == N);
    assert!(first as usize <= tables.constructors.len(), "all alternatives are in the list");
    assert!(slots as usize == tables.slots.len(), "the slots are those of the alternatives");
    types
}

/// Returns the length of the hash table of so many alternatives; of one, which is found without: 0.
const fn slots_of(count: u32) -> u32 {
    if count > 1 { (2 * count).next_power_of_two() } else { 0 }
}

/// Returns the alignment of a type in bytes.
///
/// # Panics
///
/// Panics, at compile time, if the arena does not align that much.
const fn align_of_checked<T>() -> u32 {
    assert!(align_of::<T>() <= MAX_ALIGN, "no TL type is aligned to more than 8 bytes");
    align_of::<T>() as u32
}

/// Of a value that is not an object.
const fn least_of(kind: Kind) -> u32 {
    match kind.most() {
        // It has one length.
        Some(len) => len as u32,
        None if matches!(kind, Kind::Str | Kind::Bytes) => 4,
        // A vector's id and count.
        None => 8,
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
    numbers(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::super::layout::tests::{line, read};
    use super::super::raw::TablesPointer;
    use super::*;

    /// Calls that no value is made of.
    #[allow(unsafe_code)]
    fn calls(tables: &'static Tables, first: u32, count: u32, absent: &'static [(u32, u32)]) -> Type {
        // SAFETY: the lines have no rows, so nothing but the discriminant is written.
        unsafe { Type::calls::<u64>("Any", tables, first, count, absent) }
    }

    /// Three alternatives, of which the last two want the same slot.
    fn three(absent: &'static [(u32, u32)]) -> (Type, [u32; 3]) {
        let shift = 5_u32.leading_zeros();
        let same = |id: &u32| hash(*id, shift) == hash(2, shift);
        let ids = [1, 2, (3..1000).find(same).expect("one in eight is")];
        let lines: Vec<u8> = ids.iter().flat_map(|id| line(*id, 0, 0)).collect();
        let layout: &'static Layout<0, 3> = Box::leak(Box::new(read(&[], &lines)));
        let mut table = [EMPTY; 8];
        for (position, id) in ids.iter().enumerate() {
            let mut slot = hash(*id, shift) as usize;
            while table[slot % 8] != EMPTY {
                slot += 1;
            }
            table[slot % 8] = position as u16;
        }
        let bytes: Vec<u8> = table.iter().flat_map(|slot| slot.to_le_bytes()).collect();
        let slots: &'static [u16; 8] = Box::leak(Box::new(slots(&bytes)));
        assert_eq!(*slots, table);
        let tables = Tables { constructors: &layout.constructors, slots, names: &"", ..*Tables::NOTHING };
        (calls(Box::leak(Box::new(tables)), 0, 3, absent), ids)
    }

    #[test]
    fn alternatives_are_found_by_their_ids() {
        let (ty, ids) = three(&[]);
        for (position, id) in ids.into_iter().enumerate() {
            let (tag, constructor) = ty.find(id).expect("it is in the table");
            assert_eq!((tag as usize, constructor.id), (position, id));
            assert_eq!(ty.tagged_as(tag).map(|one| one.id), Some(id));
        }
        assert!((ids[2] + 1..ids[2] + 100).all(|id| ty.find(id).is_none()));
        assert!(ty.tagged_as(3).is_none());
    }

    #[test]
    fn alternatives_that_an_enum_has_not_are_not_found() {
        let (ty, ids) = three(&[(1, 2)]);
        assert_eq!(ids.map(|id| ty.find(id).is_some()), [true, false, true]);
    }

    #[test]
    fn a_table_without_a_free_slot_ends_the_search() {
        let (ty, ids) = three(&[]);
        let tables = Tables { slots: &[0; 8], ..*ty.tables() };
        let full = Type { tables: TablesPointer::new(Box::leak(Box::new(tables))), ..ty };
        assert!(full.find(ids[0]).is_some() && full.find(ids[1]).is_none());
    }

    #[test]
    #[should_panic(expected = "in the list")]
    fn alternatives_that_are_in_no_list_are_refused() {
        // SAFETY: no value of the type is made.
        unsafe { types::<1>(&[Form::new::<i64>("Lonely", 8, 1)], Tables::NOTHING) };
    }

    #[test]
    #[should_panic(expected = "those of the alternatives")]
    fn slots_of_no_alternatives_are_refused() {
        let (ty, _) = three(&[]);
        // SAFETY: no value of the type is made.
        unsafe { types::<1>(&[Form::new::<i64>("Lonely", 8, 1)], ty.tables()) };
    }

    #[test]
    #[should_panic(expected = "in the list")]
    fn calls_that_are_in_no_list_are_refused() {
        let (ty, _) = three(&[]);
        calls(ty.tables(), 1, 3, &[]);
    }

    #[test]
    #[should_panic(expected = "those of the alternatives")]
    fn slots_of_other_calls_are_refused() {
        let (ty, _) = three(&[]);
        calls(ty.tables(), 0, 2, &[]);
    }

    #[test]
    #[should_panic(expected = "more than 8 bytes")]
    fn types_that_the_arena_does_not_align_are_refused() {
        #[repr(align(16))]
        struct Wide;
        Form::new::<Wide>("Wide", 4, 1);
    }
}
