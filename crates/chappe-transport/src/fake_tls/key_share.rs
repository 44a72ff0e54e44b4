//! Key shares that look like those of a browser.

use alloc::vec::Vec;

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
