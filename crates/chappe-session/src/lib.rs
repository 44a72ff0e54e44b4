//! Sessions of MTProto 2.0 as state machines, for clients and servers.
//!
//! Nothing here does I/O, reads a clock or makes randomness: bytes, time and random numbers are arguments.
//! (With the features `std` and `getrandom`, [`EncryptedSession::new`] and its companions ask the operating
//! system.)
//!
//! | To | use |
//! |---|---|
//! | number plain messages of the handshake | [`Session`] |
//! | pack and unpack encrypted messages step by step | [`EncryptedSession`] |
//! | run a client's session | [`client::ClientSession`] |
//! | run a server's session | [`server::ServerSession`] |
//!
//! ```
//! use chappe_crypto::rng::Drbg;
//! use chappe_session::{EncryptedSession, FrameBuf, UnixTime};
//! use chappe_tl_mtproto::functions::GetFutureSalts;
//!
//! let mut rng = Drbg::from_seed([1; 32]);
//! let mut session = EncryptedSession::with_rng([7; 256], 42, 0, &mut rng);
//! let mut frame = FrameBuf::new();
//! session.pack_into(&GetFutureSalts { num: 8 }, UnixTime::from_secs(1_707_425_104), &mut rng, &mut frame)?;
//! assert_eq!(frame.as_slice()[..8], *session.auth_key().id().as_bytes());
//! # Ok::<(), chappe_session::WriteError>(())
//! ```
//!
//! Sockets and reconnection are in `chappe-net`, key creation in `chappe-handshake`, framing of byte streams in
//! `chappe-transport`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod acks;
pub mod client;
mod clock;
#[cfg(test)]
mod counted;
mod counters;
mod encrypted;
mod error;
mod event_log;
mod gzip;
mod limits;
pub mod liveness;
mod message;
mod plain;
mod salts;
pub mod server;
mod service;
mod transmit;
mod window;

pub use chappe_framing::{
    FrameBuf, MonoTime, MsgId, Now, Padding, SeqNo, ServerSalt, SessionId, TransportTail, UnixTime,
    WriteError,
};
pub use chappe_types::{BadMsgCode, BindError, RpcErrorRef, Rule, TransportErrorCode};
pub use clock::ServerClock;
pub use counters::{Counters, Refusals};
pub use encrypted::{EncryptedSession, MessageView};
pub use error::UnpackError;
pub(crate) use limits::MAX_CONTAINER_MESSAGES;
pub use limits::{MAX_IDS_PER_LIST, SessionLimits};
pub use message::Message;
pub use plain::Session;
pub use salts::TimedSalt;
pub use service::{HttpWait, KeyDestruction};
pub use transmit::Transmit;
pub use window::AgeLimits;

/// Silence after which a session frees its buffers: a server or a farm of clients keeps many idle sessions.
const QUIET: core::time::Duration = core::time::Duration::from_secs(30);

mod time {
    pub(crate) use chappe_framing::{MonoTime, Now};
}
