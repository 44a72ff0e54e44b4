//! An embedded Telegram datacenter for tests without a network.
#![forbid(unsafe_code)]

pub mod api;
#[path = "generated/mod.rs"]
mod schema;
