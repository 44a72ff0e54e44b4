//! Factorisation against `pq.json`.

use chappe_conformance::vectors;
use chappe_crypto::factorize;

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
        assert!(factorize::from_bytes(&entry.bytes("pq_bytes")).is_err(), "{entry:?}");
    }
}

#[test]
fn sec_022_numbers_that_keep_other_clients_busy_for_ever_are_answered() {
    // Odd numbers below 13 hang one family of clients; primes and 15 make it panic, a 62-bit prime after a minute.
    for pq in (0..=15).chain([65537, (1 << 62) - 57, (1 << 63) - 25, u64::MAX]) {
        assert_eq!(factorize::factorize(pq).ok(), (pq == 15).then_some((3, 5)), "{pq}");
    }
}
