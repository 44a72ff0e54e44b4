//! Reads, prints and writes any TL object by a schema that is known at run time.
//!
//! [`Decoder`] turns bytes into an [`AnyObject`]: a constructor or function of a [`Schema`], found by its id, with all its
//! fields. `Display` prints it as a tree with byte offsets, `serde::Serialize` as JSON; both use the names of the schema.
//! [`encode`] turns such JSON into bytes. For logs, captures and command lines; a program that knows its types at build time
//! has generated ones.
//!
//! `gzip_packed`, `msg_container` and `rpc_result` are read as what they contain, if the schema defines them
#![cfg_attr(feature = "mtproto", doc = "([`schemas::mtproto`] does).")]
#![cfg_attr(not(feature = "mtproto"), doc = "(`schemas::mtproto` does).")]
//!
//! # JSON
//!
//! | TL | JSON |
//! |---|---|
//! | constructor or function | an object: `_` is the name, then the fields; fields that are absent are left out |
//! | `int`, `long`, `#` | a number; when reading also a string of decimal digits, for programs whose numbers have 53 bits |
//! | `double` | a number, or `"NaN"`, `"Infinity"`, `"-Infinity"`; any other NaN `{"hex": "…"}` |
//! | `Bool`, `flags.N?true` | `true` or `false` |
//! | `string` | a string; if it is not UTF-8, `{"hex": "…"}` |
//! | `bytes`, `int128`, `int256`, `int512` | hexadecimal digits, in the order of the wire; when reading also a list of numbers |
//! | `Vector<T>` | a list; where the schema only says `Object` and the elements are plain, `{"_": "vector", "of": "long", "elements": […]}` |
//! | flags word | left out, unless it has bits that no field explains |
//! | bytes that the schema cannot decode | `{"_raw": "…"}` in hexadecimal; also read in place of any boxed value |
//!
//! A name that two definitions have is followed by its id: `ping#7abe77ec`.
//!
//! # Bounds
//!
//! Nesting, the number of values and the size of unpacked data are bounded ([`DecodeLimits`]). No input panics.
//!
//! # Example
//!
//! ```
//! use chappe_tl_dynamic::{AnyObject, encode_object};
//!
//! let schema = chappe_tl_parser::parse(
//!     "ping.tl",
//!     "pong#347773c5 msg_id:long ping_id:long = Pong;
//!      ---functions---
//!      ping#7abe77ec ping_id:long = Pong;",
//! )?;
//! let json = serde_json::json!({ "_": "ping", "ping_id": 5 });
//! let bytes = encode_object(&schema, &json)?;
//! let call = AnyObject::from_bytes(&schema, &bytes)?;
//! assert_eq!(call.to_string(), "0000 ping#7abe77ec\n0004   ping_id: 5\n");
//! assert_eq!(serde_json::to_value(&call)?, json);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_alloc, reason = "the parser needs `std`")]

mod decode;
mod decode_error;
mod encode;
mod encode_error;
mod gzip;
mod json;
mod object;
pub mod schemas;
mod tree;

pub use chappe_tl_parser::{Schema, Type};
pub use decode::{DecodeLimits, Decoder, Explored};
pub use decode_error::{DecodeErrorKind, DynamicDecodeError};
pub use encode::{encode, encode_object};
pub use encode_error::{DynamicEncodeError, EncodeErrorKind};
pub use object::{AnyObject, Field, Packed, Value, Vector};

/// Ids that have a meaning beyond the schema.
mod id {
    pub(crate) const VECTOR: u32 = 0x1cb5_c415;
    pub(crate) const BOOL_TRUE: u32 = 0x9972_75b5;
    pub(crate) const BOOL_FALSE: u32 = 0xbc79_9737;
    pub(crate) const GZIP_PACKED: u32 = 0x3072_cfa1;
    pub(crate) const RPC_RESULT: u32 = 0xf35c_6d01;
    pub(crate) const RPC_ERROR: u32 = 0x2144_ca19;
}
