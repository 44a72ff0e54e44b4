//! The exact primality test for numbers below 2^63.

use super::montgomery::Field;

/// The first twelve primes: as Miller-Rabin bases they tell primes from composites without error for every
/// number below 3.3 * 10^24 (Sorenson and Webster, 2015).
const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Returns whether `n`, which must be below 2^63, is prime.
pub(super) fn is_prime(n: u64) -> bool {
    if let Some(divisor) = BASES.iter().find(|&&prime| n.is_multiple_of(prime)) {
        return n == *divisor;
    }
    if n < 37 * 37 {
        return n > 1;
    }
    let field = Field::new(n);
    BASES.iter().all(|&base| is_strong_probable_prime(&field, base))
}

/// One round of Miller-Rabin.
fn is_strong_probable_prime(field: &Field, base: u64) -> bool {
    let even = field.modulus() - 1;
    let twos = even.trailing_zeros();
    let minus_one = field.sub(0, field.one());
    let mut power = field.pow(field.enter(base), even >> twos);
    if power == field.one() || power == minus_one {
        return true;
    }
    for _ in 1..twos {
        power = field.square(power);
        if power == minus_one {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn the_first_hundred_thousand_numbers_agree_with_a_sieve() {
        const END: usize = 100_000;
        let mut composite = vec![false; END];
        for n in 0..END {
            let expected = n > 1 && !composite[n];
            assert_eq!(is_prime(n as u64), expected, "{n}");
            if expected {
                (n.saturating_mul(n)..END).step_by(n).for_each(|multiple| composite[multiple] = true);
            }
        }
    }

    #[test]
    fn strong_pseudoprimes_are_not_taken_for_primes() {
        // The least strong pseudoprimes to the first 1, 2, .. 9 prime bases.
        for n in [
            2047,
            1_373_653,
            25_326_001,
            3_215_031_751,
            2_152_302_898_747,
            3_474_749_660_383,
            341_550_071_728_321,
            3_825_123_056_546_413_051,
        ] {
            assert!(!is_prime(n), "{n}");
        }
    }

    #[test]
    fn the_largest_prime_below_two_to_the_63_is_prime() {
        assert!(is_prime((1 << 63) - 25));
        assert!(!is_prime((1 << 63) - 27));
    }
}
