//! Clients of both drivers against the embedded datacenter.

mod basics;
mod blocking;
mod faults;
mod keys;
mod lanes;
mod restarts;
mod stall;
mod world;
