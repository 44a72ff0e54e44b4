//! Errors in Diffie-Hellman parameters and values.

use core::fmt;

/// Why Diffie-Hellman parameters or a public value were rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DhError {
    /// The prime has not exactly 2048 bits (SEC-30).
    PrimeSize {
        /// The number of bits it has.
        bits: usize,
    },
    /// The number given as prime is composite (SEC-31).
    NotPrime,
    /// The prime `p` is not safe: `(p - 1) / 2` is composite (SEC-31).
    NotSafePrime,
    /// The generator is not one of 2 to 7 (SEC-32).
    GeneratorRange {
        /// The generator.
        generator: i32,
    },
    /// The generator does not generate the subgroup of prime order (SEC-32).
    GeneratorNotResidue {
        /// The generator.
        generator: i32,
    },
    /// A public value has more than 256 bytes.
    ValueTooLong {
        /// The number of bytes.
        got: usize,
    },
    /// A public value `v` does not fulfil `1 < v < p - 1` (SEC-33).
    ValueOutOfGroup,
    /// A public value `v` does not fulfil `2^1984 <= v <= p - 2^1984` (SEC-34).
    ValueOutOfSafeRange,
}

impl fmt::Display for DhError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrimeSize { bits } => write!(f, "dh_prime has {bits} bits instead of 2048"),
            Self::NotPrime => f.write_str("dh_prime is not prime"),
            Self::NotSafePrime => f.write_str("(dh_prime - 1) / 2 is not prime"),
            Self::GeneratorRange { generator } => write!(f, "generator {generator} is not one of 2 to 7"),
            Self::GeneratorNotResidue { generator } => {
                write!(f, "generator {generator} is not a quadratic residue modulo dh_prime")
            }
            Self::ValueTooLong { got } => write!(f, "public value has {got} bytes, more than 256"),
            Self::ValueOutOfGroup => f.write_str("public value is not between 1 and dh_prime - 1"),
            Self::ValueOutOfSafeRange => {
                f.write_str("public value is not between 2^1984 and dh_prime - 2^1984")
            }
        }
    }
}

impl core::error::Error for DhError {}
