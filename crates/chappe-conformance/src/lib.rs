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
pub mod world;

/// The examples of the workspace's `README.md`, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The examples of `docs/sessions-of-others.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/sessions-of-others.md")]
struct SessionsOfOthers;

/// The first program of `docs/getting-started.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/getting-started.md")]
struct GettingStarted;

/// The programs of `docs/net.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/net.md")]
struct Net;

/// The examples of the pages of the crates.
#[cfg(doctest)]
mod readmes {
    #[doc = include_str!("../../chappe/README.md")]
    struct Chappe;
    #[doc = include_str!("../../chappe-crypto/README.md")]
    struct Crypto;
    #[doc = include_str!("../../chappe-handshake/README.md")]
    struct Handshake;
    #[doc = include_str!("../../chappe-loopback/README.md")]
    struct Loopback;
    #[doc = include_str!("../../chappe-net/README.md")]
    struct Net;
    #[doc = include_str!("../../chappe-server-postgres/README.md")]
    struct ServerPostgres;
    #[doc = include_str!("../../chappe-server-redis/README.md")]
    struct ServerRedis;
    #[doc = include_str!("../../chappe-session/README.md")]
    struct Session;
    #[doc = include_str!("../../chappe-tl/README.md")]
    struct Tl;
    #[doc = include_str!("../../chappe-tl-api/README.md")]
    struct TlApi;
    #[doc = include_str!("../../chappe-tl-dynamic/README.md")]
    struct TlDynamic;
    #[doc = include_str!("../../chappe-tl-gen/README.md")]
    struct TlGen;
    #[doc = include_str!("../../chappe-tl-mtproto/README.md")]
    struct TlMtproto;
    #[doc = include_str!("../../chappe-tl-parser/README.md")]
    struct TlParser;
    #[doc = include_str!("../../chappe-tl-secret/README.md")]
    struct TlSecret;
}
