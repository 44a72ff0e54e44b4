//! The embedded datacenter on real sockets: every transport, temporary keys, its API, its faults.

mod api;
mod client;
mod cloud;
mod faults;
mod temporary_keys;
mod transports;
