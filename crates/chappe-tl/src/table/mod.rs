//! Objects borrowed from an arena, decoded by tables.
//!
//! A large schema has thousands of types. If each brought its own decoder, the compiler would spend a minute on them
//! and the decoded objects would be thousands of small allocations. Here one interpreter walks over static tables
//! instead, and writes plain structs and enums into an [`Arena`]:
//!
//! * a generated type borrows its strings, vectors and large parts, is `Copy`, and has nothing to drop;
//! * [`Arena::decode`] reads an answer without copying its strings; a reused arena does not allocate;
//! * [`Decoded`] is an object with the memory it lives in, for answers that must outlive their buffer;
//! * encoding is generated code, compiled only by those who use a type;
//! * [`View`] reads any object by its table: `Debug`, `PartialEq`, serde and tools are made of it.
//!
//! **Invariant:** only `raw.rs` is unsafe, and it trusts nothing but the table that a type names ([`Described`]).

mod arena;
mod decoded;
mod described;
mod encode;
mod fields;
mod layout;
mod macros;
mod raw;
#[cfg(feature = "serde")]
pub mod serde;
mod value;

pub use crate::codegen::{Encoded, String, Vec, boxed, unit};
pub use crate::{Blob, Identifiable, RemoteCall, Serializable, Sink};
pub use crate::{described_by_table, described_only, family, object, plain};
pub use decoded::{Decoded, OwnedAnswer};
pub use described::{Described, Family, Layout};
pub use encode::{Bare, RawObject, Writer};
pub use fields::{After, And, Fields, First, Position, Word, Words, write};
pub use layout::{
    Constructor, EMPTY, Field, Kind, Line, MAX_ALIGN, Payload, Type, concat, constructors, count, rows, slots,
};
pub use raw::{Arena, ListOps, Rows, Value, View, Views};
pub use value::{debug, is_same};
