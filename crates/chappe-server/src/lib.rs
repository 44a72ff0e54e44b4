//! An MTProto server: keys, handshakes and sessions, and the listeners that carry them.
//!
//! | type | role |
//! |---|---|
//! | [`Engine`] | keys, handshakes and sessions, shared by all connections; no sockets |
//! | [`Router`] | answers queries: an async handler for each function |
//! | [`Handler`] | the same without types: what a router is to the engine |
//! | [`ServerConnection`] | one connection of the engine: payloads in, payloads out |
//! | `blocking::Server`, `tokio::Server` | a listener that serves every transport on one port |
//! | [`directory`] | keys that outlive the process, and that several processes share |
//! | [`fleet`] | several processes that own sessions in turn |
//! | [`driver`] | what a listener is made of, for sockets and runtimes of your own |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(any(feature = "blocking", feature = "tokio")),
    allow(dead_code, reason = "only listeners use what they share")
)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "sockets need std")]

mod accepting;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "blocking")]
mod blocking_front;
mod budgets;
mod clock;
mod connection;
mod connection_limit;
mod conversation;
mod counters;
mod detached;
pub mod directory;
#[cfg(feature = "blocking")]
mod directory_threads;
pub mod driver;
mod engine;
mod engine_counters;
mod engine_options;
mod event;
pub mod fleet;
#[cfg(feature = "tokio")]
mod front;
mod handler;
mod handshake_queue;
mod handshake_workers;
mod http;
mod inflation;
mod key_life;
mod key_table;
mod keys;
mod listen_options;
mod meter;
mod metrics;
mod networks;
mod observed;
mod replies;
mod requests;
mod router;
mod scratch;
mod session;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod shared;
#[cfg(feature = "tokio")]
pub mod tokio;
mod unacked;

pub use budgets::Budgets;
pub use chappe_carrier::Address;
pub use chappe_types::RpcError;
pub use clock::Clock;
pub use connection::{Output, ServerConnection};
pub use counters::ServerCounters;
pub use engine::Engine;
pub use engine_counters::EngineCounters;
pub use engine_options::EngineOptions;
pub use event::ServerEvent;
pub use handler::{Context, Handler, QueryResponse};
pub use keys::{KeyState, KeyStatus};
pub use listen_options::ListenOptions;
pub use metrics::{Histogram, ServerMetrics};
pub use networks::Networks;
#[cfg(feature = "tower")]
pub use router::RouterService;
pub use router::{
    Answer, Call, CallContext, CallLimits, Datacenter, Datacenters, Device, Dispatcher, FromCall, IntoAnswer,
    Logins, RawCall, Reply, Router,
};
pub use session::Attached;
