//! What the kernels of every kind of CPU have in common.

#[cfg(feature = "batch")]
pub(crate) mod lanes;
pub(crate) mod sha256_constants;
