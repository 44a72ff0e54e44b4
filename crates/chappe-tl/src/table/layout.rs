//! The tables: what the interpreter knows about a generated type.
//!
//! A [`Type`] is a TL type, a [`Constructor`] one of its alternatives, a [`Field`] one row of a
//! constructor. Generated crates build all three in `static`s. Structs are `repr(C)`, so their offsets follow from
//! their rows; what follows is compared with `size_of` when the table is built.
//!
//! Nothing here is unsafe: a table is a claim. The claim is made by the `unsafe impl` of
//! [`Described`](super::Described) that names the table, and acted upon in `raw.rs`.

use super::raw::ListOps;

/// What a field is, on the wire and in memory.
///
/// `Opt` kinds are present if their flag bit is set; in memory they are an `Option`. `List` kinds are
/// vectors; in memory they are a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `#` on the wire, nothing in memory.
    Word,
    /// `flags.N?true`: nothing on the wire, `bool` in memory.
    Flag,
    /// `int`: `i32`.
    Int,
    /// `long`: `i64`.
    Long,
    /// `double`: `f64`.
    Double,
    /// `Bool`: `bool`.
    Bool,
    /// `string`: `&str`.
    Str,
    /// `bytes`: `&[u8]`.
    Bytes,
    /// `int128`: `[u8; 16]`.
    Int128,
    /// `int256`: `[u8; 32]`.
    Int256,
    /// Any other type, by value.
    Object,
    /// `Option<i32>`.
    OptInt,
    /// `Option<i64>`.
    OptLong,
    /// `Option<f64>`.
    OptDouble,
    /// `Option<bool>`.
    OptBool,
    /// `Option<&str>`.
    OptStr,
    /// `Option<&[u8]>`.
    OptBytes,
    /// `Option<[u8; 16]>`.
    OptInt128,
    /// `Option<[u8; 32]>`.
    OptInt256,
    /// `Option<&T>`.
    OptObject,
    /// `&[i32]`.
    ListInt,
    /// `&[i64]`.
    ListLong,
    /// `&[f64]`.
    ListDouble,
    /// `&[bool]`.
    ListBool,
    /// `&[&str]`.
    ListStr,
    /// `&[&[u8]]`.
    ListBytes,
    /// `&[[u8; 16]]`.
    ListInt128,
    /// `&[[u8; 32]]`.
    ListInt256,
    /// `&[T]`.
    ListObject,
    /// `Option<&[i32]>`.
    OptListInt,
    /// `Option<&[i64]>`.
    OptListLong,
    /// `Option<&[f64]>`.
    OptListDouble,
    /// `Option<&[bool]>`.
    OptListBool,
    /// `Option<&[&str]>`.
    OptListStr,
    /// `Option<&[&[u8]]>`.
    OptListBytes,
    /// `Option<&[[u8; 16]]>`.
    OptListInt128,
    /// `Option<&[[u8; 32]]>`.
    OptListInt256,
    /// `Option<&[T]>`.
    OptListObject,
    /// `!X`: all that is left of the input, as `RawObject`.
    Query,
}

impl Kind {
    /// Returns whether the field is a vector.
    #[cfg(feature = "serde")]
    pub(super) const fn is_list(self) -> bool {
        self as u8 >= Self::ListInt as u8 && self as u8 <= Self::OptListObject as u8
    }

