//! Diffie-Hellman against `dh.json`.

use chappe_conformance::{
    script::Script,
    vectors::{self, Entry},
};
use chappe_crypto::{
    AuthKey,
    dh::{DhError, Exponent, Group, KNOWN_PRIME, PrimeCache},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0xa5; 32])
}

fn groups() -> Vec<Entry> {
    let groups = vectors::load("dh").list("groups");
    assert_eq!(groups.len(), 9);
    groups
}

fn generators(entry: &Entry, field: &str) -> Vec<i32> {
    let list = entry.value(field).as_array().expect("a list of generators");
    list.iter().map(|g| i32::try_from(g.as_i64().expect("a number")).expect("small")).collect()
}

#[test]
fn sec_030_sec_031_sec_032_exactly_the_safe_primes_with_their_residues_are_accepted() {
    let (mut cache, mut rng) = (PrimeCache::new(), rng());
    for entry in groups() {
        let prime = entry.bytes("p");
        for g in generators(&entry, "accepted_g") {
            let group = Group::check(&prime, g, &mut cache, &mut rng);
            assert!(
                group.is_ok_and(|group| group.generator() == g && group.prime()[..] == prime),
                "{entry:?}: {g}"
            );
        }
        for g in generators(&entry, "rejected_g") {
            let refused = Group::check(&prime, g, &mut cache, &mut rng).expect_err(entry.name());
            let expected = match refused {
                // The size comes first, then the generator, then what costs time.
                DhError::PrimeSize { bits } => bits == entry.number::<usize>("bit_length") && bits != 2048,
                DhError::GeneratorRange { generator } => generator == g && !(2..=7).contains(&g),
                DhError::GeneratorNotResidue { generator } => generator == g && (2..=7).contains(&g),
                DhError::NotPrime | DhError::NotSafePrime => !entry.flag("prime_ok"),
                _ => false,
            };
            assert!(expected, "{entry:?}: {g}: {refused:?}");
        }
    }
}

#[test]
fn sec_030_a_prime_of_another_size_is_refused_for_its_size() {
    for entry in groups() {
        let bits = entry.number("bit_length");
        let checked = Group::check(&entry.bytes("p"), 4, &mut PrimeCache::new(), &mut rng());
        let size_error = Err(DhError::PrimeSize { bits });
        assert_eq!(checked == size_error, bits != 2048, "{entry:?}: {checked:?}");
    }
}

#[test]
fn sec_031_a_prime_that_is_not_safe_is_told_from_a_composite() {
    for entry in groups().iter().filter(|entry| entry.number::<usize>("bit_length") == 2048) {
        let checked = Group::check(&entry.bytes("p"), 4, &mut PrimeCache::new(), &mut rng());
        match (entry.flag("is_prime"), entry.flag("half_is_prime")) {
            (true, true) => assert!(checked.is_ok(), "{entry:?}"),
            (true, false) => assert_eq!(checked, Err(DhError::NotSafePrime), "{entry:?}"),
            // Which of the two faults of such a number is found first is not promised.
            (false, _) => assert!(
                matches!(checked, Err(DhError::NotPrime | DhError::NotSafePrime)),
                "{entry:?}: {checked:?}"
            ),
        }
    }
}

#[test]
fn sec_031_verdicts_are_cached_and_survive_a_restart() {
    let mut cache = PrimeCache::new();
    for entry in groups() {
        let _ = Group::check(&entry.bytes("p"), 4, &mut cache, &mut rng());
    }
    assert!(!cache.is_empty());
    let mut restored = PrimeCache::import(&cache.export()).expect("own export");
    assert_eq!(restored, cache);
    // A verdict that is known needs no randomness: an empty script would panic.
    let mut no_randomness = Script::new([]);
    for entry in groups() {
        let again = Group::check(&entry.bytes("p"), 4, &mut restored, &mut no_randomness);
        assert_eq!(again.is_ok(), entry.flag("prime_ok"), "{entry:?}");
    }
}

#[test]
fn sec_032_the_known_prime_takes_three_four_and_seven_only() {
    for g in -8..64 {
        let expected = match g {
            3 | 4 | 7 => Ok(g),
            2 | 5 | 6 => Err(DhError::GeneratorNotResidue { generator: g }),
            _ => Err(DhError::GeneratorRange { generator: g }),
        };
        assert_eq!(Group::known(g).map(|group| group.generator()), expected);
        let checked = Group::check(&KNOWN_PRIME, g, &mut PrimeCache::new(), &mut rng());
        assert_eq!(checked.map(|group| group.generator()), expected);
    }
}

