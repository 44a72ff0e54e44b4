//! Why bytes cannot be read.

use core::fmt;

/// Where and why reading stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DynamicDecodeError {
    /// The field, from the outermost object: `messages.messages.users[3].photo`.
    pub path: String,
    /// Where the offending value begins, in bytes; in `packed_data`, from the start of the unpacked data.
    pub offset: usize,
    /// The reason.
    pub kind: DecodeErrorKind,
}

/// Why bytes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end before the value does.
    UnexpectedEnd {
        /// The number of bytes that the value needs.
        needed: usize,
        /// The number of bytes that remain.
        remaining: usize,
    },
    /// The schema has no constructor or function of this id: it may be one of another layer.
    UnknownConstructor {
        /// The id.
        id: u32,
    },
    /// The constructor is of another type.
    WrongType {
        /// Its id.
        id: u32,
        /// Its name.
        name: String,
        /// The wanted type.
        wanted: String,
    },
    /// A vector's count is negative or more than the remaining bytes can hold.
    BadCount {
        /// The count.
        count: i32,
    },
    /// A string begins with `ff`, which is invalid.
    BadStringPrefix,
    /// The type of a vector's elements is unknown, and no guess fits the bytes.
    UnknownElements,
    /// Compressed data is damaged.
    BadGzip,
    /// Objects nest deeper than allowed.
    TooDeep {
        /// The limit.
        limit: u16,
    },
    /// There are more values than allowed.
    TooManyValues {
        /// The limit.
        limit: usize,
    },
    /// Compressed data is larger than allowed once it is unpacked.
    TooLarge {
        /// The limit in bytes, for all packed data together.
        limit: usize,
    },
    /// Bytes are left behind the object.
    TrailingBytes {
        /// Their number.
        count: usize,
    },
}

impl fmt::Display for DynamicDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.offset)?;
        if !self.path.is_empty() {
            write!(f, " ({})", self.path)?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEnd { needed, remaining } => {
                write!(f, "unexpected end: {needed} bytes needed, {remaining} left")
            }
            Self::UnknownConstructor { id } => {
                write!(f, "the schema has no constructor or function {id:08x}")
            }
            Self::WrongType { id, name, wanted } => {
                write!(f, "expected a constructor of {wanted}, found {name}#{id:08x}")
            }
            Self::BadCount { count } => {
                write!(f, "vector of {count} elements, which the bytes left cannot hold")
            }
            Self::BadStringPrefix => f.write_str("string begins with ff"),
            Self::UnknownElements => f.write_str("vector whose type of elements is unknown"),
            Self::BadGzip => f.write_str("compressed data is damaged"),
            Self::TooDeep { limit } => write!(f, "objects nest deeper than {limit}"),
            Self::TooManyValues { limit } => write!(f, "more than {limit} values"),
            Self::TooLarge { limit } => write!(f, "unpacked data is larger than {limit} bytes"),
            Self::TrailingBytes { count } => write!(f, "{count} bytes are left behind the object"),
        }
    }
}

impl core::error::Error for DynamicDecodeError {}
