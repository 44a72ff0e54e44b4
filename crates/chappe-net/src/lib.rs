//! Drivers for MTProto clients: sockets, time-outs and the operating system's clock and randomness around the machines
//! of the other crates.
//!
//! | for | type | over tokio | over threads |
//! |---|---|---|---|
//! | connecting and calling | [`Client`] | `tokio::connect` | `blocking::connect` |
//! | several connections and datacenters | [`DataCenters`] | `tokio::start` | `blocking::start` |
//! | one connection, frame by frame | [`Stream`] | `tokio::dial` | `blocking::dial` |
//! | your own sockets | [`Driver`] | | |
//!
//! Both modules drive the same engine, so neither can do what the other cannot. [`ConnectOptions`] states where a client
//! dials and how long everything may take; a [`store`] keeps its keys. Servers are in `chappe-server`; keys of other
//! libraries' sessions are read by `chappe-import`.
//!
//! ```
//! # #[cfg(feature = "blocking")] {
//! use std::time::Duration;
//! use chappe_net::{Blame, ConnectOptions, blocking};
//!
//! let mut options = ConnectOptions::production(2);
//! options.candidates.clear(); // no network here
//! options.timing.connect = Duration::from_secs(5);
//! let error = blocking::connect(options).expect_err("there is nowhere to connect to");
//! assert_eq!(error.blame(), Blame::Caller);
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(any(feature = "blocking", feature = "tokio")),
    allow(dead_code, reason = "without drivers, their shared part has no caller")
)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "sockets need std")]

mod block_on;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod create_key;
#[cfg(feature = "client")]
mod driver;
#[cfg(feature = "client")]
mod engine;
#[cfg(feature = "client")]
mod key_log;
mod options;
pub mod store;
#[cfg(feature = "client")]
mod stream;
#[cfg(feature = "tokio")]
pub mod tokio;
mod validate;
#[cfg(feature = "client")]
mod waiters;
#[cfg(all(feature = "wire-log", feature = "client"))]
mod wire_log;

#[cfg(feature = "tls")]
pub use chappe_carrier::TlsOptions;
pub use chappe_carrier::{Address, Credentials, Endpoint, Interception, LinkError, Proxy, ProxyError, Wait};
pub use chappe_types::{RpcError, Rule, TransportErrorCode};
#[cfg(feature = "client")]
pub use client::{
    BackOff, Blame, CallCounts, Candidate, Client, ClientId, ClientMetrics, Closing, ConnectError,
    ConnectOptions, CreateKeyError, DataCenter, DataCenters, Gap, InvokeError, InvokeOptions, Lane,
    LaneLimits, LatencyHistogram, NextUpdate, Peer, PendingCall, Ready, Received, Report, Stage, Starting,
    Status, Step, StoreFailure, Timing, Transfer, Update, UpdateLimits, UpdateObject, Updates, Waited,
};
#[cfg(feature = "client")]
pub use driver::{Driver, Socket, Sockets, StoreJob};
#[cfg(feature = "client")]
pub use engine::{Action, Opening, ReadBuffer, SocketId, StoreTask};
#[cfg(feature = "client")]
pub use key_log::{KEY_LOG_FILE, KeyLog, KeyLogFile};
pub use options::{Carrier, DialOptions};
#[cfg(feature = "client")]
pub use stream::{Flush, ReadMore, Stream};
#[cfg(feature = "client")]
pub use validate::InvalidOption;
#[cfg(all(feature = "wire-log", feature = "client"))]
#[cfg_attr(docsrs, doc(cfg(feature = "wire-log")))]
pub use wire_log::WireLog;
