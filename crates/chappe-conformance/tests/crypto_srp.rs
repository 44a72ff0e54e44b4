//! Password proofs against `srp.json`.

use chappe_conformance::{
    script::Script,
    vectors::{self, Entry},
};
use chappe_crypto::{
    dh::{DhError, Group, PrimeCache},
    srp::{self, Challenge, Parameters, SrpError},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0xa5; 32])
}

/// Checks the group of a vector and runs `test` with its parameters.
fn with_parameters(entry: &Entry, test: impl FnOnce(&Parameters<'_>)) {
    let group = Group::check(&entry.bytes("p"), entry.number("g"), &mut PrimeCache::new(), &mut rng());
    let (salt1, salt2) = (entry.bytes("salt1"), entry.bytes("salt2"));
    test(&Parameters { group: &group.expect("a checked group"), salt1: &salt1, salt2: &salt2 });
}

fn entries() -> Vec<Entry> {
    let entries = vectors::load("srp").list("vectors");
    assert_eq!(entries.len(), 4);
    entries
}

#[test]
fn every_client_proof_and_verifier_is_the_recorded_one() {
    for entry in entries() {
        with_parameters(&entry, |parameters| {
            let password = entry.bytes("password_utf8");
            assert_eq!(srp::verifier(&password, parameters)[..], entry.bytes("v"), "{entry:?}");
            let mut script = Script::new(entry.bytes("client_a"));
            let proof = srp::prove(&password, parameters, &entry.bytes("B"), &mut script).expect("in range");
            assert_eq!(proof.a[..], entry.bytes("A"), "{entry:?}");
            assert_eq!(proof.m1[..], entry.bytes("M1"), "{entry:?}");
        });
    }
}

#[test]
fn every_server_value_is_the_recorded_one_and_accepts_the_recorded_proof() {
    for entry in entries() {
        with_parameters(&entry, |parameters| {
            let challenge = || {
                let mut script = Script::new(entry.bytes("server_b"));
                Challenge::new(parameters, &entry.array("v"), &mut script)
                    .expect("the recorded exponent is good")
            };
            assert_eq!(challenge().public()[..], entry.bytes("B"), "{entry:?}");
            let (a, mut m1) = (entry.bytes("A"), entry.array("M1"));
            assert_eq!(challenge().verify(&a, &m1), Ok(()), "{entry:?}");
            m1[31] ^= 1;
            assert_eq!(challenge().verify(&a, &m1), Err(SrpError::WrongProof), "{entry:?}");
        });
    }
}

#[test]
fn sec_158_a_group_that_fails_the_checks_never_reaches_a_proof() {
    // `Parameters` takes a checked `Group` and nothing else.
    let prime = entries()[0].bytes("p");
    let checked = |prime: &[u8], g| Group::check(prime, g, &mut PrimeCache::new(), &mut rng());
    assert_eq!(checked(&prime, 2), Err(DhError::GeneratorNotResidue { generator: 2 }));
    let other = checked(&[&prime[..255], &[0x5d]].concat(), 4);
    assert!(matches!(other, Err(DhError::NotPrime | DhError::NotSafePrime)), "{other:?}");
    assert!(matches!(checked(&prime[1..], 3), Err(DhError::PrimeSize { bits: ..=2040 })));
}

#[test]
fn sec_159_server_values_out_of_range_get_no_proof() {
    let negative = vectors::load("srp").list("negative");
    assert_eq!(negative.len(), 4);
    with_parameters(&entries()[0], |parameters| {
        for entry in &negative {
            let refused = srp::prove(b"password", parameters, &entry.bytes("srp_B"), &mut rng());
            let len = entry.bytes("srp_B").len();
            let expected = match len {
                248..=256 => SrpError::ServerValueRange,
                _ => SrpError::ServerValueLength { got: len },
            };
            assert_eq!(refused, Err(expected), "{entry:?}");
        }
        let zeros = srp::prove(b"password", parameters, &[0; 256], &mut rng());
        assert_eq!(zeros, Err(SrpError::ServerValueRange));
        let longer = srp::prove(b"password", parameters, &[0; 257], &mut rng());
        assert_eq!(longer, Err(SrpError::ServerValueLength { got: 257 }));
    });
}

#[test]
fn sec_160_a_server_value_without_its_leading_zero_gives_the_same_proof() {
    let entry = &entries()[3];
    assert_eq!(entry.name(), "B_with_leading_zero_byte");
    let b = entry.bytes("B");
    assert_eq!(b[0], 0);
    with_parameters(entry, |parameters| {
        let mut script = Script::new(entry.bytes("client_a"));
        let proof = srp::prove(&entry.bytes("password_utf8"), parameters, &b[1..], &mut script);
        assert_eq!(proof.expect("in range").m1[..], entry.bytes("M1"));
    });
}

#[test]
fn sec_161_a_client_value_that_fixes_the_secret_is_refused() {
    let entry = &entries()[0];
    with_parameters(entry, |parameters| {
        let prime = entry.bytes("p");
        for a in [&[][..], &[0], &[1], &prime, &[0xff; 256]] {
            let challenge =
                Challenge::new(parameters, &entry.array("v"), &mut rng()).expect("good randomness");
            assert_eq!(challenge.verify(a, &[0; 32]), Err(SrpError::ClientValueRange));
        }
    });
}
