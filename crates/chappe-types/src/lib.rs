//! Shared vocabulary of the chappe crates.
//!
//! Each type is a word of the protocol that at least two crates use. The crates that expose one in their API
//! re-export it.
//!
//! | type | meaning |
//! |---|---|
//! | [`DcId`] | a datacenter: number, [`Environment`], [`Traffic`] |
//! | [`TransportErrorCode`] | the negative number a server sends instead of a message |
//! | [`BadMsgCode`] | the reason in a `bad_msg_notification` |
//! | [`RpcError`], [`RpcErrorRef`] | an `rpc_error`, owned or borrowed from a frame |
//! | [`KeyKind`] | whether a key is permanent or temporary |
//! | [`BindError`] | why a temporary key was not bound |
//! | [`Rule`] | a rule of the security checklist |
//!
//! Not here: types that need cryptography or TL, such as message ids and keys.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bad_msg_code;
mod bind_error;
mod dc_id;
mod key_kind;
mod rpc_error;
mod rule;
mod setters;
mod transport_error_code;

pub use bad_msg_code::BadMsgCode;
pub use bind_error::BindError;
pub use dc_id::{DcId, Environment, Traffic};
pub use key_kind::KeyKind;
pub use rpc_error::{RpcError, RpcErrorRef};
pub use rule::Rule;
pub use transport_error_code::TransportErrorCode;
