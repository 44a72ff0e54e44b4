//! Sessions of MTProto 2.0 as state machines, for clients and servers.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
