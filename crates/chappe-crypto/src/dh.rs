//! Diffie-Hellman over a safe prime of 2048 bits: the checks and the exponentiations.
//!
//! A [`Group`] exists only for a prime and a generator that passed every check, a [`PublicValue`] only for a number in
//! range, so results computed from them need no further check. Any safe prime is accepted, not only the published one;
//! [`PrimeCache`] stores the results.
//!
//! Exponentiation is constant time in the exponent and in the base.
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key>, <https://core.telegram.org/mtproto/security_guidelines>;
//! SEC-02, SEC-30 to SEC-36.
//!
//! ```
//! # use chappe_crypto::dh::Group;
//! # use rand_core::SeedableRng;
//! # let mut rng = rand_chacha::ChaCha20Rng::from_seed([7; 32]);
//! let group = Group::known(3)?;
//! let (exponent, g_a) = group.key_pair(&mut rng)?;
//! let agreement = group.agree(&mut rng, &g_a)?;
//! assert_eq!(agreement.shared, group.shared_secret(&exponent, &agreement.public));
//! # Ok::<(), chappe_crypto::dh::DhError>(())
//! ```

mod cache;
mod error;
mod known;
mod safe_prime;
mod value;

pub use self::{
    cache::{PrimeCache, PrimeCacheError},
    error::DhError,
    known::KNOWN_PRIME,
    value::{Exponent, PublicValue},
};

use core::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use self::cache::PrimalityResult;
pub(crate) use self::value::left_padded;
use crate::backend::modexp::Modulus;

/// Maximum number of random exponents. One is out of range with a probability of 2^-63, so a second failure means that the
/// source of randomness is broken.
const MAX_DRAWS: usize = 8;

/// A safe prime of 2048 bits and a generator of its subgroup of prime order, both checked.
#[derive(Clone)]
pub struct Group {
    prime: [u8; 256],
    generator: u8,
    modulus: Modulus,
}

/// The results of [`Group::agree`].
#[derive(Clone)]
pub struct Agreement {
    /// The value to send: `g_b`.
    pub public: PublicValue,
    /// The common secret `g_a^b`: 256 bytes, leading zeros kept (SEC-36).
    pub shared: Zeroizing<[u8; 256]>,
}

