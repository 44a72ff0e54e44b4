//! Vectors, hostile peers and whole-protocol tests for the chappe crates.
//!
//! ```
//! use chappe_conformance::vectors;
//!
//! let file = vectors::load("auth_key_id");
//! for entry in file.list("vectors") {
//!     assert_eq!(entry.bytes("auth_key").len(), 256, "{}", entry.name());
//! }
//! ```
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate alloc;

pub mod fuzz;
pub mod script;
pub mod tl_values;
pub mod vectors;

/// The examples of the workspace's `README.md`, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The examples of `docs/sessions-of-others.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/sessions-of-others.md")]
struct SessionsOfOthers;

/// The programs of `docs/net.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/net.md")]
struct Net;
