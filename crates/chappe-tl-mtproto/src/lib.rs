//! The service types of Telegram's MTProto, generated from its TL schema.
//!
//! What clients and servers say to each other about the connection itself: the authorization key exchange,
//! acknowledgements, salts, pings, errors. [`types`] are the constructors (bare: their fields only), [`enums`] the
//! types (boxed: a constructor id and its fields), [`functions`] what a client calls, [`AnyCall`] any function as a
//! server receives it.
//!
//! Not here: `msg_container`, `message`, `msg_copy`, `rpc_result` and `gzip_packed`, which hold other objects and are
//! written by hand in `chappe-framing`.
//!
//! Specification: <https://core.telegram.org/schema/mtproto>.
//!
//! # Example
//!
//! ```
//! use chappe_tl::{Deserializable, RemoteCall, Serializable};
//! use chappe_tl_mtproto::{AnyCall, enums, functions, types};
//!
//! // A client asks,
//! let question = functions::Ping { ping_id: 7 }.to_bytes();
//!
//! // a server answers with the type that belongs to the question,
//! let Ok(AnyCall::Ping(call)) = AnyCall::from_bytes(&question) else { panic!("it is a ping") };
//! let answer = enums::Pong::Pong(types::Pong { msg_id: 1, ping_id: call.ping_id }).to_bytes();
//!
//! // and the client knows how to read it.
//! let enums::Pong::Pong(pong) = <functions::Ping as RemoteCall>::Return::from_bytes(&answer)?;
//! assert_eq!(pong.ping_id, 7);
//! # Ok::<(), chappe_tl::DecodeError>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod generated;

pub use generated::{AnyCall, enums, functions, name_for_id, types};
