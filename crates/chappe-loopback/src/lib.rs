//! An embedded Telegram datacenter for tests without a network.
#![forbid(unsafe_code)]