#[test]
fn sec_033_sec_034_public_values_out_of_range_are_refused() {
    let group = Group::known(3).expect("3 is a generator");
    let ranges = vectors::load("dh").entry("range_checks");
    assert_eq!(ranges.bytes("p"), KNOWN_PRIME);
    let cases = ranges.list("cases");
    assert_eq!(cases.len(), 14);
    for case in cases {
        let checked = group.check_public(&case.bytes("value"));
        // At the two end points implementations differ; ours are included.
        let accept = case.value("accept").as_bool().unwrap_or(true);
        match (accept, case.flag("passes_1_lt_v_lt_p_minus_1")) {
            (true, _) => assert!(checked.is_ok(), "{case:?}: {checked:?}"),
            (false, true) => assert_eq!(checked, Err(DhError::ValueOutOfSafeRange), "{case:?}"),
            (false, false) => assert_eq!(checked, Err(DhError::ValueOutOfGroup), "{case:?}"),
        }
    }
    assert_eq!(group.check_public(&[1; 257]), Err(DhError::ValueTooLong { got: 257 }));
    assert_eq!(group.check_public(&[]), Err(DhError::ValueOutOfGroup));
}

#[test]
fn sec_035_an_own_value_out_of_range_leads_to_a_new_exponent() {
    // The exponent 0 gives 1, the next one is that of a vector.
    let exchange = &vectors::load("dh").list("exchanges")[0];
    let group = Group::known(exchange.number("g")).expect("a generator");
    let b = exchange.bytes("b");
    let peer = group.check_public(&exchange.bytes("g_a")).expect("in range");
    let script = Script::new([&[0; 256], &b[..]].concat());
    let (_, public) = group.key_pair(&mut script.clone()).expect("the second draw is good");
    assert_eq!(public.as_bytes()[..], exchange.bytes("g_b"));
    let agreement = group.agree(&mut script.clone(), &peer).expect("the second draw is good");
    assert_eq!(agreement.public, public);
    assert_eq!(agreement.shared[..], exchange.bytes("auth_key"));
    assert_eq!(group.public_value(&Exponent::from_bytes([0; 256])), Err(DhError::ValueOutOfGroup));
}

#[test]
fn sec_002_every_exchange_draws_2048_fresh_bits() {
    let group = Group::known(3).expect("3 is a generator");
    let mut rng = rng();
    let mut positions = vec![rng.get_word_pos()];
    for _ in 0..3 {
        group.key_pair(&mut rng).expect("in range");
        positions.push(rng.get_word_pos());
    }
    assert!(positions.windows(2).all(|pair| pair[1] - pair[0] == 64), "{positions:?}");
}

#[test]
fn sec_036_exchanges_reach_the_recorded_keys_with_all_their_zeros() {
    let exchanges = vectors::load("dh").list("exchanges");
    assert_eq!(exchanges.len(), 4);
    assert!(exchanges.iter().any(|exchange| exchange.number::<usize>("auth_key_leading_zero_bytes") > 0));
    for exchange in exchanges {
        let group = Group::known(exchange.number("g")).expect("a generator");
        let (a, b) = (Exponent::from_bytes(exchange.array("a")), Exponent::from_bytes(exchange.array("b")));
        let g_a = group.public_value(&a).expect("in range");
        let agreement = group.agree_with(&b, &g_a).expect("in range");
        let g_b = agreement.public;
        assert_eq!(g_a.as_bytes()[..], exchange.bytes("g_a"), "{exchange:?}");
        assert_eq!(g_b.as_bytes()[..], exchange.bytes("g_b"), "{exchange:?}");
        assert_eq!(agreement.shared[..], exchange.bytes("auth_key"), "{exchange:?}");
        assert_eq!(group.shared_secret(&a, &g_b), agreement.shared, "{exchange:?}");
        let auth_key = AuthKey::from_bytes(*agreement.shared);
        assert_eq!(auth_key.id().as_bytes()[..], exchange.bytes("auth_key_id_le_bytes"), "{exchange:?}");
        assert_eq!(auth_key.aux_hash()[..], exchange.bytes("aux_hash_le_bytes"), "{exchange:?}");
    }
}
