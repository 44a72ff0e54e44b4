//! Creation of MTProto auth keys: the client's half, the server's half, and the binding of temporary keys.
//!
//! An exchange has three queries and three answers, all in plain frames. Both halves take time and randomness as arguments
//! and do no I/O. This example runs both in memory:
//!
//! ```
//! use chappe_framing::{FrameBuf, MonoTime, Now, UnixTime};
//! use chappe_handshake::{
//!     ClientHandshake, ClientOptions, DcId, PeerId, Progress, QueryReply, ServerHandshakes, ServerOptions,
//! };
//! # use chappe_crypto::rsa::{KeyRing, PrivateKey};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::from_seed([7; 32]);
//! # let private = PrivateKey::generate(&mut rng)?;
//!
//! // The client trusts one public key; the server has the private key.
//! let mut keys = KeyRing::empty();
//! keys.add(private.public_key().clone());
//! let options = ClientOptions::new(keys, DcId::production(2));
//! let mut server = ServerHandshakes::new(ServerOptions::strict(vec![private], vec![DcId::production(2)]))?;
//!
//! let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_104));
//! let mut client = ClientHandshake::begin(options, now, &mut rng)?;
//! let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
//! let mut created = None;
//! let finished = loop {
//!     client.poll_transmit(now, &mut question);
//!     match server.handle_frame(now, PeerId(1), question.as_slice(), &mut answer, &mut rng) {
//!         QueryReply::Answer => {}
//!         QueryReply::Key(candidate) => created = Some(candidate.accept()),
//!         QueryReply::Refuse(refusal) => return Err(refusal.into()),
//!     }
//!     if let Progress::Done(finished) = client.handle_frame(now, answer.as_slice(), &mut rng)? {
//!         break finished;
//!     }
//! };
//!
//! let created = created.expect("the server accepted the key first");
//! assert_eq!(finished.key(), created.auth_key);
//! assert_eq!(finished.salt(), created.first_salt);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | What | Where |
//! |---|---|
//! | the client over frames | [`ClientHandshake`] |
//! | the client step by step, each state a type | [`ExpectResPq`], [`ExpectServerDhParams`], [`ExpectDhGen`] |
//! | the same as four functions | [`step1_with`], [`step2_with`], [`step3_with`], [`finish_with`] |
//! | the server | [`ServerHandshakes`] |
//! | binding a temporary key | [`bind`] |
//!
//! Not here: sockets, transports, and the storage of keys.
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key>; rows SEC-09 to SEC-60 of the checklist.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod client;
mod error;
mod inner;
mod nonces;
mod server;
mod steps;

pub use chappe_framing::bind;
pub use chappe_types::{DcId, Environment, KeyKind, Rule, Traffic, TransportErrorCode};
pub use client::{
    ClientHandshake, ClientOptions, ExpectDhGen, ExpectResPq, ExpectServerDhParams, Finished,
    HANDSHAKE_TIMEOUT, MAX_RETRIES, Outcome, Progress, Retry,
};
pub use error::{ApiMisuse, HandshakeError, InvalidAnswer};
pub use server::{
    CreatedKey, DcPolicy, FrameStep, KeyCandidate, PeerId, QueryRefusal, QueryReply, RateLimit,
    RefusalReason, ServerHandshakes, ServerOptions, ServerOptionsError, Tolerance, Work, WorkDone,
};
pub use steps::{Step1, Step2, Step3, finish_with, step1_with, step2_with, step3_with};
#[cfg(all(feature = "std", feature = "getrandom"))]
pub use steps::{finish, step1, step2, step3};
