//! The tables: what the interpreter knows about generated types.
//!
//! A [`Type`] is a TL type, a [`Constructor`] one of its alternatives, a [`Field`] one row of a
//! constructor. A generated crate builds one `static` of each for all its types, from lines that say what is peculiar to
//! each: the compiler spends more on each `static` than on what stands in it. Structs are `repr(C)`, so their offsets
//! follow from their rows; what follows is compared with `size_of` where a type is used.
//!
//! Nothing here is unsafe: a table is a claim. The claim is made by the `unsafe impl` of
//! [`Described`](super::Described) that names the table, and acted upon in `raw.rs`.

use super::kind::Kind;
use super::raw::{assert_slices, part_of};
use super::rows::{Field, RowTable};

/// One alternative of a type: a line of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Constructor {
    /// The constructor id.
    pub id: u32,
    /// The discriminant of the variant in its enum. Of a struct alone: 0.
    pub tag: u32,
    /// What the variant holds.
    pub payload: Payload,
    /// Size of the struct in bytes.
    pub size: u32,
    /// Alignment of the struct in bytes.
    pub align: u32,
    /// Least number of bytes of the fields on the wire, without the id.
    pub least: u32,
    /// Name of the constructor, then of each row, in TL spelling, with a space between them.
    pub names: &'static str,
    /// The rows, in the order of the wire.
    pub fields: &'static [Field],
}

/// How a variant of an enum holds the fields of its constructor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// `Variant`, or `Variant(types::X)`: at the payload offset of the enum.
    Value,
    /// `Variant(&types::X)`: the struct stands elsewhere in the arena.
    Reference,
}

impl Constructor {
    /// Returns the constructor's name, in TL spelling.
    pub fn name(&self) -> &'static str {
        self.names.split(' ').next().unwrap_or_default()
    }

    /// Returns the name of the row with this index, in TL spelling.
    pub fn field_name(&self, index: usize) -> &'static str {
        self.names.split(' ').nth(index + 1).unwrap_or_default()
    }
}

/// What generated code says about a constructor or a function: its id, whether its variant holds a reference, the
/// least number of bytes of its fields on the wire, the number of its rows, their description ([`rows`](super::rows)), and the
/// names.
pub type Line = (u32, bool, u32, usize, &'static str, &'static str);

/// Describes the constructors of types. The discriminants of each type begin at 0.
///
/// # Panics
///
/// Panics, at compile time, if there are not as many lines and rows as the types and the lines say.
pub const fn constructors<const N: usize, const ROWS: usize>(
    forms: &[&[Form]],
    lines: &[&[Line]],
    rows: &'static RowTable<ROWS, N>,
) -> [Constructor; N] {
    let mut constructors = alternatives(lines, rows);
    let (mut part, mut at) = (0, 0);
    while part < forms.len() {
        let mut form = 0;
        while form < forms[part].len() {
            let mut tag = 0;
            while tag < forms[part][form].constructors {
                constructors[at].tag = tag;
                (tag, at) = (tag + 1, at + 1);
            }
            form += 1;
        }
        part += 1;
    }
    assert!(at == N);
    constructors
}

/// Describes constructors or functions, each by itself.
///
/// # Panics
///
/// Panics, at compile time, if there are not as many lines and rows as the lines say.
pub const fn alternatives<const N: usize, const ROWS: usize>(
    parts: &[&[Line]],
    table: &'static RowTable<ROWS, N>,
) -> [Constructor; N] {
    let mut constructors = [NOTHING; N];
    let (mut part, mut index, mut row) = (0, 0, 0);
    while part < parts.len() {
        let mut line = 0;
        while line < parts[part].len() {
            let (id, is_reference, least, count, _, names) = parts[part][line];
            let fields = part_of(&table.rows, row, count);
            row += count;
            let (size, align) = table.sizes[index];
            let payload = if is_reference { Payload::Reference } else { Payload::Value };
            constructors[index] = Constructor { id, tag: 0, payload, size, align, least, names, fields };
            (line, index) = (line + 1, index + 1);
        }
        part += 1;
    }
    assert!(index == N && row == ROWS);
    constructors
}

const NOTHING: Constructor = Constructor {
    id: 0,
    tag: 0,
    payload: Payload::Value,
    size: 0,
    align: 1,
    least: 0,
    names: "",
    fields: &[],
};

/// The largest alignment of a generated type, in bytes; the arena aligns everything to it.
pub const MAX_ALIGN: usize = 8;

