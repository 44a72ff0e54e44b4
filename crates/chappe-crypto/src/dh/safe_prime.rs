//! The test whether a number of 2048 bits is a safe prime.
//!
//! With `q = (p - 1) / 2`, two facts prove that `p` is a safe prime:
//!
//! - `q` passes [`ROUNDS`] rounds of Miller-Rabin with random bases: a composite number passes with
//!   a probability of at most 4^-64, even if an attacker chose it;
//! - `2^(p-1) = 1 mod p` and 3 does not divide `p`: then `p` is prime because `q` is (Pocklington's criterion,
//!   whose other condition, `gcd(2^2 - 1, p) = 1`, is that about 3).
//!
//! The second test costs one exponentiation instead of another 64.

use rand_core::CryptoRng;

use super::cache::PrimalityResult;
use crate::backend::modexp::Modulus;

/// Rounds of Miller-Rabin, computed in pairs. The security guidelines ask for at least 15. With 64, even a number that an
/// attacker built to pass fails: <https://core.telegram.org/mtproto/security_guidelines>.
const ROUNDS: usize = 64;

/// Odd primes used for trial division first, which rejects nine in ten random numbers.
const SMALL_PRIMES: [u32; 30] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127,
];

/// Tests an odd number whose top bit is set.
pub(super) fn judge(p: &[u8; 256], rng: &mut (impl CryptoRng + ?Sized)) -> PrimalityResult {
    for prime in SMALL_PRIMES {
        match remainder(p, prime) {
            0 => return PrimalityResult::Composite,
            // q = (p - 1) / 2 is divisible exactly if p - 1 is.
            1 => return PrimalityResult::NotSafe,
            _ => {}
        }
    }
    let q = half(p);
    if !passes_fermat(p) {
        return PrimalityResult::Composite;
    }
    if q[255] & 1 == 0 || !passes_miller_rabin(&q, rng) {
        return PrimalityResult::NotSafe;
    }
    PrimalityResult::SafePrime
}

/// `2^(p-1) = 1 mod p`.
fn passes_fermat(p: &[u8; 256]) -> bool {
    let mut p_minus_one = *p;
    p_minus_one[255] &= !1;
    Modulus::new(p).pow_generator(2, &p_minus_one) == small(1)
}

fn passes_miller_rabin(q: &[u8; 256], rng: &mut (impl CryptoRng + ?Sized)) -> bool {
    let modulus = Modulus::new(q);
    let mut q_minus_one = *q;
    q_minus_one[255] &= !1;
    let twos = trailing_zeros(&q_minus_one);
    let odd_part = shift_right(&q_minus_one, twos);
    let ends_well = |mut power: [u8; 256]| {
        if power == small(1) || power == q_minus_one {
            return true;
        }
        (1..twos).any(|_| {
            power = modulus.mul(&power, &power);
            power == q_minus_one
        })
    };
    (0..ROUNDS / 2).all(|_| {
        let bases = [random_base(rng), random_base(rng)];
        modulus.pow_two(bases.each_ref(), &odd_part).into_iter().all(ends_well)
    })
}

/// A base from 2 to 2^2045 + 1, uniformly; `q` is above 2^2046.
fn random_base(rng: &mut (impl CryptoRng + ?Sized)) -> [u8; 256] {
    let mut base = [0; 256];
    rng.fill_bytes(&mut base);
    base[0] &= 0x1f;
    let mut carry = 2;
    for byte in base.iter_mut().rev() {
        let (sum, overflow) = byte.overflowing_add(carry);
        (*byte, carry) = (sum, u8::from(overflow));
    }
    base
}

/// `number mod divisor`; shared with the generator rule.
pub(super) fn remainder(number: &[u8; 256], divisor: u32) -> u32 {
    let (words, _) = number.as_chunks::<4>();
    let remainder = words.iter().fold(0u64, |remainder, word| {
        (remainder << 32 | u64::from(u32::from_be_bytes(*word))) % u64::from(divisor)
    });
    remainder as u32
}

fn half(number: &[u8; 256]) -> [u8; 256] {
    shift_right(number, 1)
}

fn shift_right(number: &[u8; 256], bits: usize) -> [u8; 256] {
    let mut shifted = [0; 256];
    let (bytes, bits) = (bits / 8, bits % 8);
    for i in bytes..256 {
        let high = if i > bytes { number[i - bytes - 1] } else { 0 };
        shifted[i] = (u16::from_be_bytes([high, number[i - bytes]]) >> bits) as u8;
    }
    shifted
}

/// Number of zero bits at the low end of a non-zero number.
fn trailing_zeros(number: &[u8; 256]) -> usize {
    let zero_bytes = number.iter().rev().take_while(|&&byte| byte == 0).count();
    zero_bytes * 8 + number[255 - zero_bytes].trailing_zeros() as usize
}

fn small(value: u8) -> [u8; 256] {
    let mut number = [0; 256];
    number[255] = value;
    number
}
