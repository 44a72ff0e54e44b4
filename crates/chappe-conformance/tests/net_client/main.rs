//! Clients of both drivers against the embedded datacenter.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests for a host with std")]

mod addresses;
mod basics;
mod blocking;
mod clogged;
mod destruction;
mod ending;
mod faults;
mod forger;
mod hostile;
mod keys;
mod lanes;
mod metrics;
mod options;
mod restarts;
mod shaped;
mod stall;
mod stores;
mod world;
