//! Kinds of rows: what a field is on the wire and in memory.

use crate::Int512;

/// What a field is, on the wire and in memory.
///
/// `Opt` kinds are present if their flag bit is set; in memory they are an `Option`. `List` kinds are
/// vectors; in memory they are a slice.
///
/// Generated code has their numbers, so a change of the order is a change of
/// [`assert_version`](crate::codegen::assert_version).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `#` on the wire, nothing in memory.
    Word,
    /// `flags.N?true`: nothing on the wire, `bool` in memory.
    Flag,
    /// `#`: `u32`.
    Nat,
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
    /// `int512`: `Int512`.
    Int512,
    /// Any other type, by value.
    Object,
    /// `Option<u32>`.
    OptNat,
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
    /// `Option<Int512>`.
    OptInt512,
    /// `Option<&T>`.
    OptObject,
    /// `&[u32]`.
    ListNat,
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
    /// `&[Int512]`.
    ListInt512,
    /// `&[T]`.
    ListObject,
    /// `Option<&[u32]>`.
    OptListNat,
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
    /// `Option<&[Int512]>`.
    OptListInt512,
    /// `Option<&[T]>`.
    OptListObject,
    /// `!X`: all that is left of the input, as `RawObject`.
    Query,
}

impl Kind {
    /// Returns whether the field is a vector.
    #[cfg(feature = "serde")]
    pub(super) const fn is_list(self) -> bool {
        self as u8 >= Self::ListNat as u8 && self as u8 <= Self::OptListObject as u8
    }

    /// Returns whether the field is a vector that is always there.
    pub(super) const fn is_slice(self) -> bool {
        self as u8 >= Self::ListNat as u8 && self as u8 <= Self::ListObject as u8
    }

    /// Returns what is in the vector, or in the `Option`.
    #[cfg(feature = "serde")]
    pub(super) const fn element(self) -> Self {
        match self {
            Self::Nat | Self::OptNat | Self::ListNat | Self::OptListNat => Self::Nat,
            Self::Int | Self::OptInt | Self::ListInt | Self::OptListInt => Self::Int,
            Self::Long | Self::OptLong | Self::ListLong | Self::OptListLong => Self::Long,
            Self::Double | Self::OptDouble | Self::ListDouble | Self::OptListDouble => Self::Double,
            Self::Flag | Self::Bool | Self::OptBool | Self::ListBool | Self::OptListBool => Self::Bool,
            Self::Str | Self::OptStr | Self::ListStr | Self::OptListStr => Self::Str,
            Self::Bytes | Self::OptBytes | Self::ListBytes | Self::OptListBytes => Self::Bytes,
            Self::Int128 | Self::OptInt128 | Self::ListInt128 | Self::OptListInt128 => Self::Int128,
            Self::Int256 | Self::OptInt256 | Self::ListInt256 | Self::OptListInt256 => Self::Int256,
            Self::Int512 | Self::OptInt512 | Self::ListInt512 | Self::OptListInt512 => Self::Int512,
            Self::Object | Self::OptObject | Self::ListObject | Self::OptListObject => Self::Object,
            Self::Word | Self::Query => Self::Query,
        }
    }

    /// Returns the length of the longest encoding of the row in bytes, if there is one.
    pub(super) const fn most(self) -> Option<usize> {
        Some(match self {
            Self::Flag => 0,
            Self::Word | Self::Nat | Self::OptNat | Self::Int | Self::OptInt | Self::Bool | Self::OptBool => {
                4
            }
            Self::Long | Self::OptLong | Self::Double | Self::OptDouble => 8,
            Self::Int128 | Self::OptInt128 => 16,
            Self::Int256 | Self::OptInt256 => 32,
            Self::Int512 | Self::OptInt512 => 64,
            _ => return None,
        })
    }

    /// Returns whether the Rust type is an `Option`.
    pub const fn is_optional(self) -> bool {
        (self as u8 >= Self::OptNat as u8 && self as u8 <= Self::OptObject as u8)
            || (self as u8 >= Self::OptListNat as u8 && self as u8 <= Self::OptListObject as u8)
    }

    /// All kinds, by their numbers.
    const ALL: [Self; Self::COUNT] = [
        Self::Word,
        Self::Flag,
        Self::Nat,
        Self::Int,
        Self::Long,
        Self::Double,
        Self::Bool,
        Self::Str,
        Self::Bytes,
        Self::Int128,
        Self::Int256,
        Self::Int512,
        Self::Object,
        Self::OptNat,
        Self::OptInt,
        Self::OptLong,
        Self::OptDouble,
        Self::OptBool,
        Self::OptStr,
        Self::OptBytes,
        Self::OptInt128,
        Self::OptInt256,
        Self::OptInt512,
        Self::OptObject,
        Self::ListNat,
        Self::ListInt,
        Self::ListLong,
        Self::ListDouble,
        Self::ListBool,
        Self::ListStr,
        Self::ListBytes,
        Self::ListInt128,
        Self::ListInt256,
        Self::ListInt512,
        Self::ListObject,
        Self::OptListNat,
        Self::OptListInt,
        Self::OptListLong,
        Self::OptListDouble,
        Self::OptListBool,
        Self::OptListStr,
        Self::OptListBytes,
        Self::OptListInt128,
        Self::OptListInt256,
        Self::OptListInt512,
        Self::OptListObject,
        Self::Query,
    ];

