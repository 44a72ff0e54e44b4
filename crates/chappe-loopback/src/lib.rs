//! An embedded Telegram datacenter, for tests without a network.
//!
//! It listens on a real socket, finds out which transport a client speaks, makes real keys and keeps real sessions. It has
//! accounts that log in, messages, updates and files, which datacenters share ([`Cloud`]); further methods are one async
//! closure each ([`Options::on`]).
//!
//! ```
//! use chappe_loopback::Loopback;
//!
//! let datacenter = Loopback::start()?;
//! let (address, dc) = (datacenter.address(), datacenter.dc());
//! let key = datacenter.public_key().to_pem()?; // for the client to pin
//! assert!(address.ip().is_loopback() && dc.number() == 2 && key.contains("PUBLIC KEY"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A datacenter that misbehaves on purpose:
//!
//! ```
//! use chappe_loopback::{FaultScript, Fault, Options};
//!
//! let faults = FaultScript::new();
//! let datacenter = Options::new().faults(&faults).start()?;
//! faults.next(Fault::Duplicate); // the next envelope comes twice
//! # drop(datacenter);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a datacenter on real sockets has std"
)]

pub mod api;
mod cloud;
mod error;
mod faults;
mod faulty;
mod handler;
mod loopback;
mod options;

pub use cloud::{Cloud, StoredMessage};
pub use error::StartError;
pub use faults::{Fault, FaultScript, Misbehaviour};
pub use loopback::Loopback;
pub use options::Options;
