//! Telegram's MTProto 2.0, client and server, behind one import.
//!
//! This crate re-exports the crates that programs use, one module each. Its only code is `config`, which makes addresses and
//! keys to connect with of what the API reports. A program that needs one part only can depend on that crate alone.
//!
//! | module | crate | content |
//! |---|---|---|
//! | [`authentication`] | `chappe-handshake` | `step1` to `finish`: creates an `auth_key`; client and server |
//! | [`session`] | `chappe-session` | messages under an `auth_key`; client and server |
//! | [`transport`] | `chappe-transport` | framings, obfuscation, proxies |
//! | [`framing`] | `chappe-framing` | envelopes, ids, containers, gzip |
//! | [`crypto`] | `chappe-crypto` | the cryptographic primitives |
//! | [`types`] | `chappe-types` | shared words: datacenter ids, error codes, RPC errors |
//! | [`tl`], [`mtproto`] | `chappe-tl`, `chappe-tl-mtproto` | the TL run time; the service types |
#![cfg_attr(feature = "api", doc = "| [`api`] | `chappe-tl-api` | the types and functions of the API |")]
#![cfg_attr(
    feature = "dynamic",
    doc = "| [`dynamic`] | `chappe-tl-dynamic` | any TL object by a schema that is known at run time: tree, JSON, bytes |"
)]
#![cfg_attr(
    feature = "net",
    doc = "| [`net`] | `chappe-net` | clients: connections, proxies, key stores; blocking or tokio |"
)]
#![cfg_attr(
    feature = "server",
    doc = "| [`server`] | `chappe-server` | a server: engine and listeners; blocking or tokio |"
)]
#![cfg_attr(
    feature = "import",
    doc = "| [`import`] | `chappe-import` | keys from the sessions of other libraries |"
)]
#![cfg_attr(
    feature = "schema",
    doc = "| [`schema`] | `chappe-tl-parser` | schema texts: parsing, checks, the difference of two layers |"
)]
#![cfg_attr(
    feature = "dissect",
    doc = "| [`dissect`] | `chappe-dissect` | messages in traffic and in captures, with your own keys |"
)]
#![cfg_attr(
    feature = "loopback",
    doc = "| [`loopback`] | `chappe-loopback` | a datacenter for tests without a network |"
)]
#![cfg_attr(feature = "proxy", doc = "| [`proxy`] | `chappe-proxy` | an MTProxy |")]
//!
//! # Features
//!
//! | feature | default | effect |
//! |---|---|---|
//! | `std` | yes | the operating system's clock and randomness: `step1()`, `EncryptedSession::new` |
//! | `net` | no | clients; their drivers with `tokio` or `blocking` |
//! | `server` | no | a server; its listeners with `tokio` or `blocking` |
//! | `tokio` | no | tasks of tokio, for `net` and `server` |
//! | `blocking` | no | threads and `std::net`, for `net` and `server` |
//! | `file` | no | keys of `server` in a file |
//! | `tower` | no | layers of tower around the router of `server` |
//! | `websocket` | no | WebSocket, for `net`, `server` and `loopback` |
//! | `tls` | no | TLS for the clients of `net` |
//! | `api` | no | the types and functions of Telegram's API |
//! | `api-server` | no | `api::AnyCall`, and functions that can be copied and compared |
//! | `dynamic` | no | any TL object by a schema that is known at run time |
//! | `import` | no | keys from the sessions of other libraries |
//! | `schema` | no | schema texts: parsing, checks, the difference of two layers |
//! | `dissect` | no | messages in traffic and in captures |
//! | `loopback` | no | the embedded datacenter |
//! | `proxy` | no | an MTProxy |
//! | `proxy-program` | no | its program, as a function |
//!
//! Without `std` the crate is `no_std` + `alloc`.
//!
//! # Step by step
//!
//! The functions of the handshake make requests and check answers. The caller transports both.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use chappe::tl::Serializable;
//! use chappe::{EncryptedSession, Session, authentication as auth, mtproto};
//!
//! let (request, state) = auth::step1()?; // req_pq_multi; `auth::step2` takes the answer and `state`
//! let mut plain = Session::new();
//! let bytes = plain.pack(&request).to_plaintext_bytes();
//! assert_eq!(bytes[..8], [0; 8]); // no `auth_key` yet
//! # drop(state);
//!
//! // `auth::finish` returns these three values.
//! let (auth_key, first_salt, time_offset) = ([7; 256], 42, 0);
//! let mut session = EncryptedSession::new(auth_key, first_salt, time_offset);
//! let frame = session.pack(&mtproto::functions::Ping { ping_id: 1 });
//! assert_eq!(frame.len() % 16, 8); // 24 bytes in the clear, then whole blocks
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(all(feature = "api", feature = "net", any(feature = "blocking", feature = "tokio")))]
pub mod config;

pub use chappe_crypto as crypto;
#[cfg(feature = "dissect")]
pub use chappe_dissect as dissect;
pub use chappe_framing as framing;
pub use chappe_handshake as authentication;
#[cfg(feature = "import")]
pub use chappe_import as import;
#[cfg(feature = "loopback")]
pub use chappe_loopback as loopback;
#[cfg(feature = "net")]
pub use chappe_net as net;
#[cfg(feature = "proxy")]
pub use chappe_proxy as proxy;
#[cfg(feature = "server")]
pub use chappe_server as server;
pub use chappe_session as session;
pub use chappe_tl as tl;
#[cfg(feature = "api")]
pub use chappe_tl_api as api;
#[cfg(feature = "dynamic")]
pub use chappe_tl_dynamic as dynamic;
pub use chappe_tl_mtproto as mtproto;
#[cfg(feature = "schema")]
pub use chappe_tl_parser as schema;
pub use chappe_transport as transport;
pub use chappe_types as types;

pub use chappe_handshake::Finished;
pub use chappe_session::{EncryptedSession, Message, Session};
