//! The service types of Telegram's MTProto, generated from its TL schema.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
