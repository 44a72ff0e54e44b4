//! The unsafe core: the only code that reads and writes memory by tables.
//!
//! Each file begins with its proof. All rely on these assumptions:
//!
//! * a table describes the type that names it: the `unsafe impl` of [`Described`](super::Described), printed by the generator
//!   from the same plan as the type. A [`Type`](super::Type) is made by `unsafe` functions only, and cannot be changed;
//! * the bytes of rows and constructors are values of theirs ([`printed`]): the macro that the generator uses says so;
//! * `&T` and `Option<&T>` of a sized `T` are a pointer, null being `None` (documentation of `core::option`);
//! * an enum with `repr(C, u32)` is a C struct of its `u32` discriminant and a C union of its payloads; one with `repr(u32)` and no
//!   payload is its discriminant; one with `repr(transparent)` is its payload (Reference, "Type layout").
//!
//! Every generated type is `Copy`: nothing needs dropping, and an error half-way leaves nothing behind but used-up arena.
//!
//! Not here: what is done with a decoded object ([`super::value`]).
#![allow(unsafe_code)]
#![allow(
    clippy::cast_ptr_alignment,
    reason = "every place is aligned as its table says, and the arena aligns to 8"
)]

mod arena;
mod empty;
mod encoder;
mod machine;
mod owned;
mod reader;
mod slices;
mod tables_pointer;

pub use arena::Arena;
pub(super) use arena::Source;
pub use empty::empty;
pub use encoder::{Chunk, Native};
pub(super) use encoder::{encode, encode_flat, encode_to_vec, encoded_len, is_flat};
pub(super) use owned::Owned;
pub use reader::{Rows, Value, View, Views};
pub use slices::printed;
pub(super) use slices::{assert_slices, numbers, part_of};
pub(super) use tables_pointer::TablesPointer;