impl Group {
    /// Checks a prime and a generator received from a peer.
    ///
    /// The prime may be any safe prime of 2048 bits, big-endian; leading zero bytes are ignored. The two primality tests take
    /// tens of milliseconds once: `cache` stores the result. The published prime needs no test. `rng` provides the bases.
    ///
    /// # Errors
    ///
    /// Fails if the prime has not 2048 bits, is not a safe prime, or the generator is not a quadratic residue
    /// out of 2 to 7 (SEC-30, SEC-31, SEC-32).
    pub fn check(
        prime: &[u8],
        generator: i32,
        cache: &mut PrimeCache,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, DhError> {
        let prime = prime_of_2048_bits(prime)?;
        let generator = check_generator(&prime, generator)?;
        if prime != KNOWN_PRIME {
            check_safe_prime(&prime, cache, rng)?;
        }
        Ok(Self { modulus: Modulus::new(&prime), prime, generator })
    }

    /// Creates the group of the published prime with the given generator (servers use 3).
    ///
    /// # Errors
    ///
    /// Fails unless the generator is 3, 4 or 7 (SEC-32).
    pub fn known(generator: i32) -> Result<Self, DhError> {
        let generator = check_generator(&KNOWN_PRIME, generator)?;
        Ok(Self { modulus: Modulus::new(&KNOWN_PRIME), prime: KNOWN_PRIME, generator })
    }

    /// Returns the prime, big-endian.
    pub const fn prime(&self) -> &[u8; 256] {
        &self.prime
    }

    /// Returns the generator: 2 to 7.
    pub const fn generator(&self) -> i32 {
        self.generator as i32
    }

    pub(crate) const fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// Checks a public value received from a peer: at most 256 big-endian bytes, shorter if leading zeros were
    /// left out. Both range rules apply; the end points of the second are allowed.
    ///
    /// # Errors
    ///
    /// Fails if the value is too long or out of range (SEC-33, SEC-34).
    pub fn check_public(&self, value: &[u8]) -> Result<PublicValue, DhError> {
        PublicValue::check(&self.prime, value)
    }

    /// Computes `g^exponent`, in constant time.
    ///
    /// # Errors
    ///
    /// Fails if the result is out of range; draw another exponent then (SEC-35).
    pub fn public_value(&self, exponent: &Exponent) -> Result<PublicValue, DhError> {
        self.check_public(&self.modulus.pow_generator(self.generator, exponent.as_bytes()))
    }

    /// Draws an exponent and computes its public value.
    ///
    /// # Errors
    ///
    /// Fails if `rng` is broken: several exponents in a row gave no value in range.
    pub fn key_pair(&self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<(Exponent, PublicValue), DhError> {
        let mut result = Err(DhError::ValueOutOfSafeRange);
        for _ in 0..MAX_DRAWS {
            let exponent = Exponent::random(rng);
            result = self.public_value(&exponent).map(|public| (exponent, public));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Draws an exponent and computes its public value and the secret shared with `peer` together. This is much
    /// faster than two calls.
    ///
    /// # Errors
    ///
    /// Fails if `rng` is broken: several exponents in a row gave no value in range.
    pub fn agree(
        &self,
        rng: &mut (impl CryptoRng + ?Sized),
        peer: &PublicValue,
    ) -> Result<Agreement, DhError> {
        let mut result = Err(DhError::ValueOutOfSafeRange);
        for _ in 0..MAX_DRAWS {
            result = self.agree_with(&Exponent::random(rng), peer);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Computes the public value of `exponent` and the secret shared with `peer` together.
    ///
    /// # Errors
    ///
    /// Fails if the public value is out of range; draw another exponent then (SEC-35).
    pub fn agree_with(&self, exponent: &Exponent, peer: &PublicValue) -> Result<Agreement, DhError> {
        let [public, shared] = self.modulus.pow_pair(self.generator, peer.as_bytes(), exponent.as_bytes());
        let shared = Zeroizing::new(shared);
        Ok(Agreement { public: self.check_public(&public)?, shared })
    }

    /// Computes `peer^exponent`, in constant time: 256 bytes, leading zeros kept (SEC-36).
    pub fn shared_secret(&self, exponent: &Exponent, peer: &PublicValue) -> Zeroizing<[u8; 256]> {
        Zeroizing::new(self.modulus.pow(peer.as_bytes(), exponent.as_bytes()))
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.prime == KNOWN_PRIME;
        f.debug_struct("Group")
            .field("generator", &self.generator)
            .field("known_prime", &known)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agreement").field("public", &self.public).finish_non_exhaustive()
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        (self.prime, self.generator) == (other.prime, other.generator)
    }
}

impl Eq for Group {}

fn prime_of_2048_bits(prime: &[u8]) -> Result<[u8; 256], DhError> {
    let leading_zeros = prime.iter().take_while(|&&byte| byte == 0).count();
    let significant = &prime[leading_zeros..];
    match <[u8; 256]>::try_from(significant) {
        Ok(prime) if prime[0] >= 0x80 => Ok(prime),
        _ => {
            let unused = significant.first().map_or(0, |byte| byte.leading_zeros() as usize);
            Err(DhError::PrimeSize { bits: significant.len() * 8 - unused })
        }
    }
}

/// Checks that the generator is a quadratic residue, so that it generates the subgroup of order `(p - 1) / 2`.
fn check_generator(prime: &[u8; 256], generator: i32) -> Result<u8, DhError> {
    let p_mod = |divisor| safe_prime::remainder(prime, divisor);
    let (small, is_residue) = match generator {
        2 => (2, p_mod(8) == 7),
        3 => (3, p_mod(3) == 2),
        4 => (4, true),
        5 => (5, matches!(p_mod(5), 1 | 4)),
        6 => (6, matches!(p_mod(24), 19 | 23)),
        7 => (7, matches!(p_mod(7), 3 | 5 | 6)),
        _ => return Err(DhError::GeneratorRange { generator }),
    };
    if is_residue { Ok(small) } else { Err(DhError::GeneratorNotResidue { generator }) }
}

fn check_safe_prime(
    prime: &[u8; 256],
    cache: &mut PrimeCache,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), DhError> {
    let result = cache.lookup(prime).unwrap_or_else(|| {
        let result = safe_prime::judge(prime, rng);
        cache.insert(prime, result);
        result
    });
    match result {
        PrimalityResult::SafePrime => Ok(()),
        PrimalityResult::Composite => Err(DhError::NotPrime),
        PrimalityResult::NotSafe => Err(DhError::NotSafePrime),
    }
}

#[cfg(test)]
mod tests;
