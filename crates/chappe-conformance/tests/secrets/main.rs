//! Secrets are where they are needed, and nowhere else: not in memory afterwards, not in texts.
#![allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "a test")]

mod drivers;
mod edges;
mod exchange;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod scan;
mod search;
mod texts;
mod types;
