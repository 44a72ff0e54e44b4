//! Transports of MTProto as state machines: framings, obfuscation, MTProxy, WebSocket and HTTP payloads.
//!
//! A transport carries payloads (plain or encrypted envelopes) over a stream of bytes. Nothing here opens a
//! socket, waits or draws randomness by itself: a driver passes bytes, time and a generator in, and sends what
//! comes out. Both ends of a connection are made of the same parts.
//!
//! | module | subject |
//! |---|---|
//! | [`framing`] | abridged, intermediate, padded intermediate, full; quick acks |
//! | [`payload`] | what a payload is |
//! | [`obfuscation`] | the 64-byte header and its two cipher streams |
//! | [`secret`], [`link`], [`fake_tls`] | MTProxy: secrets, links, the imitation of TLS 1.3 |
//! | [`connect`], [`accept`], [`detect`] | new connections, either side; every transport on one port |
//! | [`stream`], [`read_buf`] | connections that stand: sending, receiving, the buffer between |
//! | [`http`], [`websocket`] | payloads in HTTP bodies; what stands above a WebSocket library |
//! | [`replay`], [`limits`] | what keeps a server alive |
//!
//! A client and a server over bytes in memory:
//!
//! ```
//! use chappe_transport::{
//!     Accept, AcceptConfig, AcceptContext, Acceptor, AckRequest, Connect, Connector, Framing, Incoming, ConnectionLimits,
//!     ReadBuf,
//! };
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::from_seed([1; 32]);
//!
//! // The client: what to send first, then a frame.
//! let mut wire = Vec::new();
//! let connector = Connector::obfuscated(Framing::Intermediate, None)?;
//! let Connect::Ready(mut client) = connector.start(0, &mut rng, &mut wire)? else { unreachable!() };
//! let envelope = [7; 40];
//! client.sender.encode_into(&mut wire, &envelope, AckRequest::Quick, &mut rng)?;
//!
//! // The server: find out what is spoken, then take frames out.
//! let config = AcceptConfig::data_centre();
//! let mut context = AcceptContext { config: &config, unix_time: 0, replays: None };
//! let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
//! buf.extend_from_slice(&wire)?;
//! let Accept::Ready(mut server) = Acceptor::new().handle(&mut buf, &mut context, &mut rng)? else {
//!     panic!("the header and a frame were sent");
//! };
//! assert_eq!(server.connection.framing(), Framing::Intermediate);
//! match server.connection.receiver.receive(&mut buf)? {
//!     Some(Incoming::Envelope { payload, ack: AckRequest::Quick }) => assert_eq!(payload, envelope),
//!     other => panic!("unexpected {other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod accept;
pub mod connect;
pub mod detect;
pub mod error;
pub mod fake_tls;
pub mod framing;
pub mod http;
pub mod limits;
pub mod link;
pub mod obfuscation;
pub mod payload;
pub mod read_buf;
pub mod replay;
pub mod secret;
pub mod stream;
pub mod websocket;

pub use chappe_crypto::{QuickAckToken, Side};
pub use chappe_types::{DcId, TransportErrorCode};

#[doc(inline)]
pub use accept::{Accept, AcceptConfig, AcceptContext, AcceptRefusal, Accepted, Acceptor};
#[doc(inline)]
pub use connect::{Connect, Connector, ExpectServerHello};
#[doc(inline)]
pub use error::TransportError;
#[doc(inline)]
pub use framing::{AckRequest, Affixes, Decoder, Encoder, Framing, MAX_HEAD, MAX_TAIL};
#[doc(inline)]
pub use limits::ConnectionLimits;
#[doc(inline)]
pub use link::ProxyLink;
#[doc(inline)]
pub use payload::Payload;
#[doc(inline)]
pub use read_buf::ReadBuf;
#[doc(inline)]
pub use replay::ReplayFilter;
#[doc(inline)]
pub use secret::{ProxySecret, SecretError};
#[doc(inline)]
pub use stream::{Connection, Incoming, Received, Receiver, Sender};
