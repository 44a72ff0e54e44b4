//! Objects borrowed from an arena, decoded by tables.
//!
//! A large schema has thousands of types. With a decoder for each, the compiler would need a minute for them and decoding
//! would make thousands of small allocations. Instead, one interpreter of static tables writes plain structs and enums to an
//! [`Arena`]:
//!
//! * a generated type borrows its strings, vectors and large parts, is `Copy`, and has nothing to drop;
//! * [`Arena::decode`] reads an answer without copying its strings; a reused arena does not allocate;
//! * [`Decoded`] is an object with its memory, for answers that must outlive their buffer;
//! * an object is encoded by its table, by code that is compiled once, here;
//! * serde, `Debug` and `PartialEq` read any object by its table.
//!
//! **Invariant:** all memory accesses by tables are in `raw/`. They rely on the table of a type, which generated
//! code guarantees by its `unsafe` implementations. Besides `raw/`, `unsafe` is in the traits that say so (`described.rs`,
//! `object.rs`, `one.rs`) and in the two lines of `decoded.rs` that return an owned object.

mod arena;
mod decoded;
mod described;
mod encode;
mod flags;
mod kind;
mod layout;
mod macros;
mod object;
mod one;
mod raw;
mod rows;
#[cfg(feature = "serde")]
#[doc(hidden)]
pub mod serde;
mod tables;
mod text;
mod types;
mod value;

/// The items that generated code uses besides `codegen`, and that tests inspect.
pub(crate) mod internals {
    #[cfg(feature = "serde")]
    pub use super::serde;
    pub use super::{
        Decoded, Family, One, RawObject,
        decoded::whole,
        described::Described,
        kind::Kind,
        layout::{Constructor, Layout, MAX_ALIGN, Payload, layout},
        macros::Promise,
        object::{
            D0, D1, D2, D3, D4, D5, D6, D7, D8, D9, D10, D11, D12, D13, D14, D15, D16, D17, D18, D19, Digit,
            Function, Lines, Listed, Object, Of, Tabled,
        },
        one::Sole,
        raw::{Chunk, Native, Rows, Value, View, Views, empty, printed},
        rows::Field,
        tables::{Line, Tables},
        types::{EMPTY, Form, Type, hash, slots, types},
        value::{debug, is_same},
    };
    #[cfg(feature = "serde")]
    pub use crate::written_by_serde;
    pub use crate::{
        bare_object, calls, defaults, described_by_table, families, laid_out, lines, objects, received,
        received_whole, soles, values,
    };
}

pub use decoded::{Decoded, OwnedAnswer};
pub use described::Family;
pub use encode::RawObject;
pub use one::One;
pub use raw::Arena;

// Shorter paths for the modules of this folder.
#[allow(clippy::wildcard_imports, reason = "the list stands above")]
use internals::*;
