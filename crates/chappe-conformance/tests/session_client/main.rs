//! The client's half of a session against a server that says whatever a test wants.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    reason = "a program of its own, which fails by panicking"
)]

extern crate alloc;

mod bulk;
mod calls;
mod clock;
mod former;
mod holes;
mod keys;
mod once;
mod pair;
mod receiving;
mod recovery;
mod service;
mod state;
