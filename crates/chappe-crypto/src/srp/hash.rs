//! Formulas of both sides.
//!
//! ```text
//! H(d) = SHA256(d)        SH(d, s) = H(s + d + s)
//! PH1  = SH(SH(password, salt1), salt2)
//! x    = PH2 = SH(PBKDF2-HMAC-SHA512(PH1, salt1, 100000), salt2)
//! k    = H(p + g)         u = H(A + B)         K = H(S)
//! M1   = H((H(p) ^ H(g)) + H(salt1) + H(salt2) + A + B + K)
//! ```

use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

use super::Parameters;
use crate::{
    dh::{Exponent, Group},
    hash::sha256,
};

const PBKDF2_ROUNDS: u32 = 100_000;

/// `x`, the password as an exponent.
pub(super) fn password_exponent(password: &[u8], parameters: &Parameters<'_>) -> Zeroizing<[u8; 32]> {
    let Parameters { salt1, salt2, .. } = *parameters;
    let ph1 = salted(&*salted(password, salt1), salt2);
    let mut stretched = Zeroizing::new([0; 64]);
    pbkdf2::pbkdf2_hmac::<Sha512>(&*ph1, salt1, PBKDF2_ROUNDS, &mut *stretched);
    salted(&*stretched, salt2)
}

/// `SH(data, salt)`.
fn salted(data: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(sha256(&[salt, data, salt]))
}

/// `g^x mod p` for an exponent of 256 bits, in constant time.
pub(super) fn power_of_generator(group: &Group, exponent: &[u8; 32]) -> Zeroizing<[u8; 256]> {
    let exponent = Exponent::from_bytes(widened(exponent));
    Zeroizing::new(group.modulus().pow_generator(group.generator() as u8, exponent.as_bytes()))
}

/// `k`, widened to 256 bytes.
pub(super) fn multiplier(group: &Group) -> [u8; 256] {
    widened(&sha256(&[group.prime(), &generator_bytes(group)]))
}

/// `u`: binds the proof to both public values.
pub(super) fn scrambler(a: &[u8; 256], b: &[u8; 256]) -> [u8; 32] {
    sha256(&[a, b])
}

/// `M1` from the common secret `S`.
pub(super) fn proof(
    parameters: &Parameters<'_>,
    a: &[u8; 256],
    b: &[u8; 256],
    secret: &[u8; 256],
) -> [u8; 32] {
    let mut group_hash = sha256(&[parameters.group.prime()]);
    let generator_hash = sha256(&[&generator_bytes(parameters.group)]);
    group_hash.iter_mut().zip(generator_hash).for_each(|(byte, other)| *byte ^= other);
    let mut key = sha256(&[secret]);
    let m1 = sha256(&[&group_hash, &sha256(&[parameters.salt1]), &sha256(&[parameters.salt2]), a, b, &key]);
    key.zeroize();
    m1
}

fn generator_bytes(group: &Group) -> [u8; 256] {
    let mut bytes = [0; 256];
    bytes[252..].copy_from_slice(&group.generator().to_be_bytes());
    bytes
}

/// Writes a number of 256 bits as 256 bytes.
pub(super) fn widened(number: &[u8; 32]) -> [u8; 256] {
    let mut wide = [0; 256];
    wide[224..].copy_from_slice(number);
    wide
}
