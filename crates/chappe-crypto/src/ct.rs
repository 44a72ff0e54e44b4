//! Comparison in constant time.

use subtle::{Choice, ConstantTimeEq, ConstantTimeGreater};

/// Returns whether `a` and `b` are equal, in a time that depends on their lengths only (SEC-06).
///
/// Slices of different lengths are unequal, which the time reveals: lengths are not secret.
///
/// ```
/// assert!(chappe_crypto::ct::eq(b"nonce", b"nonce"));
/// assert!(!chappe_crypto::ct::eq(b"nonce", b"nonsense"));
/// ```
#[must_use]
pub fn eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Returns whether all bytes are zero, in a time that depends on the length only (SEC-06).
pub(crate) fn is_zero(number: &[u8]) -> bool {
    number.iter().fold(0, |bits, byte| bits | byte).ct_eq(&0).into()
}

/// Returns whether the big-endian number `a` is below `b`, in a time that does not depend on them (SEC-06).
pub(crate) fn is_less<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    // From the least significant byte on: a more significant byte that differs overrules those before.
    let less = a.iter().zip(b).rev().fold(Choice::from(0), |less, (a, b)| b.ct_gt(a) | (a.ct_eq(b) & less));
    less.into()
}

#[cfg(test)]
mod tests {
    use super::{is_less, is_zero};

    #[test]
    fn numbers_compare_as_arrays_of_bytes_do() {
        let numbers =
            [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 255, 255], [1, 0, 0], [1, 0, 255], [255, 255, 255]];
        for a in &numbers {
            assert_eq!(is_zero(a), *a == [0; 3], "{a:?}");
            for b in &numbers {
                assert_eq!(is_less(a, b), a < b, "{a:?} {b:?}");
            }
        }
    }
}
