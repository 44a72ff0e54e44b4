//! RSA keys and `RSA_PAD` against `rsa_fingerprints.json` and `rsa_pad.json`.

use chappe_conformance::{
    script::Script,
    vectors::{self, Entry},
};
use chappe_crypto::rsa::{
    Fingerprint, HISTORICAL_FINGERPRINTS, KeyError, KeyRing, PadError, PrivateKey, PublicKey,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0xa5; 32])
}

fn key_of(entry: &Entry) -> PublicKey {
    PublicKey::from_components(&entry.bytes("n"), &entry.bytes("e")).expect("vectors hold valid keys")
}

fn private_key() -> PrivateKey {
    let file = vectors::load("rsa_fingerprints");
    PrivateKey::from_pem(file.entry("test_key").text("pem_pkcs1_private")).expect("the test key is valid")
}

#[test]
fn sec_020_every_key_has_its_pinned_fingerprint() {
    let file = vectors::load("rsa_fingerprints");
    let entries = file.list("keys");
    assert_eq!(entries.len(), 10);
    for entry in entries.iter().chain([&file.entry("test_key")]) {
        let key = key_of(entry);
        assert_eq!(key.fingerprint().to_raw(), entry.number::<i64>("fingerprint_i64"), "{entry:?}");
        assert_eq!(
            key.fingerprint().to_raw().to_le_bytes(),
            entry.array("fingerprint_le_bytes"),
            "{entry:?}"
        );
    }
}

#[test]
fn a_key_is_the_same_in_every_form() {
    let file = vectors::load("rsa_fingerprints");
    for entry in file.list("keys") {
        assert_eq!(PublicKey::from_pem(entry.text("pem_pkcs1")), Ok(key_of(&entry)), "{entry:?}");
    }
    let entry = file.entry("test_key");
    for form in ["pem_pkcs1_public", "pem_spki_public"] {
        assert_eq!(PublicKey::from_pem(entry.text(form)), Ok(key_of(&entry)), "{form}");
    }
    assert_eq!(private_key().public_key(), &key_of(&entry));
}

#[test]
fn sec_017_the_current_key_is_selected_and_no_historical_or_unknown_one() {
    let file = vectors::load("rsa_fingerprints");
    let with_status = |environment: &str, status: &str| -> Vec<i64> {
        let matching =
            |entry: &Entry| entry.text("environment") == environment && entry.text("status") == status;
        let entries = file.list("keys").into_iter().filter(matching);
        entries.map(|entry| entry.number("fingerprint_i64")).collect()
    };
    let historical = with_status("production", "historical");
    assert_eq!(HISTORICAL_FINGERPRINTS.map(Fingerprint::to_raw).to_vec(), historical);
    for (ring, environment) in [(KeyRing::production(), "production"), (KeyRing::test(), "test")] {
        let current = with_status(environment, "current");
        let offered = [&[1][..], &historical, &current].concat();
        let selected = ring.select(&offered).map(|key| vec![key.fingerprint().to_raw()]);
        assert_eq!(selected, Some(current), "{environment}");
        let mut with_old_keys = ring.clone();
        with_old_keys.extend(file.list("keys").iter().map(key_of));
        assert_eq!(with_old_keys.select(&historical), None, "{environment}");
        assert_eq!(ring.select(&[]), None, "{environment}");
    }
}

#[test]
fn sec_018_production_and_test_rings_do_not_know_each_others_keys() {
    let fingerprint = |ring: &KeyRing| ring.iter().next().expect("one key").fingerprint();
    let (production, test) = (KeyRing::production(), KeyRing::test());
    assert_eq!(production.select(&[fingerprint(&test).to_raw()]), None);
    assert_eq!(test.select(&[fingerprint(&production).to_raw()]), None);
    assert_eq!(KeyRing::empty().select(&[fingerprint(&production).to_raw()]), None);
}

#[test]
fn sec_019_keys_must_have_2048_bits_and_an_odd_exponent_above_one() {
    let n = *private_key().public_key().modulus();
    let shorter = PublicKey::from_components(&n[128..], &[3]);
    assert_eq!(shorter, Err(KeyError::ModulusSize { bits: 1024 - n[128].leading_zeros() as usize }));
    for e in [&[][..], &[0], &[1], &[2], &[1, 0, 0]] {
        assert_eq!(PublicKey::from_components(&n, e), Err(KeyError::Exponent), "{e:?}");
    }
}

/// The drawn bytes of a vector: the padding, then one temporary key for each attempt.
fn script_of(entry: &Entry) -> Script {
    let mut bytes = entry.bytes("random_padding_bytes");
    entry.list("attempts").iter().for_each(|attempt| bytes.extend(attempt.bytes("temp_key")));
    Script::new(bytes)
}

