//! The byte layers between a socket and MTProto's transports, for clients and servers, without sockets.
//!
//! | type | role |
//! |---|---|
//! | [`FrameWriter`], [`FrameReader`] | the two halves of a connection, joined to the buffers they work on |
//! | [`Stack`] | TLS and WebSocket between the socket and the stream of frames |
//! | [`Proxy`], [`Negotiation`] | the exchange with a SOCKS or HTTP CONNECT proxy |
//! | [`proxy_protocol`] | the header in which a load balancer names the client, on the server's side |
//! | [`HttpLane`] | requests and responses of one HTTP connection, on the client's side |
//!
//! Bytes read from a socket go in, bytes to write come out. Drivers, which own the sockets, are `chappe-net` for
//! clients and `chappe-server` for servers.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "rustls and tungstenite need std"
)]

mod address;
mod endpoint;
mod error;
#[cfg(feature = "websocket")]
mod frames;
mod http;
mod link;
mod lock;
mod proxy;
pub mod proxy_protocol;
mod stack;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websocket;

pub use address::Address;
pub use endpoint::Endpoint;
pub use error::{Interception, LinkError, Wait};
pub use http::{HttpAnswer, HttpLane, LANES, QUEUE, may_repeat};
pub use link::{FrameReader, FrameWriter, join, join_over};
pub use lock::lock;
pub use proxy::{AuthScheme, Credentials, Negotiation, Proxy, ProxyError};
pub use stack::{Carried, ONE_READ, Stack};
#[cfg(feature = "tls")]
pub use tls::TlsOptions;
