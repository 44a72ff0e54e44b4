//! Errors of keys, encryption and decryption.

use core::fmt;

/// Why a key was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The PEM text, or the structure in it, cannot be read as an RSA key.
    Malformed,
    /// The modulus has not exactly 2048 bits (SEC-19).
    ModulusSize {
        /// The number of bits it has.
        bits: usize,
    },
    /// The modulus is even.
    EvenModulus,
    /// The public exponent is not an odd number above 1 and below the modulus (SEC-19).
    Exponent,
    /// Key generation failed.
    Generation,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("key is not an RSA key in PKCS#1, SPKI or PKCS#8 form"),
            Self::ModulusSize { bits } => write!(f, "modulus has {bits} bits instead of 2048"),
            Self::EvenModulus => f.write_str("modulus is even"),
            Self::Exponent => f.write_str("public exponent is not odd, above 1 and below the modulus"),
            Self::Generation => f.write_str("key generation failed"),
        }
    }
}

impl core::error::Error for KeyError {}

/// Why data was not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PadError {
    /// The data has more than 144 bytes (SEC-23).
    TooLong {
        /// Its length.
        got: usize,
    },
    /// No random temporary key gave a number below the modulus: the source of randomness is broken.
    Randomness,
}

impl fmt::Display for PadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { got } => write!(f, "data has {got} bytes, more than 144"),
            Self::Randomness => f.write_str("every random temporary key was rejected"),
        }
    }
}

impl core::error::Error for PadError {}

/// Decryption failed. The reason is withheld, because it would be an oracle (SEC-47).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecryptError;

impl fmt::Display for DecryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RSA decryption failed")
    }
}

impl core::error::Error for DecryptError {}
