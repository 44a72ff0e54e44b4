//! Wiping of small secrets that stand on the path of every message.
//!
//! `Zeroize` writes byte by byte, each write volatile, which for the keys of a short message costs more than their use.
//! Here an ordinary write, which may be a wide one, is followed by a barrier that the compiler must assume reads it.

use zeroize::optimization_barrier;

/// Overwrites `bytes` with zeros.
#[inline]
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}
