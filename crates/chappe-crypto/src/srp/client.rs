//! The client's side, which knows the password.

use alloc::vec::Vec;
use core::fmt;

use crypto_bigint::{NonZero, U256, U2048};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{MAX_DRAWS, Parameters, SrpError, hash, verifier};
use crate::{
    ct,
    dh::{Exponent, Group, PublicValue, left_padded},
};

/// The answer `inputCheckPasswordSRP`, without its `srp_id`.
#[derive(Clone, Copy)]
pub struct Proof {
    /// The public value `A`: 256 bytes, big-endian.
    pub a: [u8; 256],
    /// The proof `M1`.
    pub m1: [u8; 32],
}

impl PartialEq for Proof {
    /// Compares in constant time (SEC-06).
    fn eq(&self, other: &Self) -> bool {
        ct::eq(&self.a, &other.a) & ct::eq(&self.m1, &other.m1)
    }
}

impl Eq for Proof {}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").finish_non_exhaustive()
    }
}

/// The fields of `account.passwordInputSettings` that set a password.
#[derive(Clone)]
pub struct NewPassword {
    /// The first salt, the server's followed by 32 random bytes.
    pub salt1: Vec<u8>,
    /// `new_password_hash`: the verifier for the new salt, 256 bytes.
    pub hash: [u8; 256],
}

impl PartialEq for NewPassword {
    /// Compares in constant time (SEC-06).
    fn eq(&self, other: &Self) -> bool {
        ct::eq(&self.salt1, &other.salt1) & ct::eq(&self.hash, &other.hash)
    }
}

impl Eq for NewPassword {}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPassword").finish_non_exhaustive()
    }
}

/// Computes the proof for the server's value `srp_B`: 248 to 256 big-endian bytes.
///
/// # Errors
///
/// Fails if `srp_b` is out of range (SEC-159), or `rng` is broken.
pub fn prove(
    password: &[u8],
    parameters: &Parameters<'_>,
    srp_b: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Proof, SrpError> {
    let group = parameters.group;
    let b = check_server_value(group, srp_b)?;
    let (exponent, a) = draw_exponent(group, rng)?;
    let a = *a.as_bytes();
    let u = hash::scrambler(&a, &b);
    // `u` is public, so this comparison may take the time it takes.
    if u == [0; 32] {
        return Err(SrpError::ServerValueRange);
    }
    let x = hash::password_exponent(password, parameters);
    let v = hash::power_of_generator(group, &x);
    let base = server_power(group, &b, &v)?;
    let secret = Zeroizing::new(group.modulus().pow(&base, &sum_exponent(group, &exponent, &u, &x)));
    Ok(Proof { a, m1: hash::proof(parameters, &a, &b, &secret) })
}

/// Computes the settings for a new password, from the `new_algo` of `account.getPassword`.
///
/// The salt of `parameters` is the server's; 32 random bytes are appended to it (SEC-162).
pub fn new_password(
    password: &[u8],
    parameters: &Parameters<'_>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> NewPassword {
    let mut random = [0; 32];
    rng.fill_bytes(&mut random);
    let salt1 = [parameters.salt1, &random].concat();
    let hash = *verifier(password, &Parameters { salt1: &salt1, ..*parameters });
    NewPassword { salt1, hash }
}

fn check_server_value(group: &Group, srp_b: &[u8]) -> Result<[u8; 256], SrpError> {
    if !(248..=256).contains(&srp_b.len()) {
        return Err(SrpError::ServerValueLength { got: srp_b.len() });
    }
    let b = left_padded(srp_b).ok_or(SrpError::ServerValueLength { got: srp_b.len() })?;
    if b == [0; 256] || b >= *group.prime() { Err(SrpError::ServerValueRange) } else { Ok(b) }
}

fn draw_exponent(
    group: &Group,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(Exponent, PublicValue), SrpError> {
    for _ in 0..MAX_DRAWS {
        let exponent = Exponent::random(rng);
        if let Ok(public) = group.public_value(&exponent) {
            return Ok((exponent, public));
        }
    }
    Err(SrpError::Randomness)
}

/// `t = B - k v mod p`: the server's share of the exchange, without the verifier that hides it.
fn server_power(group: &Group, b: &[u8; 256], v: &[u8; 256]) -> Result<Zeroizing<[u8; 256]>, SrpError> {
    let hidden = Zeroizing::new(group.modulus().mul(&hash::multiplier(group), v));
    let p = NonZero::new(U2048::from_be_slice(group.prime())).expect("a prime is not zero");
    let mut t = U2048::from_be_slice(b).sub_mod(&U2048::from_be_slice(&*hidden), &p);
    let bytes = Zeroizing::new(bytes_of(&t));
    t.zeroize();
    // Zero would make a shared secret that everyone knows.
    if ct::is_zero(&*bytes) { Err(SrpError::ServerValueRange) } else { Ok(bytes) }
}

/// `a + u x`, reduced modulo the order `p - 1` of the whole group, so that it fits into 2048 bits.
fn sum_exponent(group: &Group, a: &Exponent, u: &[u8; 32], x: &[u8; 32]) -> Zeroizing<[u8; 256]> {
    let p = U2048::from_be_slice(group.prime());
    let order = NonZero::new(p.wrapping_sub(&U2048::ONE)).expect("a prime of 2048 bits is above 1");
    let mut product =
        U256::from_be_slice(u).concatenating_mul(&U256::from_be_slice(x)).resize::<{ U2048::LIMBS }>();
    let mut a = U2048::from_be_slice(a.as_bytes()).rem(&order);
    let mut sum = a.add_mod(&product, &order);
    let bytes = Zeroizing::new(bytes_of(&sum));
    product.zeroize();
    a.zeroize();
    sum.zeroize();
    bytes
}

/// The number as 256 big-endian bytes.
pub(super) fn bytes_of(number: &U2048) -> [u8; 256] {
    number.to_be_bytes().as_ref().try_into().expect("2048 bits are 256 bytes")
}
