//! Every cryptographic primitive of Telegram's MTProto 2.0, for clients and servers.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
