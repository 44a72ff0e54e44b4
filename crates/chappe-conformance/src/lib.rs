//! Vectors, hostile peers and whole-protocol tests for the chappe crates.
#![forbid(unsafe_code)]
