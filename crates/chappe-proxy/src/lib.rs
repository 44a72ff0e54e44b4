//! An MTProxy: clients with a secret on one side, Telegram's datacenters on the other.
//!
//! [`Config`] is what people write, [`Settings`] is what was checked, and [`Proxy`] runs. The program `chappe-proxy` adds
//! arguments, signals and the service manager; `docs/running-a-proxy.md` describes it.
//!
//! The bytes pass through [`chappe_transport::Relay`], which has no sockets; this crate moves them between sockets over tokio.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "sockets need std")]

mod accepting;
mod buffers;
mod config;
mod connection;
mod counters;
mod error;
mod expiry;
mod metrics;
mod pipe;
#[cfg(feature = "program")]
pub mod program;
mod proxy;
mod settings;
mod shared;
mod upstream;
mod usage;
mod user;

pub use config::{
    CarrierChoice, Config, DatacenterConfig, FramingChoice, HelloDomains, Mode, ProxyLimits, Secret,
    SecretText, Upstream, UserConfig,
};
pub use counters::ProxyCounters;
pub use error::ConfigError;
pub use proxy::{Proxy, UserUsage};
pub use settings::Settings;
