//! Rows: the fields of constructors and functions.

use super::kind::Kind;

/// One row: a field of a constructor, in the order of the wire.
///
/// The generator prints a row as 8 bytes, in this order, numbers with the lowest byte first; for the offset it prints zeros,
/// since that depends on the machine (`layout`).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Field {
    /// What the field is.
    pub(super) kind: Kind,
    /// Which bit of the flags words says whether the field is there: 0 to 31 of the first one, 32 to 63 of the second one,
    /// and so on. For [`Kind::Word`]: its first bit. Of a field without a condition: 0.
    pub(super) condition: u8,
    /// When the decoder looks at the row: under its condition, or [`ALWAYS`](Self::ALWAYS). To that, [`Kind::Word`] adds how
    /// many of the rows behind it are its own, up to and with the next one of its kind, or 127 if there are more.
    pub(super) visit: u8,
    /// Whether a vector stands without its id on the wire.
    pub(super) bare: bool,
    /// Where the field stands in the struct, in bytes. For [`Kind::Word`]: the lower half of the bits that are known.
    pub(super) offset: u16,
    /// Which type is that of the field or of the elements, for the kinds with `Object` in their name. For [`Kind::Word`]: the
    /// upper half of the bits that are known.
    pub(super) target: u16,
}

impl Field {
    /// Instead of a condition: this number or a larger one.
    pub const ALWAYS: u8 = 128;

    /// Describes a value that stands alone. Its type, if it has one, is the first one of its tables.
    pub(super) const fn alone(kind: Kind) -> Self {
        Self { kind, condition: 0, visit: Self::ALWAYS, bare: false, offset: 0, target: 0 }
    }

    /// Returns what the field is.
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// Returns whether a vector stands without its id on the wire.
    pub const fn is_bare(self) -> bool {
        self.bare
    }

    /// Returns where the field stands in the struct, in bytes. A flags word stands nowhere.
    #[inline(always)]
    pub const fn offset(self) -> usize {
        self.offset as usize
    }

    /// Returns which bits of this flags word have a meaning.
    #[inline(always)]
    pub const fn known(self) -> u32 {
        (self.target as u32) << 16 | self.offset as u32
    }

    /// Returns which flags word of the constructor holds the bit that says whether the field is there, 0 to 3. For
    /// [`Kind::Word`]: which one this is.
    pub const fn word(self) -> u8 {
        self.condition >> 5
    }

    /// Returns which bit of the flags word says whether the field is there, 0 to 31.
    pub const fn bit(self) -> u8 {
        self.condition & 31
    }

    /// Returns whether a flag bit says that the field is there, or is its value.
    pub const fn is_conditional(self) -> bool {
        self.kind.is_optional() || matches!(self.kind, Kind::Flag)
    }
}
