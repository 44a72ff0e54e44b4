//! Objects borrowed from an arena, decoded by tables.
//!
//! A large schema has thousands of types. If each brought its own decoder, the compiler would spend a minute on them
//! and the decoded objects would be thousands of small allocations. Here one interpreter walks over static tables
//! instead, and writes plain structs and enums into an [`Arena`]:
//!
//! * a generated type borrows its strings, vectors and large parts, is `Copy`, and has nothing to drop;
//! * [`Arena::decode`] reads an answer without copying its strings; a reused arena does not allocate;
//! * [`Decoded`] is an object with the memory it lives in, for answers that must outlive their buffer;
//! * structs are encoded by the types of their rows ([`Struct`]), straight on, and only by those who use them;
//! * [`View`] reads any object by its table: `Debug`, `PartialEq`, serde and tools are made of it.
//!
//! **Invariant:** only `raw.rs` is unsafe, and it trusts nothing but the table that a type names ([`Described`]) and the types
//! that it says its rows have ([`Struct`]).

mod arena;
mod decoded;
mod described;
mod encode;
mod fields;
mod flags;
mod kind;
mod layout;
mod macros;
mod object;
mod one;
mod raw;
mod rows;
#[cfg(feature = "serde")]
pub mod serde;
mod tables;
mod text;
mod types;
mod value;

pub use crate::codegen::{Encoded, String, Vec, flag_group, put, put_flags, unit, write_elements};
#[cfg(feature = "serde")]
pub use crate::written_by_serde;
pub use crate::{Blob, Identifiable, RemoteCall, Serializable, Sink};
pub use crate::{bare_object, calls, described_by_table, families, laid_out, lines, objects, soles, values};
pub use decoded::{Decoded, OwnedAnswer};
pub use described::{Described, Family};
pub use encode::{Bare, RawObject, Writer};
pub use fields::{After, And, First, Flag, Maybe, Position, Row, RowList, Word, Words, write_boxed};
pub use kind::Kind;
pub use layout::{Constructor, Layout, MAX_ALIGN, Payload, layout};
pub use object::{
    D0, D1, D2, D3, D4, D5, D6, D7, D8, D9, D10, D11, D12, D13, D14, D15, D16, D17, D18, D19, Digit,
    Function, Lines, Listed, Object, Of, Struct,
};
pub use one::{One, Sole};
pub use raw::{Arena, Rows, Value, View, Views, printed};
pub use rows::Field;
pub use tables::{Line, Tables};
pub use types::{EMPTY, Form, Type, hash, slots, types};
pub use value::{debug, is_same};
