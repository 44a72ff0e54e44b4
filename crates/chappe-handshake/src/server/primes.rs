//! The proof of work: `pq`, a product of two primes of 31 bits.
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key#dh-exchange-initiation>.

use alloc::vec::Vec;

use rand_core::CryptoRng;

use crate::client::minimal_bytes;

/// The two factors, smaller first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Factors {
    p: u32,
    q: u32,
}

impl Factors {
    /// Draws two different primes of 31 bits. `pq` then has 8 bytes, which some clients require.
    pub(super) fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let p = random_prime(rng);
        loop {
            let q = random_prime(rng);
            if p != q {
                return Self { p: p.min(q), q: p.max(q) };
            }
        }
    }

    /// Returns `pq` as on the wire: big-endian, without leading zeros.
    pub(super) fn pq_bytes(self) -> Vec<u8> {
        minimal_bytes(u64::from(self.p) * u64::from(self.q))
    }

    /// Returns whether these are the factors, smaller first and without leading zeros (SEC-45).
    pub(super) fn are(self, p: &[u8], q: &[u8]) -> bool {
        p == minimal_bytes(u64::from(self.p)) && q == minimal_bytes(u64::from(self.q))
    }
}

fn random_prime(rng: &mut (impl CryptoRng + ?Sized)) -> u32 {
    const HIGHEST_BIT: u32 = 1 << 30;
    loop {
        let candidate = rng.next_u32() >> 1 | HIGHEST_BIT | 1;
        if is_prime(candidate) {
            return candidate;
        }
    }
}

/// Miller-Rabin with the bases 2, 7 and 61, which is exact below 2^32 (Jaeschke 1993).
fn is_prime(n: u32) -> bool {
    const BASES: [u32; 3] = [2, 7, 61];
    if n < 2 || BASES.contains(&n) {
        return n >= 2;
    }
    if [2, 3, 5, 7, 11, 13, 17, 19, 23].iter().any(|small| n.is_multiple_of(*small)) {
        return matches!(n, 3 | 5 | 11 | 13 | 17 | 19 | 23);
    }
    BASES.iter().all(|base| is_strong_probable_prime(n, *base))
}

fn is_strong_probable_prime(n: u32, base: u32) -> bool {
    let twos = (n - 1).trailing_zeros();
    let mut power = pow_mod(base, (n - 1) >> twos, n);
    if power == 1 || power == n - 1 {
        return true;
    }
    for _ in 1..twos {
        power = mul_mod(power, power, n);
        if power == n - 1 {
            return true;
        }
    }
    false
}

fn pow_mod(base: u32, mut exponent: u32, n: u32) -> u32 {
    let (mut square, mut result) = (base % n, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_mod(result, square, n);
        }
        square = mul_mod(square, square, n);
        exponent >>= 1;
    }
    result
}

const fn mul_mod(a: u32, b: u32, n: u32) -> u32 {
    (a as u64 * b as u64 % n as u64) as u32
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn small_numbers_are_sorted_correctly() {
        let is_prime_by_trial =
            |n: u32| n > 1 && (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
        for n in 0..20_000 {
            assert_eq!(is_prime(n), is_prime_by_trial(n), "{n}");
        }
    }

    #[test]
    fn strong_pseudoprimes_to_single_bases_are_composite() {
        // To base 2, to bases 2 and 7, and squares of primes.
        for n in [2047, 3_215_031_751, 1_373_653, 25_326_001, 65_521 * 65_521, 46_337 * 46_337] {
            assert!(!is_prime(n), "{n}");
        }
        assert!(is_prime(4_294_967_291));
    }

    #[test]
    fn factors_are_different_primes_of_31_bits() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for _ in 0..200 {
            let factors = Factors::random(&mut rng);
            assert!(factors.p < factors.q);
            assert_eq!(factors.pq_bytes().len(), 8);
            let (p, q) = chappe_crypto::factorize::from_bytes(&factors.pq_bytes()).unwrap();
            assert_eq!((p, q), (u64::from(factors.p), u64::from(factors.q)));
            assert_eq!(p.ilog2(), 30);
            assert!(factors.are(&minimal_bytes(p), &minimal_bytes(q)));
        }
    }
}
