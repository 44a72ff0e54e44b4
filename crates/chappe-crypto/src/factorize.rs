//! Factorisation of `pq`, the proof of work before the key exchange.
//!
//! [`factorize`] splits every product of two distinct odd primes below 2^63 and rejects every other number. The work is
//! bounded for every input: at most `MAX_CURVES` elliptic curves (three are needed on average), then a bounded Pollard
//! walk.
//!
//! Not here: the choice of `p` and `q` by servers.
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key#proof-of-work>; SEC-21, SEC-22.

mod ecm;
mod montgomery;
mod primality;
mod rho;

use core::fmt;

use self::montgomery::Field;

/// Maximum number of curves before the slower method.
const MAX_CURVES: u64 = 200;
/// Maximum number of Pollard walks.
const MAX_WALKS: u64 = 4;

/// Divisors for trial division.
const SMALL_PRIMES: [u64; 30] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127,
];

/// Splits `pq` into its two distinct odd prime factors, smaller first.
///
/// Takes about 40 microseconds for the 62-bit numbers that servers send.
///
/// # Errors
///
/// Fails if `pq` is not such a product or not below 2^63 (SEC-21).
///
/// ```
/// # use chappe_crypto::factorize;
/// assert_eq!(factorize(0x17ed48941a08f981), Ok((1229739323, 1402015859)));
/// ```
pub fn factorize(pq: u64) -> Result<(u64, u64), FactorizeError> {
    if pq >= 1 << 63 {
        return Err(FactorizeError::TooLarge);
    }
    if pq.is_multiple_of(2) {
        return Err(FactorizeError::Even { pq });
    }
    if pq < 15 {
        return Err(FactorizeError::TooSmall { pq });
    }
    let factor = find_factor(pq)?;
    let (p, q) = (factor.min(pq / factor), factor.max(pq / factor));
    if p == q {
        return Err(FactorizeError::Square { pq });
    }
    if !primality::is_prime(p) || !primality::is_prime(q) {
        return Err(FactorizeError::NotTwoPrimes { pq });
    }
    Ok((p, q))
}

/// Splits `pq` in the form of `resPQ`: 1 to 8 big-endian bytes.
///
/// # Errors
///
/// Fails like [`factorize`], and if the number of bytes is not 1 to 8.
pub fn from_bytes(pq: &[u8]) -> Result<(u64, u64), FactorizeError> {
    if pq.is_empty() || pq.len() > 8 {
        return Err(FactorizeError::Length { got: pq.len() });
    }
    factorize(pq.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// Finds any proper factor of an odd number from 15 up.
fn find_factor(pq: u64) -> Result<u64, FactorizeError> {
    if let Some(prime) = SMALL_PRIMES.into_iter().find(|&prime| pq.is_multiple_of(prime)) {
        return if prime == pq { Err(FactorizeError::Prime { pq }) } else { Ok(prime) };
    }
    if primality::is_prime(pq) {
        return Err(FactorizeError::Prime { pq });
    }
    let root = pq.isqrt();
    if root * root == pq {
        return Err(FactorizeError::Square { pq });
    }
    let field = Field::new(pq);
    ecm::find_factor(&field, MAX_CURVES)
        .or_else(|| rho::find_factor(&field, MAX_WALKS))
        .ok_or(FactorizeError::GaveUp { pq })
}

/// Why a number was not split into two distinct odd primes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FactorizeError {
    /// The byte string is empty or longer than 8 bytes.
    Length {
        /// Its length.
        got: usize,
    },
    /// The number is 2^63 or more.
    TooLarge,
    /// The number is even; zero is.
    Even {
        /// The number.
        pq: u64,
    },
    /// The number is below 15, the least product of two distinct odd primes.
    TooSmall {
        /// The number.
        pq: u64,
    },
    /// The number is itself a prime.
    Prime {
        /// The number.
        pq: u64,
    },
    /// The number is a square, so its two factors are equal.
    Square {
        /// The number.
        pq: u64,
    },
    /// The number has more than two prime factors.
    NotTwoPrimes {
        /// The number.
        pq: u64,
    },
    /// The bounded search ended without a factor.
    GaveUp {
        /// The number.
        pq: u64,
    },
}

impl fmt::Display for FactorizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { got } => write!(f, "pq has {got} bytes instead of 1 to 8"),
            Self::TooLarge => f.write_str("pq is not below 2^63"),
            Self::Even { pq } => write!(f, "pq {pq} is even"),
            Self::TooSmall { pq } => write!(f, "pq {pq} is too small"),
            Self::Prime { pq } => write!(f, "pq {pq} is a prime"),
            Self::Square { pq } => write!(f, "pq {pq} is a square"),
            Self::NotTwoPrimes { pq } => write!(f, "pq {pq} is not a product of two primes"),
            Self::GaveUp { pq } => write!(f, "no factor of pq {pq} was found within the bounds"),
        }
    }
}

impl core::error::Error for FactorizeError {}

#[cfg(test)]
mod tests;