    /// Returns what stands in the vector, or in the `Option`.
    #[cfg(feature = "serde")]
    pub(super) const fn element(self) -> Self {
        match self {
            Self::Int | Self::OptInt | Self::ListInt | Self::OptListInt => Self::Int,
            Self::Long | Self::OptLong | Self::ListLong | Self::OptListLong => Self::Long,
            Self::Double | Self::OptDouble | Self::ListDouble | Self::OptListDouble => Self::Double,
            Self::Flag | Self::Bool | Self::OptBool | Self::ListBool | Self::OptListBool => Self::Bool,
            Self::Str | Self::OptStr | Self::ListStr | Self::OptListStr => Self::Str,
            Self::Bytes | Self::OptBytes | Self::ListBytes | Self::OptListBytes => Self::Bytes,
            Self::Int128 | Self::OptInt128 | Self::ListInt128 | Self::OptListInt128 => Self::Int128,
            Self::Int256 | Self::OptInt256 | Self::ListInt256 | Self::OptListInt256 => Self::Int256,
            Self::Object | Self::OptObject | Self::ListObject | Self::OptListObject => Self::Object,
            Self::Word | Self::Query => Self::Query,
        }
    }

    /// Returns whether the Rust type is an `Option`.
    pub const fn is_optional(self) -> bool {
        (self as u8 >= Self::OptInt as u8 && self as u8 <= Self::OptObject as u8)
            || (self as u8 >= Self::OptListInt as u8 && self as u8 <= Self::OptListObject as u8)
    }
}

/// One row: a field of a constructor, in the order of the wire.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What the field is.
    pub kind: Kind,
    /// The bit that says whether the field is there, 0 to 31. Of a vector without a condition: unused.
    pub bit: u8,
    /// Which flags word of the constructor holds the bit, 0 to 3. For [`Kind::Word`]: which one this is.
    pub word: u8,
    /// Whether a vector stands without its id on the wire.
    pub bare: bool,
    /// Where the field stands in the struct, in bytes. For [`Kind::Word`]: the bits that are known.
    pub offset: u32,
    /// The type of the field or of the elements, for the kinds with `Object` in their name.
    pub target: Option<&'static Type>,
}

impl Field {
    /// Describes a value that stands alone.
    pub const fn new(kind: Kind, offset: usize) -> Self {
        Self { kind, bit: 0, word: 0, bare: false, offset: offset as u32, target: None }
    }

    /// Returns whether a flag bit says that the field is there, or is its value.
    pub const fn is_conditional(&self) -> bool {
        self.kind.is_optional() || matches!(self.kind, Kind::Flag)
    }

    /// Size and alignment of the field in memory.
    const fn memory(&self) -> (usize, usize) {
        match self.kind {
            Kind::Word => (0, 1),
            Kind::Flag | Kind::Bool => of::<bool>(),
            Kind::Int => of::<i32>(),
            Kind::Long => of::<i64>(),
            Kind::Double => of::<f64>(),
            Kind::Str | Kind::Bytes => of::<&[u8]>(),
            Kind::Int128 => of::<[u8; 16]>(),
            Kind::Int256 => of::<[u8; 32]>(),
            Kind::OptInt => of::<Option<i32>>(),
            Kind::OptLong => of::<Option<i64>>(),
            Kind::OptDouble => of::<Option<f64>>(),
            Kind::OptBool => of::<Option<bool>>(),
            Kind::OptStr | Kind::OptBytes => of::<Option<&[u8]>>(),
            Kind::OptInt128 => of::<Option<[u8; 16]>>(),
            Kind::OptInt256 => of::<Option<[u8; 32]>>(),
            Kind::OptObject => of::<Option<&u64>>(),
            Kind::Query => of::<super::RawObject<'_>>(),
            Kind::Object => match self.target {
                Some(target) => (target.size as usize, target.align as usize),
                None => panic!("an object without a type"),
            },
            kind if kind.is_optional() => of::<Option<&[u64]>>(),
            _ => of::<&[u64]>(),
        }
    }
}

/// Size and alignment of a type.
const fn of<T>() -> (usize, usize) {
    (size_of::<T>(), align_of::<T>())
}

