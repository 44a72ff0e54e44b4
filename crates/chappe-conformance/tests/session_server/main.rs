//! The server's half of a session: what it checks, answers and repeats.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    reason = "a program of its own, which fails by panicking"
)]

extern crate alloc;

mod answers;
mod checks;
mod containers;
mod memory;
mod overload;
mod pair;
mod service;
