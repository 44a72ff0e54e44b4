//! Comparison in constant time.

use subtle::ConstantTimeEq;

/// Says whether `a` and `b` are equal, in a time that depends on their lengths only (SEC-06).
///
/// Slices of different lengths are unequal, which shows at once: lengths are not secret.
///
/// ```
/// assert!(chappe_crypto::ct::eq(b"nonce", b"nonce"));
/// assert!(!chappe_crypto::ct::eq(b"nonce", b"nonsense"));
/// ```
#[must_use]
pub fn eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