#[test]
fn sec_023_rejected_temporary_keys_are_redrawn_in_full() {
    let file = vectors::load("rsa_pad");
    let entries = file.list("vectors");
    assert_eq!(entries.len(), 5);
    assert!(entries.iter().any(|entry| entry.list("attempts").len() == 3));
    for entry in entries {
        let mut script = script_of(&entry);
        let encrypted = key_of(&entry).encrypt_pad(&entry.bytes("data"), &mut script);
        assert_eq!(encrypted, Ok(entry.array("encrypted_data")), "{entry:?}");
        assert!(script.is_used_up(), "{entry:?}");
    }
}

#[test]
fn sec_023_more_than_144_bytes_are_refused() {
    let file = vectors::load("rsa_pad");
    let entry = &file.list("negative")[1];
    assert_eq!(entry.name(), "data_145_bytes");
    let data = vec![0; entry.number("data_length")];
    let refused = private_key().public_key().encrypt_pad(&data, &mut rng());
    assert_eq!(refused, Err(PadError::TooLong { got: 145 }));
}

#[test]
fn sec_024_encrypted_data_is_256_bytes_even_with_leading_zeros() {
    // About one result in 256 starts with a zero byte.
    let (key, mut rng) = (private_key(), rng());
    let zero_led = (0..4000u32).find_map(|i| {
        let encrypted = key.public_key().encrypt_pad(&i.to_be_bytes(), &mut rng).expect("short enough");
        (encrypted[0] == 0).then_some((i, encrypted))
    });
    let (i, encrypted) = zero_led.expect("4000 attempts miss with a probability below 2^-20");
    let decrypted = key.decrypt_pad(&encrypted, &mut rng).expect("genuine");
    assert_eq!(decrypted[..4], i.to_be_bytes());
}

#[test]
fn sec_047_the_server_reads_good_data_and_refuses_the_rest_without_a_reason() {
    let (file, key, mut rng) = (vectors::load("rsa_pad"), private_key(), rng());
    let own = |entry: &Entry| entry.bytes("n") == key.public_key().modulus();
    let entries: Vec<_> = file.list("vectors").into_iter().filter(own).collect();
    assert_eq!(entries.len(), 3);
    for entry in &entries {
        let data = [entry.bytes("data"), entry.bytes("random_padding_bytes")].concat();
        let decrypted = key.decrypt_pad(&entry.bytes("encrypted_data"), &mut rng).expect("genuine");
        assert_eq!(decrypted[..], data, "{entry:?}");
    }
    let good = entries[0].bytes("encrypted_data");
    let negative = &file.list("negative")[0];
    assert_eq!(negative.name(), "server_hash_mismatch");
    let longer = [&[0], &good[..]].concat();
    let bad = [&negative.bytes("encrypted_data")[..], &good[1..], &longer, &[], &[0xff; 256], &[0; 256]];
    let errors: Vec<_> = bad.iter().map(|bad| key.decrypt_pad(bad, &mut rng).expect_err("bad")).collect();
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
}

#[test]
fn sec_048_decryption_draws_fresh_blinding_each_time() {
    let (key, mut rng) = (private_key(), rng());
    let encrypted = key.public_key().encrypt_pad(b"data", &mut rng).expect("short enough");
    let mut states = Vec::new();
    for _ in 0..3 {
        key.decrypt_pad(&encrypted, &mut rng).expect("genuine");
        states.push(rng.get_word_pos());
    }
    assert!(states.windows(2).all(|pair| pair[0] < pair[1]), "{states:?}");
}

#[test]
fn the_form_of_old_clients_is_read_by_a_lenient_server() {
    // The published transcript of 2013 shows the layout: SHA-1, data, padding.
    let sample = vectors::load("handshake_samples").entry("sample_2013");
    let (key, mut rng) = (private_key(), rng());
    let mut message = vec![0];
    message.extend(sample.bytes("sha1_p_q_inner_data"));
    message.extend(sample.bytes("p_q_inner_data"));
    message.resize(256, 0x5a);
    let n = rsa_number(key.public_key().modulus());
    let encrypted = pow_65537(&rsa_number(&message), &n);
    let decrypted = key.decrypt_legacy(&encrypted, &mut rng).expect("genuine");
    assert_eq!(decrypted[..], message[1..]);
}

type Number = crypto_bigint::U2048;

fn rsa_number(bytes: &[u8]) -> Number {
    Number::from_be_slice(bytes)
}

fn pow_65537(base: &Number, n: &Number) -> Vec<u8> {
    use crypto_bigint::{
        Odd,
        modular::{FixedMontyForm, FixedMontyParams},
    };
    let params = FixedMontyParams::new_vartime(Odd::new(*n).expect("a modulus is odd"));
    let power = FixedMontyForm::new(base, &params).pow(&Number::from_u32(65537));
    power.retrieve().to_be_bytes().as_ref().to_vec()
}
