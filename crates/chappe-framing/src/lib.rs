//! Plain and encrypted MTProto envelopes, message ids, containers and gzip, over one buffer.
//!
//! This crate converts between the bytes of one frame, as a transport delivers it, and the bytes of one TL object. An
//! outgoing frame is written into a [`FrameBuf`]. An incoming frame is decrypted in place and read through views, which
//! check the bytes once, when they are made.
//!
//! ```
//! use chappe_crypto::{AuthKey, Side};
//! use chappe_framing::{
//!     EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgIdGenerator, MsgOrigin, Padding,
//!     SeqNoCounter, ServerSalt, SessionId, TransportTail, UnixTime, open,
//! };
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::from_seed([7; 32]);
//!
//! let key = AuthKey::from_bytes([0x5a; 256]);
//! let now = UnixTime::from_secs(1_707_425_104);
//! let header = EncryptedHeader {
//!     salt: ServerSalt::from_raw(42),
//!     session_id: SessionId::random(&mut rng),
//!     message: MessageHeader {
//!         msg_id: MsgIdGenerator::new().next(now, MsgOrigin::Client),
//!         seq_no: SeqNoCounter::new().next_content_related(),
//!     },
//! };
//!
//! // The client writes a body (here: help.getConfig) and seals it in place …
//! let mut buf = FrameBuf::new();
//! let mut writer = EncryptedWriter::begin(&mut buf);
//! writer.body().append(&0xc4f9_186b_u32.to_le_bytes());
//! writer.seal(&key, Side::Client, header, Padding::Random, &mut rng)?;
//!
//! // … and the server opens the same bytes in place.
//! let message = open(&key, Side::Client, TransportTail::None, buf.as_mut_slice())?;
//! message.require_named_session()?;
//! message.require_origin(Side::Client)?;
//! assert_eq!(message.body(), 0xc4f9_186b_u32.to_le_bytes());
//! assert_eq!(message.msg_id().unix_seconds(), 1_707_425_104);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! | What | Where |
//! |---|---|
//! | plain envelope of the handshake | [`PlainMessage`], [`write_plain`] |
//! | encrypted envelope | [`EncryptedWriter`], [`open`]; several together with the feature `batch` |
//! | several messages in one | [`ContainerWriter`], [`Container`] |
//! | compressed objects | [`Deflater`], [`Inflater`], [`GzipPacked`] |
//! | binding of a temporary key | [`bind`] |
//! | answers to queries | [`RpcResult`], [`write_rpc_result_header`] |
//! | numbers | [`MsgId`], [`SeqNo`], [`ServerSalt`], [`SessionId`], [`UnixTime`] |
//!
//! Not here: the state of a session (ids, salts and numbers in use, received messages), and the splitting of a byte stream
//! into frames.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bind;
mod buf;
mod container;
mod encrypted;
mod error;
mod gzip;
mod ids;
mod message;
mod mono_time;
mod msg_id;
mod now;
mod plain;
mod rpc;
mod seq_no;
#[cfg(feature = "std")]
mod system_clock;
mod unix_time;
mod write_error;

pub use buf::{FrameBuf, HEADROOM};
pub use container::{
    CONTAINER_HEADER_LEN, Container, ContainerWriter, InnerMessage, MAX_MESSAGES_ACCEPTED, MAX_MESSAGES_SENT,
    MSG_CONTAINER, Messages,
};
pub use encrypted::{
    EncryptedHeader, EncryptedWriter, INNER_HEADER_LEN, MIN_FRAME_LEN, OUTER_HEADER_LEN, Opened, Padding,
    Prepared, TransportTail, auth_key_id, open,
};
#[cfg(feature = "batch")]
pub use encrypted::{OpenFrame, SealFrame, open_many, seal_many};
pub use error::{FrameError, MalformedFrame, PeerMisbehaved};
pub use gzip::{AcceptedFormat, Deflater, GZIP_PACKED, GzipPacked, Inflater};
pub use ids::{ServerSalt, SessionId};
pub use message::{MAX_BODY_LEN, MessageHeader, constructor_id};
pub use mono_time::MonoTime;
pub use msg_id::{MsgId, MsgIdGenerator, MsgOrigin};
pub use now::Now;
pub use plain::{PLAIN_HEADER_LEN, PlainMessage, write_plain, write_plain_bytes};
pub use rpc::{RPC_ERROR, RPC_RESULT, RPC_RESULT_HEADER_LEN, RpcOutcome, RpcResult, write_rpc_result_header};
pub use seq_no::{SeqNo, SeqNoCounter};
pub use unix_time::UnixTime;
pub use write_error::WriteError;
