//! The server's side, which knows the verifier.

use core::fmt;

use crypto_bigint::{NonZero, U2048};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{MAX_DRAWS, Parameters, SrpError, client::bytes_of, hash};
use crate::{
    ct,
    dh::{Exponent, left_padded},
};

/// A server's challenge: `srp_B` and its secrets. Checking an answer consumes it (SEC-161).
///
/// The caller assigns the `srp_id` and limits the number of attempts.
pub struct Challenge<'a> {
    parameters: Parameters<'a>,
    verifier: Zeroizing<[u8; 256]>,
    exponent: Exponent,
    public: [u8; 256],
}

impl<'a> Challenge<'a> {
    /// Creates a challenge for the account with this stored [`verifier`](super::verifier).
    ///
    /// # Errors
    ///
    /// Fails if `rng` is broken: several exponents in a row gave no usable value.
    pub fn new(
        parameters: &Parameters<'a>,
        verifier: &[u8; 256],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, SrpError> {
        for _ in 0..MAX_DRAWS {
            let exponent = Exponent::random(rng);
            let public = public_value(parameters, verifier, &exponent);
            // Clients reject values shorter than 248 bytes.
            if public[..8] != [0; 8] {
                return Ok(Self {
                    parameters: *parameters,
                    verifier: Zeroizing::new(*verifier),
                    exponent,
                    public,
                });
            }
        }
        Err(SrpError::Randomness)
    }

    /// Returns `srp_B`: 256 bytes, big-endian.
    pub const fn public(&self) -> &[u8; 256] {
        &self.public
    }

    /// Checks an answer: `A`, at most 256 big-endian bytes, and `M1`. `M1` is compared in constant time.
    ///
    /// # Errors
    ///
    /// Fails if `a` is out of range or the proof is wrong (SEC-161).
    pub fn verify(self, a: &[u8], m1: &[u8; 32]) -> Result<(), SrpError> {
        let group = self.parameters.group;
        let a = left_padded(a).ok_or(SrpError::ClientValueLength { got: a.len() })?;
        let (number, p) = (U2048::from_be_slice(&a), U2048::from_be_slice(group.prime()));
        if number <= U2048::ONE || number >= p.wrapping_sub(&U2048::ONE) {
            return Err(SrpError::ClientValueRange);
        }
        // S = (A v^u)^b, where u is public.
        let u = hash::scrambler(&a, &self.public);
        let blinded = Zeroizing::new(group.modulus().pow_public(&self.verifier, &u));
        let base = Zeroizing::new(group.modulus().mul(&a, &blinded));
        let secret = Zeroizing::new(group.modulus().pow(&base, self.exponent.as_bytes()));
        let expected = Zeroizing::new(hash::proof(&self.parameters, &a, &self.public, &secret));
        if ct::eq(&*expected, m1) { Ok(()) } else { Err(SrpError::WrongProof) }
    }
}

impl fmt::Debug for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").finish_non_exhaustive()
    }
}

/// `B = k v + g^b mod p`.
fn public_value(parameters: &Parameters<'_>, verifier: &[u8; 256], exponent: &Exponent) -> [u8; 256] {
    let group = parameters.group;
    let p = NonZero::new(U2048::from_be_slice(group.prime())).expect("a prime is not zero");
    let hidden = Zeroizing::new(group.modulus().mul(&hash::multiplier(group), verifier));
    let power = group.modulus().pow_generator(group.generator() as u8, exponent.as_bytes());
    let mut power = U2048::from_be_slice(&power);
    let sum = U2048::from_be_slice(&*hidden).add_mod(&power, &p);
    power.zeroize();
    bytes_of(&sum)
}
