use alloc::{format, vec::Vec};

use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::Rng;
use rsa::pkcs1::ALGORITHM_ID;
use rsa::pkcs8::der::{Document, asn1::BitStringRef};
use rsa::pkcs8::{AlgorithmIdentifierRef, LineEnding, ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::*;

/// A key that was made for tests and is public.
const TEST_KEY: &str = "\
-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAmH9z9IPZDS5eM7QywLj7SxRQJioD8ILFtPLW9sZMwkc2ud7b
4PT+sxmoAMIjHZcvYfSpzouT5A+Tg3LqyZSRmpxNVpRxHAXuyJLGH9DiRHAnKTUH
PqUeUxZUl2VfocDO6uV5PzvxFAV1fMSlx0VO4RuPLzWGJHs7tahpIBnThl584gd6
a6PdkGfSIe+l3WyU0LjtbIJJLmJ/HhT10ddmh8ri1laKLer/vF0Lv7pXrLCd/mgZ
LY8S6m9y40FdnUc+a0LQyd8KKUCqQxoGpIW5YESpO9KwISzFo32W3xFI7dYhS+kk
YFF/0mTAPbZ0eDdidUGRFzikmLjhYZMGxo9v7QIDAQABAoIBAB8H6ljCXo+x1H3p
aF1ylsH5lXCaopgViDUQqCDpi5OJ6a8rU+tD9zMLILZcysf57GyenFIY8WRaLg50
uyV/O5yuOweH57dH1sXOJg4x02URPErEjV+YOmI2XEq9WFciFIjUXpZ5NE56aOSV
YFV6+zjPwpRc7Bmu0ODfbtrXHoWMEmgHTlB5xQhFnpwtDFZtmuHhxRCA7htGT0IZ
NW+VVNoicVHLC72eAcLFT7vVQ64YLmbSTwEUlzITu3/a3R4vk9g1N7BXyRXdjWoe
cpn7r2Vgi+FTrKA11foY72jeYboCB1//83EQvAdOHq9mvxs48zZFRFGlVdvalnds
K+py1bECgYEA1l+MwukeB/tTe2MWMI3ikRGj51UuBrTcYMMp95FHPHm7pUaaJuxT
7kjaMucikGYtdNjnViooCCYeyE+Wr61WKefniDjP/LjL21beZx99HLWRtnFL0azM
zd1D1/yZF9kfyUkbyKBJHB8jLjoqTSCaXNr8TrtxWdM1HkLF1GDXEv0CgYEAthwX
NICp9kXxlL1jMWm+VCulJv0ckYWksDs0t3z73hrDEJRZtk/GwTHgd+kT82upB96I
wXNufCmLZsI2GD3qC0TxVItKbcAIZnFDPDBHwacJ07C9dIaOAdMxyxjvHMI6wkNd
CS+CJXlT6a8X/Fygm6wHGWKdQaPUo/z4RubXO7ECgYAzNTnjqVoCIBgOBlpbmNkB
PEyBywgmk/d8qcIRoEN6/71COr5CA/v8lKyCslHAWpgLLHD+VS2g3LJHuTNOncJS
WlIlaSTNwrr3lyWjTpNNU1YOVbv9xyBZILy/EFjlqHj+VRds8lTkgc+ekEhgiiQ1
gB37FK17/obWxq6JD+TwZQKBgEr3p2naqZ0TUA8eI858rHhz+yngurkBXjmaNepv
TjQxqimSGJhfoP95K+HRFoB3yn7N0lhoz4vXgmaL/r7eBhIbkIlwSfSCQDMD31zQ
t0l2HSqDMIretWj06yOjoROitZOxLYSRhS8uEig6B1LBQvCy0b1Whkw2SFw10HNH
pkURAoGBAMKSC0JJuhJEEtZl5Pc97nldmVMG+7BGkCN+5gSCxBcwwWWPokeEB2Ra
vpCnmA9R17+VTfmP5829Ot8YxPHSKvMsYSgGcyhtZ0YeDemqN8G7Uk2r8X325oG+
xl9xEwW+iKrh9BPs02Qmd/IgST+ls4DnEQgxX19mzdzRoSQoNoBU
-----END RSA PRIVATE KEY-----";

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0xa5; 32])
}

