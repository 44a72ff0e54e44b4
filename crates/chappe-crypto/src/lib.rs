//! Every cryptographic primitive of Telegram's MTProto 2.0, for clients and servers.
//!
//! The crate has no I/O, no clock and no randomness of its own, is `no_std` with `alloc`, and depends on no other crate of
//! the workspace. A proxy, a session decryptor or a test tool needs nothing else.
//!
//! | module | subject |
//! |---|---|
//! | [`message`] | whole messages: [`seal`](message::seal) and [`open`](message::open), 2.0 and 1.0 |
//! | [`kdf`], [`ige`], [`ctr`], [`hash`], [`ct`] | the primitives beneath |
//! | [`nonce`] | values derived from the nonces of the key exchange |
//! | [`rsa`], [`dh`], [`factorize`](mod@factorize) | the key exchange |
//! | [`srp`] | two-step verification |
//! | [`cdn`], [`secret_chat`] | file parts from a CDN, end-to-end encryption |
//! | [`rng`] | a random generator in user space |
//!
//! Randomness is always an argument (the traits of `rand_core`). Secrets are wiped on drop, compared in constant time and
//! redacted in `Debug`.
//!
//! ```
//! use chappe_crypto::{AuthKey, Side, message};
//!
//! let auth_key = AuthKey::from_bytes([7; 256]);
//! let mut data = *b"salt, session_id, msg_id, seq_no, length, body, and the padding.";
//! let plaintext = data;
//!
//! let sealed = message::seal(&auth_key, Side::Client, &mut data)?;
//! assert_ne!(data, plaintext);
//!
//! let quick_ack = message::open(&auth_key, Side::Client, &sealed.msg_key, &mut data)?;
//! assert_eq!(data, plaintext);
//! assert_eq!(quick_ack, sealed.quick_ack);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod cdn;
pub mod ct;
pub mod ctr;
pub mod dh;
pub mod factorize;
pub mod hash;
pub mod ige;
pub mod kdf;
pub mod message;
pub mod nonce;
pub mod rng;
pub mod rsa;
pub mod secret_chat;
pub mod srp;

mod auth_key;
#[allow(unsafe_code)]
mod backend;
mod ids;
mod wipe;

/// Entry points with a chosen implementation, for tests, benchmarks and timing measurements. Not part of the stable API.
#[doc(hidden)]
pub mod kernels {
    pub use crate::{
        backend::{Backend, modexp::Modulus},
        message::{open_with, seal_with},
    };
    #[cfg(feature = "batch")]
    pub use crate::{
        ige::batch::{decrypt_many_with, encrypt_many_with},
        message::batch::{open_many_with, seal_many_with},
    };
}

#[doc(inline)]
pub use auth_key::{AuthKey, AuthKeyError};
#[doc(inline)]
pub use factorize::factorize;
#[doc(inline)]
pub use ids::{AuthKeyId, MsgKey, QuickAckToken, Side};

pub use rand_core;
