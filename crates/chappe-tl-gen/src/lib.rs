//! Generates Rust types from a TL (Type Language) schema.
#![forbid(unsafe_code)]
