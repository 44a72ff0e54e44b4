//! A proxy over real sockets, in front of the embedded datacenter and of one that gives every envelope back.
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests over sockets"
)]

mod ends;
mod fronts;
mod life;
mod transports;
mod users;
