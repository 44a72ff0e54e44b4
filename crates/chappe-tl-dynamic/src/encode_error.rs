//! Why JSON cannot be written as TL.

use core::fmt;

/// Where and why JSON is not a value of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DynamicEncodeError {
    /// The field, from the outermost object: `messages.sendMessage.peer.user_id`.
    pub path: String,
    /// The reason.
    pub kind: EncodeErrorKind,
}

/// Why JSON is not a value of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The value is of another kind, or out of range.
    Unexpected {
        /// What is expected.
        expected: String,
        /// The beginning of what is there.
        found: String,
    },
    /// The schema has no constructor or function of this name.
    UnknownName {
        /// The name.
        name: String,
    },
    /// The constructor is of another type.
    WrongType {
        /// Its name.
        name: String,
        /// The wanted type.
        wanted: String,
    },
    /// A field is missing.
    MissingField {
        /// Its definition in the schema: `user_id:long`.
        field: String,
    },
    /// A field is missing although its flags word is given and has its bit.
    MissingFlaggedField {
        /// Its definition in the schema: `title:flags.0?string`.
        field: String,
    },
    /// The definition has no such field.
    UnknownField {
        /// The field.
        field: String,
        /// The definition, as a line of the schema.
        definition: String,
    },
    /// Objects nest deeper than allowed.
    TooDeep {
        /// The limit.
        limit: u16,
    },
    /// A string is longer than TL allows.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl fmt::Display for DynamicEncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::UnknownName { name } => write!(f, "the schema has no constructor or function `{name}`"),
            Self::WrongType { name, wanted } => {
                write!(f, "expected a constructor of {wanted}, found `{name}`")
            }
            Self::MissingField { field } => write!(f, "field `{field}` is missing"),
            Self::MissingFlaggedField { field } => {
                write!(f, "field `{field}` is missing, but its flag is set")
            }
            Self::UnknownField { field, definition } => {
                write!(f, "unknown field `{field}` of `{definition}`")
            }
            Self::TooDeep { limit } => write!(f, "objects nest deeper than {limit}"),
            Self::TooLong { len } => write!(f, "string of {len} bytes is longer than 16777215"),
        }
    }
}

impl core::error::Error for DynamicEncodeError {}
