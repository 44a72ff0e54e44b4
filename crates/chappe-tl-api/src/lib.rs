//! The types and functions of Telegram's API, generated from its TL schema.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
