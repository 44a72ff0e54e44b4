use proptest::prelude::*;

use super::*;

/// The first prime at or above `n`.
fn prime_from(mut n: u64) -> u64 {
    while !primality::is_prime(n) {
        n += 1;
    }
    n
}

#[test]
fn every_number_below_ten_thousand_agrees_with_trial_division() {
    for n in 0..10_000u64 {
        let p = (3..n).find(|&d| n.is_multiple_of(d));
        let expected = p.map(|p| (p, n / p)).filter(|&(p, q)| n % 2 == 1 && p < q && primality::is_prime(q));
        assert_eq!(factorize(n).ok(), expected, "{n}");
    }
}

#[test]
fn numbers_that_hang_or_crash_other_clients_are_refused_at_once() {
    for pq in [0, 1, 3, 5, 7, 9, 11, 13, 65537, 0x3fff_ffff_ffff_ffc7, u64::MAX, 1 << 63, (1 << 63) - 25] {
        assert!(factorize(pq).is_err(), "{pq}");
    }
}

#[test]
fn squares_cubes_and_products_of_three_primes_are_refused() {
    let (a, b, c) = (2_097_143, 2_097_133, 1_048_573);
    assert_eq!(factorize(a * a), Err(FactorizeError::Square { pq: a * a }));
    assert_eq!(factorize(a * a * a), Err(FactorizeError::NotTwoPrimes { pq: a * a * a }));
    assert_eq!(factorize(a * b * c), Err(FactorizeError::NotTwoPrimes { pq: a * b * c }));
    assert_eq!(factorize(3 * 3), Err(FactorizeError::TooSmall { pq: 9 }));
    assert_eq!(factorize(3 * 5 * 7), Err(FactorizeError::NotTwoPrimes { pq: 105 }));
}

#[test]
fn lengths_other_than_one_to_eight_bytes_are_refused() {
    assert_eq!(from_bytes(&[]), Err(FactorizeError::Length { got: 0 }));
    assert_eq!(from_bytes(&[0; 9]), Err(FactorizeError::Length { got: 9 }));
    assert_eq!(from_bytes(&[15]), Ok((3, 5)));
    assert_eq!(from_bytes(&[0, 0, 0, 0, 0, 0, 0, 15]), Ok((3, 5)));
}

#[test]
fn both_methods_split_the_same_numbers() {
    for start in [1u64 << 30, 1_500_000_000, 2_147_400_000] {
        let (p, q) = (prime_from(start), prime_from(start + 5_000));
        let field = Field::new(p * q);
        let by_curves = ecm::find_factor(&field, MAX_CURVES).expect("curves suffice");
        let by_walks = rho::find_factor(&field, MAX_WALKS).expect("walks suffice");
        assert!([p, q].contains(&by_curves) && [p, q].contains(&by_walks));
    }
}

proptest! {
    #[test]
    fn any_product_of_two_distinct_odd_primes_is_split(bits in 2u32..32, a: u64, b: u64) {
        let p = prime_from((a % (1 << bits)).max(3));
        let q = prime_from((b % ((1 << 62) / p)).max(3));
        prop_assume!(p != q && p.checked_mul(q).is_some_and(|pq| pq < 1 << 63));
        prop_assert_eq!(factorize(p * q), Ok((p.min(q), p.max(q))));
    }

    #[test]
    fn whatever_comes_back_multiplies_to_the_number(pq: u64) {
        if let Ok((p, q)) = factorize(pq) {
            prop_assert!(p < q && p * q == pq && primality::is_prime(p) && primality::is_prime(q));
        }
    }
}
