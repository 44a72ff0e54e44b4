//! Reading objects.
//!
//! [`Cursor`] reads the bytes of an object and checks every length before use. [`DecodeError`] contains the type, the field, the
//! offset and the offending value.
//!
//! **Invariants:** nothing is allocated for a length that the remaining bytes cannot hold, and no input nests deeper
//! than [`DecodeOptions::max_depth`].

mod cursor;
pub(crate) mod decode_error;
pub(crate) mod deserializable;
mod object;
mod options;

pub use cursor::Cursor;
pub(crate) use decode_error::DecodeError;
pub use decode_error::Place;
pub(crate) use deserializable::Deserializable;
pub use object::Object;
pub use options::{DecodeOptions, Strictness};

/// The result of reading.
pub type Result<T> = core::result::Result<T, DecodeError>;

/// The input of objects.
pub type Buffer<'a, 'b> = &'a mut Cursor<'b>;
