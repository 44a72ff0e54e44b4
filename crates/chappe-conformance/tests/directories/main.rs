//! Directories of keys: one contract for all of them, with crashes and lost connections.
//!
//! Redis and PostgreSQL are real ones, which the tests start and kill. `CONTRIBUTING.md` tells where they are looked for.
#![cfg(unix)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

mod contract;
mod cut;
mod file;
mod postgres;
mod programs;
mod redis;