/// Reads rows from their description, which generated code can say in few words.
///
/// A row is one or more letters, rows are separated by spaces, constructors by bars:
///
/// | letters | row |
/// |---|---|
/// | `#` | a flags word; the first one is word 0 |
/// | `1.5!` | `true` if bit 5 of word 1 is set |
/// | `i` `l` `d` `b` `s` `y` `h` `w` | `int`, `long`, `double`, `Bool`, `string`, `bytes`, `int128`, `int256` |
/// | `o` | an object; its type is the next of `targets` |
/// | `q` | an encoded function |
/// | `*i`, `:i` | a vector with its id, and without |
/// | `1.5i`, `1.5*i` | the same, if bit 5 of word 1 is set |
///
/// Each row but a flags word is a field of a `repr(C)` struct, in this order, so its offset follows from the fields
/// before it: it is their end, rounded up to the alignment of the field (Reference, "The C representation").
///
/// # Panics
///
/// Panics, at compile time, if the description is not of `N` rows that use up the targets.
pub const fn rows<const N: usize>(text: &str, targets: &[&'static Type]) -> [Field; N] {
    let text = text.as_bytes();
    let mut rows = [Field::new(Kind::Word, 0); N];
    let (mut at, mut row, mut end, mut target, mut words) = (0, 0, 0_u32, 0, 0);
    while at < text.len() {
        if text[at] == b'|' {
            (end, words, at) = (0, 0, at + 1);
            continue;
        }
        let mut field = Field::new(Kind::Word, 0);
        let mut shape = Shape { optional: false, list: false };
        if text[at].is_ascii_digit() {
            (shape.optional, field.word) = (true, text[at] - b'0');
            at += 2;
            while text[at].is_ascii_digit() {
                field.bit = field.bit * 10 + text[at] - b'0';
                at += 1;
            }
        }
        if text[at] == b'*' || text[at] == b':' {
            (shape.list, field.bare) = (true, text[at] == b':');
            at += 1;
        }
        field.kind = shape.kind(text[at]);
        if text[at] == b'o' {
            field.target = Some(targets[target]);
            target += 1;
        }
        if matches!(field.kind, Kind::Word) {
            field.word = words;
            words += 1;
        } else {
            let (size, align) = field.memory();
            let offset = (end as usize).next_multiple_of(align);
            field.offset = offset as u32;
            end = (offset + size) as u32;
        }
        rows[row] = field;
        row += 1;
        at += if at + 1 < text.len() && text[at + 1] == b' ' { 2 } else { 1 };
    }
    assert!(row == N && target == targets.len() && words <= 4);
    with_known_bits(rows)
}

/// Notes in each flags word which of its bits have a meaning.
const fn with_known_bits<const N: usize>(mut rows: [Field; N]) -> [Field; N] {
    let mut row = 0;
    while row < N {
        if rows[row].kind.is_optional() || matches!(rows[row].kind, Kind::Flag) {
            // The last one before it: a flags word stands before what depends on it.
            let mut word = row;
            while !matches!(rows[word].kind, Kind::Word) || rows[word].word != rows[row].word {
                word -= 1;
            }
            rows[word].offset |= 1 << rows[row].bit;
        }
        row += 1;
    }
    rows
}

/// What stands around the letter of a row.
struct Shape {
    optional: bool,
    list: bool,
}

impl Shape {
    const fn kind(&self, letter: u8) -> Kind {
        match (letter, self.list, self.optional) {
            (b'#', ..) => Kind::Word,
            (b'!', ..) => Kind::Flag,
            (b'q', ..) => Kind::Query,
            (b'i', false, false) => Kind::Int,
            (b'i', false, true) => Kind::OptInt,
            (b'i', true, false) => Kind::ListInt,
            (b'i', true, true) => Kind::OptListInt,
            (b'l', false, false) => Kind::Long,
            (b'l', false, true) => Kind::OptLong,
            (b'l', true, false) => Kind::ListLong,
            (b'l', true, true) => Kind::OptListLong,
            (b'd', false, false) => Kind::Double,
            (b'd', false, true) => Kind::OptDouble,
            (b'd', true, false) => Kind::ListDouble,
            (b'd', true, true) => Kind::OptListDouble,
            (b'b', false, false) => Kind::Bool,
            (b'b', false, true) => Kind::OptBool,
            (b'b', true, false) => Kind::ListBool,
            (b'b', true, true) => Kind::OptListBool,
            (b's', false, false) => Kind::Str,
            (b's', false, true) => Kind::OptStr,
            (b's', true, false) => Kind::ListStr,
            (b's', true, true) => Kind::OptListStr,
            (b'y', false, false) => Kind::Bytes,
            (b'y', false, true) => Kind::OptBytes,
            (b'y', true, false) => Kind::ListBytes,
            (b'y', true, true) => Kind::OptListBytes,
            (b'h', false, false) => Kind::Int128,
            (b'h', false, true) => Kind::OptInt128,
            (b'h', true, false) => Kind::ListInt128,
            (b'h', true, true) => Kind::OptListInt128,
            (b'w', false, false) => Kind::Int256,
            (b'w', false, true) => Kind::OptInt256,
            (b'w', true, false) => Kind::ListInt256,
            (b'w', true, true) => Kind::OptListInt256,
            (b'o', false, false) => Kind::Object,
            (b'o', false, true) => Kind::OptObject,
            (b'o', true, false) => Kind::ListObject,
            (b'o', true, true) => Kind::OptListObject,
            _ => panic!("a row that nobody knows"),
        }
    }
}

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

/// What generated code says about a constructor besides its rows: its id, whether its variant holds a reference, the
/// least number of bytes of its fields on the wire, the number of its rows, and the names.
pub type Line = (u32, bool, u32, usize, &'static str);

/// Describes constructors, whose rows follow each other in `rows`. The first one has this discriminant, and each other
/// one the next.
///
/// # Panics
///
/// Panics, at compile time, if there are not as many rows as the lines say.
pub const fn constructors<const N: usize>(
    first: u32,
    mut rows: &'static [Field],
    lines: [Line; N],
) -> [Constructor; N] {
    let mut constructors = [NOTHING; N];
    let mut index = 0;
    while index < N {
        let (id, is_reference, least, count, names) = lines[index];
        let (fields, behind) = rows.split_at(count);
        rows = behind;
        let (size, align) = size_of_struct(fields);
        constructors[index] = Constructor {
            id,
            tag: first + index as u32,
            payload: if is_reference { Payload::Reference } else { Payload::Value },
            size,
            align,
            least,
            names,
            fields,
        };
        index += 1;
    }
    assert!(rows.is_empty());
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

/// Size and alignment of a `repr(C)` struct: it ends behind its last field, at a multiple of the largest alignment.
const fn size_of_struct(fields: &[Field]) -> (u32, u32) {
    let (mut end, mut largest, mut index) = (0, 1, 0);
    while index < fields.len() {
        let (size, align) = fields[index].memory();
        if size != 0 {
            end = fields[index].offset as usize + size;
        }
        if align > largest {
            largest = align;
        }
        index += 1;
    }
    assert!(largest <= MAX_ALIGN, "no TL type is aligned to more than 8 bytes");
    (end.next_multiple_of(largest) as u32, largest as u32)
}

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
    /// Writes and reads slices of these values.
    pub list: ListOps,
}

/// Marks a free slot of a hash table.
pub const EMPTY: u16 = u16::MAX;

impl Type {
    /// Describes an enum whose discriminant is an `u32` in front of the payload (`repr(C, u32)`, or
    /// `repr(u32)` where no variant has fields).
    ///
    /// `least` is the length of the shortest encoding. It is given, not looked up: to look into its alternatives would
    /// take an endless loop where types contain each other.
    pub const fn tagged<T>(
        name: &'static str,
        least: u32,
        constructors: &'static [Constructor],
        slots: &'static [u16],
        list: ListOps,
    ) -> Self {
        // `repr(C, u32)` is a C struct of the discriminant and a C union of the payloads. Its alignment is the
        // larger of both alignments, which is also where the union starts.
        let payload = align_of::<T>() as u32;
        Self { payload, ..Self::plain::<T>(name, least, true, constructors, slots, list) }
    }

    /// Describes an enum with one variant (`repr(transparent)`, or without a field at all) or a function.
    pub const fn single<T>(
        name: &'static str,
        least: u32,
        constructor: &'static Constructor,
        list: ListOps,
    ) -> Self {
        Self::plain::<T>(name, least, true, core::slice::from_ref(constructor), &NO_SLOTS, list)
    }

    /// Describes a struct: the fields of a constructor, without its id.
    pub const fn bare<T>(
        name: &'static str,
        least: u32,
        constructor: &'static Constructor,
        list: ListOps,
    ) -> Self {
        Self {
            is_struct: true,
            ..Self::plain::<T>(name, least, false, core::slice::from_ref(constructor), &NO_SLOTS, list)
        }
    }

    /// Describes the structs of these constructors: their fields, without their ids. None stands in a vector.
    pub const fn structs<const N: usize>(constructors: &'static [Constructor; N]) -> [Self; N] {
        Self::alone(constructors, false)
    }

    /// Describes these functions: their ids and their fields.
    pub const fn calls<const N: usize>(constructors: &'static [Constructor; N]) -> [Self; N] {
        Self::alone(constructors, true)
    }

    const fn alone<const N: usize>(constructors: &'static [Constructor; N], boxed: bool) -> [Self; N] {
        let mut types = [const { Self::plain::<()>("", 0, false, &[], &NO_SLOTS, ListOps::NONE) }; N];
        let mut index = 0;
        while index < N {
            let one = &constructors[index];
            types[index].is_struct = true;
            types[index].size = one.size;
            types[index].align = one.align;
            types[index].boxed = boxed;
            types[index].least = if boxed { one.least + 4 } else { one.least };
            types[index].constructors = core::slice::from_ref(one);
            types[index].name = one.names;
            index += 1;
        }
        types
    }

    /// Describes a value that is not an object, such as an `int` or a vector.
    pub const fn value<T>(name: &'static str, field: Field, list: ListOps) -> Self {
        Self {
            value: Some(field),
            ..Self::plain::<T>(name, least_of(field.kind), false, &[], &NO_SLOTS, list)
        }
    }

    const fn plain<T>(
        name: &'static str,
        least: u32,
        boxed: bool,
        constructors: &'static [Constructor],
        slots: &'static [u16],
        list: ListOps,
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
            list,
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
        Field { kind, bit: 0, word: 0, bare: false, offset: 0, target: Some(self) }
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
        match self.constructors.get(tag as usize) {
            Some(constructor) if constructor.tag == tag => Some(constructor),
            _ => self.constructors.iter().find(|constructor| constructor.tag == tag),
        }
    }
}

/// Of a type with one alternative at most, where [`Type::find`] does not look for a slot.
const NO_SLOTS: [u16; 2] = [EMPTY; 2];

const fn hash(id: u32, shift: u32) -> usize {
    (id.wrapping_mul(0x9e37_79b1) >> shift) as usize
}

/// Builds the hash table of these alternatives. `N` is a power of two above their number.
///
/// # Panics
///
/// Panics, at compile time, if `N` is not.
pub const fn slots<const N: usize>(constructors: &[Constructor]) -> [u16; N] {
    assert!(N.is_power_of_two() && N > constructors.len() && constructors.len() < EMPTY as usize);
    let mut slots = [EMPTY; N];
    let mut index = 0;
    while index < constructors.len() {
        let mut slot = hash(constructors[index].id, 32 - N.trailing_zeros());
        while slots[slot & (N - 1)] != EMPTY {
            slot += 1;
        }
        slots[slot & (N - 1)] = index as u16;
        index += 1;
    }
    slots
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

/// Puts the alternatives of several tables into one.
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
