//! The types and functions of Telegram's API, generated from its TL schema.
//!
//! * `types::X` are the constructors: structs with public fields.
//! * `enums::X` are the types: enums with a variant for each constructor. A type with one constructor is a [`One`] of its
//!   struct instead, whose fields are read as if it were the struct; `types::X { .. }.into()` makes one.
//! * `functions::X` are the functions; those of a namespace need the cargo feature of its name, all on by default.
//! * With the feature `server`, `AnyCall` is any function, and functions can be copied and compared; otherwise they are
//!   there to be sent, and can be printed.
//! * [`LAYER`] is the layer of the schema.
//!
//! All values are plain, `Copy` (functions with the feature `server`), and borrow their strings, vectors and large parts. They are written as literals, matched
//! and read like any struct or enum. A field that is always there holds its enum by value, a conditional one by
//! reference (`Option<&enums::X>`); a variant holds its struct by value if it is small (up to 32 bytes) and by
//! reference if not.
//!
//! Answers are decoded into an [`Arena`](chappe_tl::table::Arena) that is reused from one to the next, or into a
//! [`Decoded`](chappe_tl::table::Decoded) that owns its memory.
//!
//! Not here: the service messages of MTProto (`chappe-tl-mtproto`).
//!
//! # Example
//!
//! ```
//! use chappe_tl::{Serializable, table::Arena};
//! use chappe_tl_api::{enums, types};
//!
//! let peer = enums::InputPeer::User(types::InputPeerUser { user_id: 5, access_hash: 7 });
//! let bytes = peer.to_bytes();
//!
//! let mut arena = Arena::new();
//! match arena.decode::<enums::InputPeer<'_>>(&bytes)? {
//!     enums::InputPeer::User(user) => assert_eq!(user.user_id, 5),
//!     other => panic!("{other:?}"),
//! }
//! arena.reset();
//! # Ok::<(), chappe_tl::DecodeError>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

#[rustfmt::skip]
mod generated;

pub use generated::*;