fn private_key() -> PrivateKey {
    PrivateKey::from_pem(TEST_KEY).expect("the test key is valid")
}

#[test]
fn published_keys_have_the_published_fingerprints() {
    let fingerprints = |ring: KeyRing| ring.iter().map(PublicKey::fingerprint).collect::<Vec<_>>();
    assert_eq!(fingerprints(KeyRing::production()), [Fingerprint::from_raw(-3_414_540_481_677_951_611)]);
    assert_eq!(fingerprints(KeyRing::test()), [Fingerprint::from_raw(-5_595_554_452_916_591_101)]);
}

#[test]
fn a_key_survives_its_pem_forms() {
    let private = private_key();
    let public = PublicKey::from_pem(&private.public_key().to_pem().expect("encodes")).expect("decodes");
    assert_eq!(public, *private.public_key());
    let again = PrivateKey::from_pem(&private.to_pem().expect("encodes")).expect("decodes");
    assert_eq!(again.public_key(), &public);
}

#[test]
fn a_key_with_a_large_exponent_survives_its_pem_form() {
    let n = *private_key().public_key().modulus();
    for e in [&[1, 0, 0, 0, 1][..], &[0x80, 0, 0, 0, 0, 0, 0, 0, 1], &[&[0x7f], &n[1..]].concat()] {
        let key = PublicKey::from_components(&n, e).expect("odd and below the modulus");
        let pem = key.to_pem().expect("there is no limit for the exponent");
        assert_eq!(PublicKey::from_pem(&pem), Ok(key), "{e:?}");
    }
}

/// `SubjectPublicKeyInfo`, as `openssl rsa -pubout` writes it. With the algorithm of elliptic curves it is refused.
#[test]
fn a_key_in_the_general_form_is_an_rsa_key() {
    let key = private_key().public_key().clone();
    let pkcs1 = Document::from_pem(&key.to_pem().expect("encodes")).expect("decodes").1;
    let general = |algorithm| {
        let subject_public_key = BitStringRef::from_bytes(pkcs1.as_bytes()).expect("it is short");
        let info = SubjectPublicKeyInfoRef { algorithm, subject_public_key };
        let document = Document::encode_msg(&info).expect("encodes");
        document.to_pem("PUBLIC KEY", LineEnding::LF).expect("encodes")
    };
    assert_eq!(PublicKey::from_pem(&general(ALGORITHM_ID)), Ok(key));
    let oid = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    let other = general(AlgorithmIdentifierRef { oid, ..ALGORITHM_ID });
    assert_eq!(PublicKey::from_pem(&other), Err(KeyError::Malformed));
}

#[test]
fn keys_of_other_sizes_and_bad_exponents_are_refused() {
    let n = *private_key().public_key().modulus();
    let refused = |n: &[u8], e: &[u8]| PublicKey::from_components(n, e).expect_err("unacceptable");
    assert_eq!(refused(&[&[0x80], &n[129..]].concat(), &[3]), KeyError::ModulusSize { bits: 1024 });
    assert_eq!(refused(&[&[1], &n[..]].concat(), &[3]), KeyError::ModulusSize { bits: 2049 });
    assert_eq!(refused(&[], &[3]), KeyError::ModulusSize { bits: 0 });
    let mut half = n;
    half[0] &= 0x7f;
    assert!(matches!(refused(&half, &[3]), KeyError::ModulusSize { bits: ..=2047 }));
    let mut even = n;
    even[255] &= 0xfe;
    assert_eq!(refused(&even, &[3]), KeyError::EvenModulus);
    for e in [&[][..], &[0], &[1], &[0, 1], &[2], &[1, 0, 0], &n, &[0xff; 300]] {
        assert_eq!(refused(&n, e), KeyError::Exponent, "{e:?}");
    }
    assert_eq!(
        PublicKey::from_components(&[&[0, 0], &n[..]].concat(), &[0, 3]),
        PublicKey::from_components(&n, &[3])
    );
}

