//! The two kinds of number in an exchange: secret exponents and checked public values.

use core::fmt;

use crypto_bigint::U2048;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::DhError;

/// A secret exponent of 2048 bits, big-endian; wiped on drop.
///
/// Use each exponent for one exchange only, and a fresh one for each retry (SEC-02).
pub struct Exponent([u8; 256]);

impl Exponent {
    /// Draws 2048 random bits.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut exponent = Self([0; 256]);
        rng.fill_bytes(&mut exponent.0);
        exponent
    }

    /// Creates an exponent from big-endian bytes.
    pub const fn from_bytes(bytes: [u8; 256]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 256] {
        &self.0
    }
}

impl Drop for Exponent {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Exponent {}

impl fmt::Debug for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exponent(..)")
    }
}

/// A public value that is in range for its group: `g_a` or `g_b`, 256 bytes, big-endian.
///
/// Only the checks of a [`Group`](super::Group) create one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicValue([u8; 256]);

impl PublicValue {
    /// Checks both range rules (SEC-33, SEC-34).
    pub(super) fn check(prime: &[u8; 256], value: &[u8]) -> Result<Self, DhError> {
        let value = left_padded(value).ok_or(DhError::ValueTooLong { got: value.len() })?;
        let (v, p) = (U2048::from_be_slice(&value), U2048::from_be_slice(prime));
        if v <= U2048::ONE || v >= p.wrapping_sub(&U2048::ONE) {
            return Err(DhError::ValueOutOfGroup);
        }
        // "We recommend checking that g_a and g_b are between 2^{2048-64} and dh_prime - 2^{2048-64} as well."
        let bound = U2048::ONE << (2048 - 64);
        if v < bound || v > p.wrapping_sub(&bound) {
            return Err(DhError::ValueOutOfSafeRange);
        }
        Ok(Self(value))
    }

    /// Returns the value: 256 bytes, big-endian, leading zeros kept.
    pub const fn as_bytes(&self) -> &[u8; 256] {
        &self.0
    }
}

impl fmt::Debug for PublicValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicValue(")?;
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// Writes a big-endian number of at most 256 bytes with all its leading zeros.
pub(crate) fn left_padded(number: &[u8]) -> Option<[u8; 256]> {
    let mut padded = [0; 256];
    padded.get_mut(256usize.checked_sub(number.len())?..)?.copy_from_slice(number);
    Some(padded)
}
