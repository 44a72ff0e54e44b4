//! Factorisation against `pq.json`.

use chappe_conformance::vectors;
use chappe_crypto::factorize::{self, FactorizeError};

#[test]
fn every_pq_is_split_into_its_factors() {
    let file = vectors::load("pq");
    let entries = file.list("vectors");
    assert_eq!(entries.len(), 17);
    for entry in entries {
        let factors = Ok((entry.number("p_dec"), entry.number("q_dec")));
        assert_eq!(factorize::factorize(entry.number("pq_dec")), factors, "{entry:?}");
        assert_eq!(factorize::from_bytes(&entry.bytes("pq_bytes")), factors, "{entry:?}");
    }
}

#[test]
fn sec_021_pq_must_be_a_product_of_two_distinct_odd_primes() {
    let file = vectors::load("pq");
    let entries = file.list("negative");
    assert_eq!(entries.len(), 7);
    for entry in entries {
        let error = factorize::from_bytes(&entry.bytes("pq_bytes")).expect_err(entry.name());
        let is_told = match entry.name() {
            "empty" => error == FactorizeError::Length { got: 0 },
            "zero" => error == FactorizeError::Even { pq: 0 },
            "one" => error == FactorizeError::TooSmall { pq: 1 },
            "prime" => matches!(error, FactorizeError::Prime { .. }),
            "even" => matches!(error, FactorizeError::Even { .. }),
            "square_of_prime" => matches!(error, FactorizeError::Square { .. }),
            "larger_than_2_63_minus_1" => error == FactorizeError::Length { got: 9 },
            other => panic!("no expectation for {other}"),
        };
        assert!(is_told, "{entry:?}: {error:?}");
    }
}

#[test]
fn sec_021_squares_of_small_primes_and_products_of_three_are_told_apart() {
    for prime in [5, 7, 13, 127, 65_537] {
        let pq = prime * prime;
        assert_eq!(factorize::factorize(pq), Err(FactorizeError::Square { pq }));
    }
    for pq in [3 * 5 * 7, 3 * 3 * 3, 65_537 * 65_539 * 65_543, 3 * 65_537 * 65_539] {
        assert_eq!(factorize::factorize(pq), Err(FactorizeError::NotTwoPrimes { pq }));
    }
}

#[test]
fn sec_022_numbers_that_keep_other_clients_busy_for_ever_are_answered() {
    // Odd numbers below 13 hang one family of clients; primes and 15 make it panic, a 62-bit prime after a minute.
    for pq in (0..=15).chain([65537, (1 << 62) - 57, (1 << 63) - 25, u64::MAX]) {
        assert_eq!(factorize::factorize(pq).ok(), (pq == 15).then_some((3, 5)), "{pq}");
    }
}

#[test]
fn sec_021_small_primes_are_told_from_products() {
    for pq in [17, 19, 23, 113, 127, 131, 4_294_967_291] {
        assert_eq!(factorize::factorize(pq), Err(FactorizeError::Prime { pq }));
    }
}
