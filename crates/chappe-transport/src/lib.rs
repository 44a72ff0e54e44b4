//! Transports of MTProto as state machines: framings, obfuscation, MTProxy, WebSocket and HTTP payloads.
//!
//! A transport carries payloads (plain or encrypted envelopes) over a stream of bytes. The crate opens no sockets, does not
//! wait and has no source of randomness: a driver passes bytes, time and a random generator in, and sends the output. Client
//! and server use the same parts.
//!
//! | item | subject |
//! |---|---|
//! | [`Framing`] | abridged, intermediate, padded intermediate, full |
//! | [`Connector`], [`Acceptor`] | new connections on either side; a server detects the transport |
//! | [`Connection`], [`Sender`], [`Receiver`], [`ReadBuf`] | sending and receiving |
//! | [`ProxySecret`], [`ProxyLink`], [`HelloTemplate`] | MTProxy: secrets, links, the imitation of TLS 1.3 |
//! | [`Relay`] | two connections joined, as a proxy does |
//! | [`http`], [`websocket`] | payloads in HTTP bodies; the WebSocket upgrade |
//! | [`ReplayFilter`], [`ConnectionLimits`] | protection of servers |
//!
//! A client and a server over bytes in memory:
//!
//! ```
//! use chappe_transport::{
//!     AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, Connector, Framing, Incoming, ConnectionLimits,
//!     ReadBuf,
//! };
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::from_seed([1; 32]);
//!
//! // The client sends the first bytes of the transport, then a frame.
//! let mut wire = Vec::new();
//! let connector = Connector::obfuscated(Framing::Intermediate, None)?;
//! let ConnectStep::Ready(mut client) = connector.start(0, &mut rng, &mut wire)? else { unreachable!() };
//! let envelope = [7; 40];
//! client.sender.encode_into(&mut wire, &envelope, AckRequest::Quick, &mut rng)?;
//!
//! // The server detects the transport, then takes frames out.
//! let config = AcceptConfig::datacenter();
//! let mut context = AcceptContext { config: &config, unix_time: 0, replays: None };
//! let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
//! buf.extend_from_slice(&wire)?;
//! let AcceptStep::Ready(mut server) = Acceptor::new().handle(&mut buf, &mut context, &mut rng)? else {
//!     panic!("the header and a frame were sent");
//! };
//! assert_eq!(server.connection.framing(), Framing::Intermediate);
//! match server.connection.receiver.receive(&mut buf)? {
//!     Some(Incoming::Envelope { payload, ack: AckRequest::Quick }) => assert_eq!(payload, envelope),
//!     other => panic!("unexpected {other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod accept;
mod connect;
mod detect;
mod error;
mod fake_tls;
mod framing;
pub mod http;
mod limits;
mod link;
mod obfuscation;
mod payload;
mod read_buf;
mod reframer;
mod relay;
mod replay;
mod secret;
mod stream;
pub mod websocket;

/// The parts that connections are made of, for tests and fuzzing targets. Not part of the stable API.
#[doc(hidden)]
pub mod parts {
    pub use crate::detect::{Detected, detect};
    pub use crate::fake_tls::record::{MAX_RECORD_PAYLOAD, RecordReader, RecordWriter};
    pub use crate::fake_tls::server::ClientHello;
    pub use crate::fake_tls::split::{Joined, join};
    pub use crate::fake_tls::{
        check_client_hello, check_server_answer, sign_client_hello, sign_server_answer,
    };
    pub use crate::framing::{Decoded, Decoder, Encoder, MAX_HEAD, MAX_TAIL};
    pub use crate::obfuscation::{Keystream, Obfuscation, identity};
    pub use crate::payload::{Payload, unpadded_len};
}

pub use accept::{AcceptConfig, AcceptContext, AcceptRefusal, AcceptStep, Accepted, Acceptor, Disguise};
pub use chappe_crypto::{QuickAckToken, Side};
pub use chappe_types::{DcId, TransportErrorCode};
pub use connect::{ConnectStep, Connector, ExpectServerHello};
pub use error::{MalformedStream, StreamRefusal, TransportError, TransportMisuse};
pub use fake_tls::answer::{AnswerProfile, DataRecord};
pub use fake_tls::hello::{HelloPart, HelloTemplate};
pub use fake_tls::profile::HelloProfile;
pub use fake_tls::server::{HelloNames, HelloRefusal, TimeWindow};
pub use framing::{AckRequest, Affixes, Framing};
pub use limits::ConnectionLimits;
pub use link::{ProxyLink, SocksLink};
pub use read_buf::ReadBuf;
pub use relay::Relay;
pub use replay::ReplayFilter;
pub use secret::{Domain, MAX_DOMAIN_LEN, ProxySecret, SecretError, SecretKey, SecretKind};
pub use stream::{Connection, Incoming, ReceivedFrame, Receiver, Sender};
