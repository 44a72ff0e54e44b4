//! Clients of both drivers against the embedded datacenter.

mod basics;
mod restarts;
mod world;
