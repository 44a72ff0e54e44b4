//! Servers whose calls are answered by a typed router, and clients of ours.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

mod calls;
mod limits;
mod methods;
mod rig;
mod stopping;
mod tower_layers;