/// A TL type: its alternatives, or the one value it is.
#[derive(Debug)]
pub struct Type {
    /// The name in TL spelling.
    pub name: &'static str,
    /// Size of a value in memory, in bytes.
    pub size: u32,
    /// Alignment of a value in memory, in bytes.
    pub align: u32,
    /// Where the payload stands in the value, in bytes: 0 if the value has no discriminant.
    pub payload: u32,
    /// Least number of bytes of a value on the wire.
    pub least: u32,
    /// Whether the value is the struct itself: what constructors say about payloads is about their enum.
    pub is_struct: bool,
    /// Whether the constructor id stands on the wire in front of the fields.
    pub boxed: bool,
    /// `32 - log2(slots.len())`.
    pub shift: u32,
    /// The alternatives.
    pub constructors: &'static [Constructor],
    /// Hash table of the alternatives: positions in `constructors`, or [`EMPTY`].
    pub slots: &'static [u16],
    /// Instead of alternatives: the value is this field, at offset 0.
    pub value: Option<Field>,
    /// Whether values stand in vectors.
    pub is_element: bool,
}

/// Marks a free slot of a hash table.
pub const EMPTY: u16 = u16::MAX;

impl Type {
    /// Describes a struct: the fields of its line, behind the id if it is boxed. It stands in no vector.
    pub const fn of_line(constructor: &'static Constructor, boxed: bool) -> Self {
        let least = constructor.least + if boxed { 4 } else { 0 };
        let constructors = core::slice::from_ref(constructor);
        let plain = Self::plain::<()>(constructor.names, least, boxed, constructors, &NO_SLOTS, false);
        Self { is_struct: true, size: constructor.size, align: constructor.align, ..plain }
    }

    /// Describes a struct that stands bare in another object or in a vector: the fields of a constructor, without its id.
    ///
    /// Nothing of the constructor is looked up, because its own rows may depend on this type.
    pub const fn bare<T>(name: &'static str, least: u32, constructor: &'static Constructor) -> Self {
        let constructors = core::slice::from_ref(constructor);
        assert_slices::<T>();
        let plain = Self::plain::<T>(name, least, false, constructors, &NO_SLOTS, true);
        Self { is_struct: true, ..plain }
    }

    /// Describes an enum by its form.
    pub const fn of_enum(form: &Form, constructors: &'static [Constructor], slots: &'static [u16]) -> Self {
        let Form { name, least, size, align, is_element, .. } = *form;
        // `repr(C, u32)` is a C struct of the discriminant and a C union of the payloads. Its alignment is the
        // larger of both alignments, which is also where the union starts.
        let payload = if form.is_tagged { align } else { 0 };
        let plain = Self::plain::<()>(name, least, true, constructors, slots, is_element);
        Self { size, align, payload, ..plain }
    }

    /// Describes a value that is not an object, such as an `int` or a vector.
    pub const fn value<T>(name: &'static str, field: Field) -> Self {
        assert_slices::<T>();
        Self {
            value: Some(field),
            ..Self::plain::<T>(name, least_of(field.kind), false, &[], &NO_SLOTS, true)
        }
    }

    const fn plain<T>(
        name: &'static str,
        least: u32,
        boxed: bool,
        constructors: &'static [Constructor],
        slots: &'static [u16],
        is_element: bool,
    ) -> Self {
        assert!(align_of::<T>() <= MAX_ALIGN, "no TL type is aligned to more than 8 bytes");
        assert!(slots.len().is_power_of_two() && slots.len() >= 2);
        assert!(slots.len() > constructors.len(), "a look-up ends at a free slot");
        Self {
            name,
            size: size_of::<T>() as u32,
            align: align_of::<T>() as u32,
            payload: 0,
            is_struct: false,
            least,
            boxed,
            shift: 32 - slots.len().trailing_zeros(),
            constructors,
            slots,
            value: None,
            is_element,
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

    /// Describes a vector of these values.
    pub const fn list_field(&'static self) -> Field {
        let kind = match self.value {
            Some(Field { kind: Kind::Int, .. }) => Kind::ListInt,
            Some(Field { kind: Kind::Long, .. }) => Kind::ListLong,
            Some(Field { kind: Kind::Double, .. }) => Kind::ListDouble,
            Some(Field { kind: Kind::Bool, .. }) => Kind::ListBool,
            Some(Field { kind: Kind::Str, .. }) => Kind::ListStr,
            Some(Field { kind: Kind::Bytes, .. }) => Kind::ListBytes,
            Some(Field { kind: Kind::Int128, .. }) => Kind::ListInt128,
            Some(Field { kind: Kind::Int256, .. }) => Kind::ListInt256,
            _ => Kind::ListObject,
        };
        Field { target: Some(self), ..Field::new(kind, 0) }
    }

    /// Finds the alternative with this id.
    #[inline]
    pub fn find(&self, id: u32) -> Option<&'static Constructor> {
        if let [only] = self.constructors {
            return (only.id == id).then_some(only);
        }
        let mut slot = hash(id, self.shift);
        loop {
            let constructor =
                self.constructors.get(usize::from(self.slots[slot & (self.slots.len() - 1)]))?;
            if constructor.id == id {
                return Some(constructor);
            }
            slot += 1;
        }
    }

    /// Finds the alternative with this discriminant.
    #[inline]
    pub fn tagged_as(&self, tag: u32) -> Option<&'static Constructor> {
        self.constructors.get(tag as usize)
    }
}

