//! Fleets of real processes with a real Redis: killed, drained, paused, and with a store that goes away.
//!
//! `CONTRIBUTING.md` tells where Redis is looked for.
#![cfg(unix)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

#[allow(dead_code, reason = "PostgreSQL is tested elsewhere")]
#[path = "../directories/programs.rs"]
mod programs;

mod balancer;
mod clients;
mod hand_over;
mod process;
mod trouble;