    /// Returns whether the row has a type of its own: that of the field, or of the elements.
    pub(super) const fn has_target(self) -> bool {
        matches!(self, Self::Object | Self::OptObject | Self::ListObject | Self::OptListObject)
    }

    /// How many kinds there are.
    pub(super) const COUNT: usize = Self::Query as usize + 1;

    /// Size and alignment in memory, in bytes. [`Word`](Self::Word) takes no memory; [`Object`](Self::Object) takes
    /// what its type takes.
    pub(super) const fn memory(self) -> (u32, u32) {
        match self {
            Self::Word | Self::Object => (0, 1),
            Self::Flag | Self::Bool => of::<bool>(),
            Self::Nat => of::<u32>(),
            Self::Int => of::<i32>(),
            Self::Long => of::<i64>(),
            Self::Double => of::<f64>(),
            Self::Str | Self::Bytes => of::<&[u8]>(),
            Self::Int128 => of::<[u8; 16]>(),
            Self::Int256 => of::<[u8; 32]>(),
            Self::Int512 => of::<Int512>(),
            Self::OptNat => of::<Option<u32>>(),
            Self::OptInt => of::<Option<i32>>(),
            Self::OptLong => of::<Option<i64>>(),
            Self::OptDouble => of::<Option<f64>>(),
            Self::OptBool => of::<Option<bool>>(),
            Self::OptStr | Self::OptBytes => of::<Option<&[u8]>>(),
            Self::OptInt128 => of::<Option<[u8; 16]>>(),
            Self::OptInt256 => of::<Option<[u8; 32]>>(),
            Self::OptInt512 => of::<Option<Int512>>(),
            Self::OptObject => of::<Option<&u64>>(),
            Self::Query => of::<super::RawObject<'_>>(),
            kind if kind.is_optional() => of::<Option<&[u64]>>(),
            _ => of::<&[u64]>(),
        }
    }
}

/// What is to be known of a kind to lay a struct out.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    /// Size in bytes.
    pub(super) size: u32,
    /// Alignment less 1: the bits of an offset that are zero; or [`NOWHERE`](Self::NOWHERE).
    pub(super) low: u32,
    /// What the size and the row have to do with the type of the row.
    pub(super) target: u8,
}

impl Memory {
    /// Of a flags word.
    pub(super) const NOWHERE: u32 = u32::MAX;
    pub(super) const NO_TARGET: u8 = 0;
    /// The field is a value of the type.
    pub(super) const BY_VALUE: u8 = 1;
    /// The type is that of the elements.
    pub(super) const OF_ELEMENTS: u8 = 2;
    /// The field refers to a value of the type.
    const BY_REFERENCE: u8 = 3;

    /// By the numbers of the kinds.
    pub(super) const OF_KINDS: [Self; Kind::COUNT] = {
        let mut all = [Self { size: 0, low: Self::NOWHERE, target: Self::NO_TARGET }; Kind::COUNT];
        let mut number = 0;
        while number < all.len() {
            let kind = Kind::ALL[number];
            let (size, align) = kind.memory();
            let low = if matches!(kind, Kind::Word) { Self::NOWHERE } else { align - 1 };
            let target = match kind {
                Kind::Object => Self::BY_VALUE,
                Kind::ListObject | Kind::OptListObject => Self::OF_ELEMENTS,
                Kind::OptObject => Self::BY_REFERENCE,
                _ => Self::NO_TARGET,
            };
            all[number] = Self { size, low, target };
            number += 1;
        }
        all
    };
}

/// Size and alignment of a type.
const fn of<T>() -> (u32, u32) {
    (size_of::<T>() as u32, align_of::<T>() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_encodings_are_as_long_as_they_are_written() {
        use crate::Serializable as _;

        let fixed = [
            (Kind::Flag, Kind::Flag, 0),
            (Kind::Word, Kind::Word, 0_u32.serialized_len()),
            (Kind::Nat, Kind::OptNat, 0_u32.serialized_len()),
            (Kind::Int, Kind::OptInt, 0_i32.serialized_len()),
            (Kind::Long, Kind::OptLong, 0_i64.serialized_len()),
            (Kind::Double, Kind::OptDouble, 0_f64.serialized_len()),
            (Kind::Bool, Kind::OptBool, true.serialized_len()),
            (Kind::Int128, Kind::OptInt128, [0; 16].serialized_len()),
            (Kind::Int256, Kind::OptInt256, [0; 32].serialized_len()),
            (Kind::Int512, Kind::OptInt512, Int512::default().serialized_len()),
        ];
        for (kind, optional, len) in fixed {
            assert_eq!((kind.most(), optional.most()), (Some(len), Some(len)), "{kind:?}");
        }
        let is_fixed = |kind: &Kind| fixed.iter().any(|(one, optional, _)| kind == one || kind == optional);
        assert!(Kind::ALL.iter().all(|kind| kind.most().is_some() == is_fixed(kind)));
    }

    #[test]
    fn kinds_stand_in_the_list_at_their_numbers() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }
}
