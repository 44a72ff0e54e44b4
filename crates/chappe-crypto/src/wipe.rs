//! Wiping of small secrets that every message uses.
//!
//! `Zeroize` uses one volatile write per byte, which for the keys of a short message costs more than their use. Here an
//! ordinary write, which the compiler may widen, is followed by a barrier that counts as a read.

use zeroize::optimization_barrier;

/// Overwrites `bytes` with zeros.
#[inline]
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}
