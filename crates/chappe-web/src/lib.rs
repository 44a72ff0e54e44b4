//! A client for MTProto in a browser: the page's WebSocket, clocks, randomness and storage around the client of
//! [`chappe_net`].
//!
//! [`connect`] gives the same [`Client`] as the drivers over tokio and over threads: it makes and keeps its key, reconnects,
//! and reports updates. [`production`] and [`at`] make its options; an [`IndexedDb`] keeps its key when the page is loaded
//! again.
//!
//! ```no_run
//! use std::sync::Arc;
//! use chappe_net::InvokeOptions;
//! use chappe_web::IndexedDb;
//!
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! let store = IndexedDb::open("account").await?;
//! let options = chappe_web::production(2).with_async_store(Arc::new(store));
//! let client = chappe_web::connect(options).await?;
//! let get_config = 0xc4f9_186b_u32.to_le_bytes();
//! let answer = client.invoke_bytes(&get_config, &InvokeOptions::default()).await?;
//! # let _ = answer;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/page` is a whole page. Everything here also works in a worker, where a long computation does not delay the page.
//!
//! # Limits
//!
//! A page has no sockets but those of WebSocket: no proxies and no TCP. The browser closes them when the page is gone, and runs
//! the timers of a page in the background once a second or once a minute; the client notices both. Methods that block, such as
//! [`Closing::wait`](chappe_net::Closing::wait), must not be called: a page has one thread, and it would wait for itself.
//! Builds with threads (the target feature `atomics`) are not supported.
#![forbid(unsafe_code)]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "the client that this crate drives needs std"
)]

mod alarm;
mod clock;
mod driver;
mod indexed_db;
mod js;
mod options;
mod signal;
mod socket;

use std::sync::Arc;

use chappe_net::{Client, ConnectError, ConnectOptions};

pub use indexed_db::IndexedDb;
pub use options::{at, production, test};

/// Connects, makes a key if the store has none, and gives the client once the datacenter has answered.
///
/// # Errors
///
/// The error states who failed; see [`ConnectError::blame`].
pub async fn connect(options: ConnectOptions) -> Result<Client, Arc<ConnectError>> {
    let client = start(options)?;
    let Err(error) = client.ready().await else { return Ok(client) };
    // The store is free for the next attempt.
    client.close().await;
    Err(error)
}

/// Starts a client and does not wait for it; see [`Client::ready`].
///
/// # Errors
///
/// An option cannot work, or the browser gives no randomness.
pub fn start(options: ConnectOptions) -> Result<Client, ConnectError> {
    let signal = Arc::<signal::Signal>::default();
    let waker = Arc::clone(&signal);
    let (client, driver) = Client::with_driver(options, clock::now, move || waker.set())?;
    js_sys::futures::spawn_local(driver::run(driver, signal));
    Ok(client)
}