#[test]
fn text_that_is_no_key_is_malformed() {
    for text in [
        "",
        "-----BEGIN RSA PUBLIC KEY-----",
        TEST_KEY,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ] {
        assert_eq!(PublicKey::from_pem(text), Err(KeyError::Malformed));
    }
    assert_eq!(PrivateKey::from_pem("").err(), Some(KeyError::Malformed));
}

#[test]
fn a_historical_key_is_not_selected_even_if_it_is_in_the_ring() {
    let mut ring = KeyRing::production();
    let current = ring.iter().next().expect("one key").fingerprint();
    ring.add(private_key().public_key().clone());
    let own = private_key().public_key().fingerprint();
    let historical = HISTORICAL_FINGERPRINTS.map(Fingerprint::to_raw);
    assert_eq!(ring.select(&historical), None);
    assert_eq!(ring.select(&[]), None);
    let offered = [&historical[..], &[own.to_raw(), current.to_raw()]].concat();
    assert_eq!(ring.select(&offered).map(PublicKey::fingerprint), Some(own));
}

#[test]
fn adding_a_key_twice_keeps_one() {
    let mut ring = KeyRing::empty();
    ring.extend([private_key().public_key().clone(), private_key().public_key().clone()]);
    assert_eq!(ring.iter().count(), 1);
}

#[test]
fn data_up_to_144_bytes_comes_back_and_longer_data_is_refused() {
    let (private, mut rng) = (private_key(), rng());
    for len in [0, 1, 100, 143, 144] {
        let mut data = [0; 144];
        rng.fill_bytes(&mut data);
        let encrypted = private.public_key().encrypt_pad(&data[..len], &mut rng).expect("short enough");
        let decrypted = private.decrypt_pad(&encrypted, &mut rng).expect("genuine");
        assert_eq!(decrypted[..len], data[..len], "{len}");
    }
    let refused = private.public_key().encrypt_pad(&[0; 145], &mut rng);
    assert_eq!(refused, Err(PadError::TooLong { got: 145 }));
}

#[test]
fn every_failure_of_decryption_looks_the_same() {
    let (private, mut rng) = (private_key(), rng());
    let good = private.public_key().encrypt_pad(b"data", &mut rng).expect("short enough");
    let mut flipped = good;
    flipped[200] ^= 1;
    let longer = [&[0], &good[..]].concat();
    for bad in
        [&[][..], &good[..255], &longer, &[0xff; 256], private.public_key().modulus(), &[0; 256], &flipped]
    {
        assert_eq!(private.decrypt_pad(bad, &mut rng), Err(DecryptError));
    }
}

#[test]
fn the_form_of_old_clients_can_be_decrypted() {
    let (private, mut rng) = (private_key(), rng());
    let mut message = [0x5a; 256];
    message[0] = 0;
    let encrypted = private.public_key().raw_encrypt(&message);
    assert_eq!(private.decrypt_legacy(&encrypted, &mut rng).expect("genuine")[..], message[1..]);
    message[0] = 1;
    let encrypted = private.public_key().raw_encrypt(&message);
    assert_eq!(private.decrypt_legacy(&encrypted, &mut rng), Err(DecryptError));
}

#[test]
fn a_generated_key_works_and_is_not_shown() {
    let mut rng = rng();
    let private = PrivateKey::generate(&mut rng).expect("randomness is good");
    let encrypted = private.public_key().encrypt_pad(b"data", &mut rng).expect("short enough");
    assert_eq!(private.decrypt_pad(&encrypted, &mut rng).expect("genuine")[..4], *b"data");
    let shown = format!("{private:?}");
    assert_eq!(shown, format!("PrivateKey {{ fingerprint: {:?}, .. }}", private.public_key().fingerprint()));
}

proptest! {
    #[test]
    fn arbitrary_text_and_components_never_panic(text in ".{0,200}", n: Vec<u8>, e: Vec<u8>) {
        let _ = PublicKey::from_pem(&text);
        let _ = PrivateKey::from_pem(&text);
        let _ = PublicKey::from_components(&n, &e);
    }
}