/// Of a type with one alternative at most, where [`Type::find`] does not look for a slot.
const NO_SLOTS: [u16; 2] = [EMPTY; 2];

const fn hash(id: u32, shift: u32) -> usize {
    (id.wrapping_mul(0x9e37_79b1) >> shift) as usize
}

/// Builds the hash tables of these types, one behind the other.
///
/// # Panics
///
/// Panics, at compile time, if their length is not `N`.
pub const fn slots<const N: usize>(parts: &[&[Form]], constructors: &[Constructor]) -> [u16; N] {
    let mut slots = [EMPTY; N];
    let (mut part, mut first, mut begin) = (0, 0, 0);
    while part < parts.len() {
        let mut form = 0;
        while form < parts[part].len() {
            let count = parts[part][form].constructors as usize;
            let (len, mut index) = (parts[part][form].slots(), 0);
            // Without slots nothing is looked up.
            let shift = if len == 0 { 0 } else { 32 - len.trailing_zeros() };
            while len > 0 && index < count {
                let mut slot = hash(constructors[first + index].id, shift);
                while slots[begin + (slot & (len - 1))] != EMPTY {
                    slot += 1;
                }
                slots[begin + (slot & (len - 1))] = index as u16;
                index += 1;
            }
            (form, first, begin) = (form + 1, first + count, begin + len);
        }
        part += 1;
    }
    assert!(begin == N);
    slots
}

/// What generated code says about a type besides its constructors.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    name: &'static str,
    /// Length of the shortest encoding. It is given, not looked up: to look into its alternatives would take an endless
    /// loop where types contain each other.
    least: u32,
    constructors: u32,
    /// Whether a discriminant stands in front of the payload.
    is_tagged: bool,
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
        Self { name, least, constructors, is_tagged: constructors > 1, size, align, is_element: false }
    }

    /// Describes the enum of all functions, which has a discriminant whatever their number (`repr(C, u32)`).
    pub const fn calls<T>(name: &'static str, constructors: usize) -> Self {
        Self { is_tagged: true, ..Self::new::<T>(name, 4, constructors as u32) }
    }

    /// Describes a type whose values stand in vectors, otherwise as [`new`](Self::new).
    pub const fn element<T>(name: &'static str, least: u32, constructors: u32) -> Self {
        assert_slices::<T>();
        Self { is_element: true, ..Self::new::<T>(name, least, constructors) }
    }

    /// Returns the length of the hash table of the alternatives; 0 if there is no discriminant.
    pub const fn slots(&self) -> usize {
        match self.constructors {
            _ if !self.is_tagged => 0,
            0 => 2,
            count => (2 * count as usize).next_power_of_two(),
        }
    }
}

/// Describes types, whose constructors and hash tables follow each other.
///
/// # Panics
///
/// Panics, at compile time, if they are not `N`, or if constructors or slots are left over.
pub const fn types<const N: usize>(
    parts: &[&[Form]],
    constructors: &'static [Constructor],
    slots: &'static [u16],
) -> [Type; N] {
    let mut types = [const { Type::plain::<()>("", 0, false, &[], &NO_SLOTS, false) }; N];
    let (mut part, mut index, mut constructor, mut slot) = (0, 0, 0, 0);
    while part < parts.len() {
        let (forms, mut form) = (parts[part], 0);
        while form < forms.len() {
            let (count, len) = (forms[form].constructors as usize, forms[form].slots());
            let own = part_of(constructors, constructor, count);
            let own_slots = if len == 0 { &NO_SLOTS } else { part_of(slots, slot, len) };
            types[index] = Type::of_enum(&forms[form], own, own_slots);
            (constructor, slot) = (constructor + count, slot + len);
            (form, index) = (form + 1, index + 1);
        }
        part += 1;
    }
    assert!(index == N && constructor == constructors.len() && slot == slots.len());
    types
}

/// Counts the alternatives of several tables.
pub const fn count(parts: &[&[Constructor]]) -> usize {
    let (mut count, mut part) = (0, 0);
    while part < parts.len() {
        count += parts[part].len();
        part += 1;
    }
    count
}

/// Makes the alternatives of several tables those of one type. Their discriminants begin at 0.
///
/// # Panics
///
/// Panics, at compile time, if `N` is not their number.
pub const fn concat<const N: usize>(parts: &[&[Constructor]]) -> [Constructor; N] {
    let mut all = [NOTHING; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[at] = parts[part][index];
            all[at].tag = at as u32;
            at += 1;
            index += 1;
        }
        part += 1;
    }
    assert!(at == N);
    all
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
