//! The server's engine, without its sockets: keys, handshakes, sessions and who answers queries.
//!
//! [`Engine`] is shared by all connections; each connection has a [`ServerConnection`], which takes payloads and
//! gives back what to send. The drivers only move bytes. What a query means is the
//! business of a [`Handler`].

#[cfg(any(feature = "blocking", feature = "tokio"))]
mod arrival;
mod connection;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod conversation;
mod counters;
mod engine;
mod faults;
mod handler;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod http;
mod keys;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod kit;
mod options;
mod session;

pub use chappe_session::server::KeyStatus;
pub use connection::{Output, ServerConnection};
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) use conversation::{Conversation, Write};
pub use counters::ServerCounters;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) use counters::{Tally, add};
pub use engine::Engine;
pub use faults::{Fault, Faults, NoFaults};
pub use handler::{Context, Handler, Verdict};
pub use keys::KeyState;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) use kit::{Kit, Shelf};
pub use options::EngineOptions;
pub use session::Attached;
