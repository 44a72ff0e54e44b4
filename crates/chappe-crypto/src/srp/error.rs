//! Errors of password proofs.

use core::fmt;

/// Why a password proof could not be computed or was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SrpError {
    /// The server's value `B` has not 248 to 256 bytes (SEC-159).
    ServerValueLength {
        /// Its length.
        got: usize,
    },
    /// The server's value `B` is not between 0 and the prime (SEC-159), or makes the proof trivial.
    ServerValueRange,
    /// The client's value `A` has more than 256 bytes (SEC-161).
    ClientValueLength {
        /// Its length.
        got: usize,
    },
    /// The client's value `A` does not fulfil `1 < A < p - 1` (SEC-161).
    ClientValueRange,
    /// The proof `M1` is wrong, so the password is. Wire error: `PASSWORD_HASH_INVALID`.
    WrongProof,
    /// No random exponent gave a usable value: the source of randomness is broken.
    Randomness,
}

impl fmt::Display for SrpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerValueLength { got } => write!(f, "srp_B has {got} bytes instead of 248 to 256"),
            Self::ServerValueRange => f.write_str("srp_B is out of range"),
            Self::ClientValueLength { got } => write!(f, "A has {got} bytes, more than 256"),
            Self::ClientValueRange => f.write_str("A is out of range"),
            Self::WrongProof => f.write_str("M1 does not prove the password"),
            Self::Randomness => f.write_str("no random exponent gave a usable value"),
        }
    }
}

impl core::error::Error for SrpError {}
