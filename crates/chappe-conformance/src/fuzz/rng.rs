//! Randomness that is the same in each run.

use chappe_crypto::rng::Drbg;

/// Makes generators from a number.
#[derive(Clone, Copy, Debug)]
pub struct Seeded;

impl Seeded {
    /// Returns the generator of a number; it is a cryptographic one, since the machines ask for that.
    #[must_use]
    pub fn rng(number: u64) -> Drbg {
        let mut seed = [0x5e; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Drbg::from_seed(seed)
    }
}
