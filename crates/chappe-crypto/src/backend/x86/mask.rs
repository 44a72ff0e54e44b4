//! The pass that wipes a message or keeps it, in wide registers.

/// Replaces every byte by its AND with `mask`.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn apply(mask: u8, data: &mut [u8]) {
    // The compiler makes vector instructions of this; the feature is all it needs to know.
    for byte in data {
        *byte &= mask;
    }
}
