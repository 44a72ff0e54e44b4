//! Key shares that look like those of a browser.

use alloc::vec::Vec;

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U256, const_monty_params};
use curve25519_dalek::MontgomeryPoint;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Length of an ML-KEM-768 encapsulation key.
pub(super) const ML_KEM_768: usize = 1184;

/// Length of the random seed at its end.
const SEED: usize = 32;

/// Modulus of its coefficients, which are packed in pairs of 12 bits.
const Q: u32 = 3329;

/// Returns the public key of a fresh x25519 key pair. Random bytes would be recognisable: they need not be a point of the
/// subgroup.
pub(super) fn x25519<R: CryptoRng + ?Sized>(rng: &mut R) -> [u8; 32] {
    let mut scalar = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *scalar);
    MontgomeryPoint::mul_base_clamped(*scalar).to_bytes()
}

const_monty_params!(
    P256Field,
    U256,
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    "The field of P-256."
);

type P256Element = ConstMontyForm<P256Field, { U256::LIMBS }>;

/// The coefficient b of the curve y² = x³ − 3x + b, FIPS 186-4 section D.1.2.3.
const P256_B: U256 = U256::from_be_hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");

/// (p + 1) / 4, the exponent of square roots.
const P256_ROOT: U256 = U256::from_be_hex("3fffffffc0000000400000000000000000000000400000000000000000000000");

/// Returns a random point of P-256, uncompressed. Its discrete logarithm is unknown; a filter cannot tell it from another key.
pub(super) fn p256<R: CryptoRng + ?Sized>(rng: &mut R) -> [u8; 65] {
    loop {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        let x = P256Element::new(&U256::from_be_slice(&bytes));
        let three = P256Element::new(&U256::from_u8(3));
        let square = (x.square() - three) * x + P256Element::new(&P256_B);
        let y = square.pow(&P256_ROOT);
        // Every second number has a root.
        if y.square() == square {
            let is_odd = bytes[0] & 1 == 1;
            let y = if is_odd { -y } else { y };
            let mut point = [4; 65];
            point[1..33].copy_from_slice(&x.retrieve().to_be_bytes());
            point[33..].copy_from_slice(&y.retrieve().to_be_bytes());
            return point;
        }
    }
}

/// Appends an imitation of an ML-KEM-768 encapsulation key: coefficients below the modulus, then a seed.
pub(super) fn ml_kem_768<R: CryptoRng + ?Sized>(out: &mut Vec<u8>, rng: &mut R) {
    for _ in 0..(ML_KEM_768 - SEED) / 3 {
        let [a, b] = [coefficient(rng), coefficient(rng)];
        out.extend_from_slice(&[a as u8, (a >> 8 | b << 4) as u8, (b >> 4) as u8]);
    }
    let mut seed = [0; SEED];
    rng.fill_bytes(&mut seed);
    out.extend_from_slice(&seed);
}

/// Draws a number below the modulus, each equally likely.
fn coefficient<R: CryptoRng + ?Sized>(rng: &mut R) -> u32 {
    loop {
        // Twelve bits at a time are below the modulus in four cases of five.
        let candidate = rng.next_u32() >> 20;
        if candidate < Q {
            return candidate;
        }
    }
}
