//! The server's engine, without its sockets: keys, handshakes, sessions and who answers queries.
//!
//! [`Engine`] is shared by all connections; each connection has a [`ServerConnection`], which takes payloads and
//! gives back what to send. The drivers ([`crate::tokio::serve`]) only move bytes. What a query means is the
//! business of a [`Handler`].

mod connection;
mod engine;
mod handler;
mod keys;
mod options;
mod session;

pub use connection::{Output, ServerConnection};
pub use engine::Engine;
pub use handler::{Context, Handler, Verdict};
pub use keys::{KeyKind, KeyState};
pub use options::EngineOptions;
pub use session::Attached;
