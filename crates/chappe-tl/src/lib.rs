//! Run-time support for types generated from TL (Type Language) schemas.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
