//! Run-time support for types generated from TL (Type Language) schemas.
//!
//! TL is the interface language of MTProto: every object is a sequence of little-endian 4-byte words. This crate
//! contains the run-time support of generated code, and nothing that belongs to one schema:
//!
//! * [`Serializable`] writes an object into a [`Sink`]; its exact length is known before the first byte is written.
//! * [`Deserializable`] reads an object from a [`deserialize::Cursor`], which checks every length against what
//!   remains before anything is allocated, and limits nesting.
//! * [`Identifiable`] and [`RemoteCall`] map constructors to their ids and functions to their results.
//! * `table` decodes types of a large schema into an arena, without code of their own (feature `table`, on by default).
//! * [`RawVec`] is a vector without constructor id, [`Blob`] an object kept as bytes.
//!
//! Types named by their constructor (`types::X`) are *bare*: their fields only. Enums of all constructors of a type
//! (`enums::X`) and functions are *boxed*: the constructor id comes first.
//!
//! Not here: any schema, the hand-written service objects (`msg_container`, `rpc_result`, `gzip_packed`).
//!
//! Specification: <https://core.telegram.org/mtproto/serialize>, <https://core.telegram.org/mtproto/TL>.
//!
//! # Example
//!
//! ```
//! use chappe_tl::{DecodeError, Deserializable, Serializable};
//!
//! let ids = vec![1_i64, 2];
//! let bytes = ids.to_bytes();
//! assert_eq!(bytes.len(), ids.serialized_len());
//! assert_eq!(Vec::<i64>::from_bytes(&bytes), Ok(ids));
//!
//! // An object of an unknown constructor is an error with its position.
//! match Vec::<i64>::from_bytes(&[0xef, 0xbe, 0xad, 0xde]) {
//!     Err(DecodeError::UnexpectedConstructor { id, wanted, place, .. }) => {
//!         assert_eq!((id, place.offset, wanted), (0xdead_beef, 0, "Vector"));
//!     }
//!     other => panic!("{other:?}"),
//! }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

mod codegen;
pub mod deserialize;
mod primitives;
mod raw;
mod serialize;
mod sink;
mod strings;
#[cfg(feature = "table")]
pub mod table;
mod vectors;

/// What generated code calls. Not part of the stable API: [`assert_version`](__private::assert_version) ties generated
/// code to the version of this crate.
#[doc(hidden)]
pub mod __private {
    pub use crate::codegen::*;
    #[cfg(feature = "table")]
    pub use crate::table::internals::*;
}

pub use deserialize::decode_error::DecodeError;
pub use deserialize::deserializable::Deserializable;
pub use raw::{Blob, Int512, RawVec};
pub use serialize::{EncodeError, FlagGroup, Serializable};
pub use sink::{Sink, SliceSink};
pub use strings::MAX_STRING_LEN;
pub use vectors::{MAX_EMPTY_ELEMENTS, VECTOR_ID};

/// A constructor or function with its id.
pub trait Identifiable {
    /// The constructor id: CRC-32 of the normalised schema line, unless the schema gives another one.
    ///
    /// On the wire it is 4 bytes, little-endian.
    const CONSTRUCTOR_ID: u32;
}

/// A function of the schema, which the peer executes.
pub trait RemoteCall: Serializable {
    /// The type of the answer. For a generic wrapper it is the result of the wrapped call.
    type Return: Deserializable;
}
