//! Errors in the bytes of an object.

use core::fmt;

/// The position and field at which reading stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The constructor or type, as named in the schema. Empty if no generated type was involved.
    pub ty: &'static str,
    /// The field. Empty if the error is in the type itself.
    pub field: &'static str,
    /// Offset of the offending value from the start of the buffer, in bytes.
    pub offset: usize,
}

impl Place {
    /// Returns a place without type and field.
    pub(crate) const fn at(offset: usize) -> Self {
        Self { ty: "", field: "", offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.offset)?;
        match (self.ty, self.field) {
            ("", "") => Ok(()),
            (ty, "") => write!(f, " ({ty})"),
            ("", field) => write!(f, " (.{field})"),
            (ty, field) => write!(f, " ({ty}.{field})"),
        }
    }
}

/// Why bytes are not the encoding of the wanted type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    UnexpectedEof {
        /// Where the value begins.
        place: Place,
        /// The number of bytes that it needs.
        needed: usize,
        /// The number of bytes that remain.
        remaining: usize,
    },
    /// A boxed value begins with an id that is not one of the type's constructors.
    ///
    /// The object may be of another layer. Its bytes begin at `place.offset` and can be kept ([`DecodeError::unknown_object`]).
    ///
    /// Without a `name` the id is not in the schema. If this is the first answer on a connection, the usual cause is a client
    /// that did not send its layer: a server answers in the layer of `invokeWithLayer`, and in an old one if there was none.
    /// Clients of `chappe-net` send it when `ConnectOptions::with_init` was called.
    UnexpectedConstructor {
        /// The id.
        id: u32,
        /// The constructor or function that has this id, as named in the schema; `None` if the schema has none, or if no
        /// generated type was involved.
        name: Option<&'static str>,
        /// The wanted type, as named in the schema.
        wanted: &'static str,
        /// Where the id is.
        place: Place,
    },
    /// A vector's count is negative or more than the remaining bytes can hold.
    BadCount {
        /// Where the count is.
        place: Place,
        /// The announced number of elements.
        count: i32,
        /// The maximum number of elements in the remaining bytes.
        most: usize,
    },
    /// A string begins with `ff`, which is invalid.
    BadStringPrefix {
        /// Where the string begins.
        place: Place,
    },
    /// A string uses the long form although the short one suffices (strict reading only).
    LongStringForm {
        /// Where the string begins.
        place: Place,
        /// Its length in bytes.
        len: usize,
    },
    /// The padding of a string is not zero (strict reading only).
    NonZeroPadding {
        /// Where the padding begins.
        place: Place,
    },
    /// A `string` is not UTF-8 (strict reading only).
    InvalidUtf8 {
        /// Where the string's first byte is.
        place: Place,
        /// The length of its valid UTF-8 prefix in bytes.
        valid_up_to: usize,
    },
    /// A flags word has bits that are not in the schema (strict reading only).
    UnknownFlags {
        /// Where the word is.
        place: Place,
        /// The unknown bits.
        bits: u32,
    },
    /// Objects nest deeper than allowed.
    TooDeep {
        /// Where the first object beyond the limit begins.
        place: Place,
        /// The limit.
        limit: u16,
    },
    /// Bytes are left after the object.
    TrailingBytes {
        /// Where the object ends.
        place: Place,
        /// The number of bytes that follow.
        count: usize,
    },
}

impl DecodeError {
    /// Returns where reading stopped.
    pub const fn place(&self) -> Place {
        match self {
            Self::UnexpectedEof { place, .. }
            | Self::UnexpectedConstructor { place, .. }
            | Self::BadCount { place, .. }
            | Self::BadStringPrefix { place }
            | Self::LongStringForm { place, .. }
            | Self::NonZeroPadding { place }
            | Self::InvalidUtf8 { place, .. }
            | Self::UnknownFlags { place, .. }
            | Self::TooDeep { place, .. }
            | Self::TrailingBytes { place, .. } => *place,
        }
    }

    /// Returns the id of the unknown object and its bytes, up to the end of `input`.
    ///
    /// `input` is the input of the failed read. Returns `None` for other errors.
    pub fn unknown_object<'a>(&self, input: &'a [u8]) -> Option<(u32, &'a [u8])> {
        match self {
            Self::UnexpectedConstructor { id, place, .. } => Some((*id, input.get(place.offset..)?)),
            _ => None,
        }
    }

    /// Sets the name of an unexpected constructor, unless it is known.
    #[cold]
    #[must_use]
    pub fn named(mut self, name_of: impl FnOnce(u32) -> Option<&'static str>) -> Self {
        if let Self::UnexpectedConstructor { id, name, .. } = &mut self
            && name.is_none()
        {
            *name = name_of(*id);
        }
        self
    }

    /// Sets type and field unless an inner object did.
    #[cold]
    pub(crate) fn within(mut self, ty: &'static str, field: &'static str) -> Self {
        let place = self.place_mut();
        if place.ty.is_empty() {
            place.ty = ty;
            place.field = field;
        }
        self
    }

    const fn place_mut(&mut self) -> &mut Place {
        match self {
            Self::UnexpectedEof { place, .. }
            | Self::UnexpectedConstructor { place, .. }
            | Self::BadCount { place, .. }
            | Self::BadStringPrefix { place }
            | Self::LongStringForm { place, .. }
            | Self::NonZeroPadding { place }
            | Self::InvalidUtf8 { place, .. }
            | Self::UnknownFlags { place, .. }
            | Self::TooDeep { place, .. }
            | Self::TrailingBytes { place, .. } => place,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEof { place, needed, remaining } => {
                write!(f, "unexpected end {place}: {needed} bytes needed, {remaining} left")
            }
            Self::UnexpectedConstructor { id, name: Some(name), wanted, place } => {
                write!(f, "constructor {name}#{id:08x} is not one of {wanted} {place}")
            }
            Self::UnexpectedConstructor { id, name: None, wanted, place } => {
                write!(f, "constructor {id:08x} is not one of {wanted} {place}")
            }
            Self::BadCount { place, count, most } => {
                write!(f, "vector of {count} elements {place}: the bytes left hold at most {most}")
            }
            Self::BadStringPrefix { place } => write!(f, "string begins with ff {place}"),
            Self::LongStringForm { place, len } => {
                write!(f, "string of {len} bytes in the long form {place}")
            }
            Self::NonZeroPadding { place } => write!(f, "padding is not zero {place}"),
            Self::InvalidUtf8 { place, valid_up_to } => {
                write!(f, "string is not UTF-8 after {valid_up_to} bytes {place}")
            }
            Self::UnknownFlags { place, bits } => write!(f, "unknown flags {bits:08x} {place}"),
            Self::TooDeep { place, limit } => write!(f, "objects nest deeper than {limit} {place}"),
            Self::TrailingBytes { place, count } => write!(f, "{count} bytes after the object {place}"),
        }
    }
}

impl core::error::Error for DecodeError {}
