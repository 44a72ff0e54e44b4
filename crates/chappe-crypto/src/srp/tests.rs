use std::format;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0x5a; 32])
}

fn group() -> Group {
    Group::known(3).expect("3 is a generator")
}

#[test]
fn the_right_password_is_accepted_and_a_wrong_one_is_not() {
    let (group, mut rng) = (group(), rng());
    let parameters = Parameters { group: &group, salt1: &[1; 40], salt2: &[2; 16] };
    let stored = verifier(b"right", &parameters);
    for (password, expected) in [(&b"right"[..], Ok(())), (b"wrong", Err(SrpError::WrongProof))] {
        let challenge = Challenge::new(&parameters, &stored, &mut rng).expect("randomness is good");
        let proof = prove(password, &parameters, challenge.public(), &mut rng).expect("in range");
        assert_eq!(challenge.verify(&proof.a, &proof.m1), expected);
    }
}

#[test]
fn sec_162_a_new_password_gets_a_salt_of_its_own() {
    let (group, mut rng) = (group(), rng());
    let parameters = Parameters { group: &group, salt1: b"server", salt2: b"" };
    let (first, second) =
        (new_password(b"same", &parameters, &mut rng), new_password(b"same", &parameters, &mut rng));
    assert_eq!(first.salt1.len(), 6 + 32);
    assert_eq!(first.salt1[..6], *b"server");
    assert_ne!(first.salt1, second.salt1);
    assert_ne!(first.hash, second.hash);
    let stored = verifier(b"same", &Parameters { salt1: &first.salt1, ..parameters });
    assert_eq!(first.hash, *stored);
}

#[test]
fn sec_161_client_values_without_a_secret_are_refused() {
    let (group, mut rng) = (group(), rng());
    let parameters = Parameters { group: &group, salt1: b"1", salt2: b"2" };
    let mut p_minus_one = *group.prime();
    p_minus_one[255] -= 1;
    for a in [&[][..], &[0], &[1], &[0; 256], &p_minus_one, group.prime(), &[0xff; 256]] {
        let challenge = Challenge::new(&parameters, &[9; 256], &mut rng).expect("randomness is good");
        assert_eq!(challenge.verify(a, &[0; 32]), Err(SrpError::ClientValueRange));
    }
    let challenge = Challenge::new(&parameters, &[9; 256], &mut rng).expect("randomness is good");
    assert_eq!(challenge.verify(&[0; 257], &[0; 32]), Err(SrpError::ClientValueLength { got: 257 }));
}

#[test]
fn a_server_that_hides_nothing_gets_no_proof() {
    // B = k v makes the common secret zero for the server that stored v.
    let (group, mut rng) = (group(), rng());
    let parameters = Parameters { group: &group, salt1: b"1", salt2: b"2" };
    let v = verifier(b"password", &parameters);
    let b = group.modulus().mul(&hash::multiplier(&group), &v);
    assert_eq!(prove(b"password", &parameters, &b, &mut rng), Err(SrpError::ServerValueRange));
}

#[test]
fn debug_output_shows_no_secret() {
    let (group, mut rng) = (group(), rng());
    let parameters = Parameters { group: &group, salt1: b"1", salt2: b"2" };
    let challenge = Challenge::new(&parameters, &[9; 256], &mut rng).expect("randomness is good");
    assert_eq!(format!("{challenge:?}"), "Challenge { .. }");
}
