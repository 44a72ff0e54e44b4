//! Creation of MTProto auth keys: the client's and the server's half, and the binding of temporary keys.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
