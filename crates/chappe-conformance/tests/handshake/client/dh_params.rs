//! What the parameters of the exchange must be.

use chappe_crypto::dh::{DhError, KNOWN_PRIME, PrimeCache};
use chappe_crypto::nonce::HashNumber;
use chappe_handshake::{HandshakeError, InvalidAnswer, Outcome, step3_with};
use chappe_tl::Serializable;
use chappe_tl_mtproto::enums;

use super::{NOW, SERVER_NONCE, Server, answer_params, meet_at_the_end, rng};
use crate::client_options;

#[test]
fn sec_026_an_answer_that_is_not_whole_blocks_is_refused() {
    for len in [0, 1, 4, 15, 16, 20, 21, 588, 591, 593] {
        let mut rng = rng();
        let (server, state) = Server::meet(&client_options(), &mut rng);
        let answer = server.params_of(vec![1; len]);
        let refused = step3_with(state, answer, NOW.unix, &mut PrimeCache::default(), &mut rng).map(|_| ());
        let expected = matches!(refused, Err(HandshakeError::InvalidAnswer(InvalidAnswer::NotPadded { len: got })) if got == len);
        assert!(expected, "{len}: {refused:?}");
    }
}

#[test]
fn sec_027_the_hash_of_the_answer_must_be_right() {
    let mut rng = rng();
    let (server, _) = Server::meet(&client_options(), &mut rng);
    let enums::ServerDhParams::Ok(good) = server.params(server.inner_data()) else { panic!("it is ok") };
    for at in (0..good.encrypted_answer.len()).step_by(7) {
        let mut rng = self::rng();
        let (server, state) = Server::meet(&client_options(), &mut rng);
        let enums::ServerDhParams::Ok(mut answer) = server.params(server.inner_data()) else {
            panic!("it is ok")
        };
        answer.encrypted_answer[at] ^= 1;
        let answer = enums::ServerDhParams::Ok(answer);
        let refused = step3_with(state, answer, NOW.unix, &mut PrimeCache::default(), &mut rng).map(|_| ());
        assert!(
            matches!(refused, Err(HandshakeError::InvalidAnswer(InvalidAnswer::DhInnerData))),
            "{at}: {refused:?}"
        );
    }
}

#[test]
fn sec_028_at_most_15_bytes_follow_the_inner_object() {
    for padding in [8, 24, 40] {
        let mut rng = rng();
        let (server, state) = Server::meet(&client_options(), &mut rng);
        let object = enums::ServerDhInnerData::ServerDhInnerData(server.inner_data()).to_bytes();
        assert_eq!(object.len(), 564);
        let answer = server.params_of(server.encrypt(&object, padding));
        let result = step3_with(state, answer, NOW.unix, &mut PrimeCache::default(), &mut rng).map(|_| ());
        match padding {
            8 => assert!(result.is_ok(), "{result:?}"),
            _ => assert!(
                matches!(result, Err(HandshakeError::InvalidAnswer(InvalidAnswer::DhInnerData))),
                "{padding}: {result:?}"
            ),
        }
    }
}

#[test]
fn sec_029_the_nonces_inside_must_be_ours() {
    let refused = answer_params(|inner| inner.nonce[3] ^= 1);
    let Err(HandshakeError::InvalidAnswer(InvalidAnswer::Nonce { got, expected })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(got[3], expected[3] ^ 1);
    let refused = answer_params(|inner| inner.server_nonce[3] ^= 1);
    let Err(HandshakeError::InvalidAnswer(InvalidAnswer::ServerNonce { got, expected })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((got[3], expected), (0x50, SERVER_NONCE));
    assert!(answer_params(|_| {}).is_ok());
}

fn dh_error(result: Result<(), HandshakeError>) -> DhError {
    match result {
        Err(HandshakeError::InvalidAnswer(InvalidAnswer::DhParams(error))) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sec_030_the_prime_must_have_2048_bits() {
    let short = dh_error(answer_params(|inner| inner.dh_prime = KNOWN_PRIME[1..].to_vec()));
    assert!(matches!(short, DhError::PrimeSize { bits: 2033..=2040 }), "{short:?}");
    let half = dh_error(answer_params(|inner| inner.dh_prime[0] &= 0x7f));
    assert!(matches!(half, DhError::PrimeSize { bits: 2041..=2047 }), "{half:?}");
    let long = dh_error(answer_params(|inner| inner.dh_prime.push(1)));
    assert_eq!(long, DhError::PrimeSize { bits: 2056 });
}

#[test]
fn sec_031_the_prime_must_be_safe() {
    // Not the published prime any more, and with overwhelming odds no prime at all; 4 is a generator
    // of whatever it is, so nothing but the primality tests can refuse it.
    let refused = dh_error(answer_params(|inner| {
        inner.dh_prime[200] ^= 1;
        inner.g = 4;
    }));
    assert!(matches!(refused, DhError::NotPrime | DhError::NotSafePrime), "{refused:?}");
}

#[test]
fn sec_032_the_generator_must_fit_the_prime() {
    for g in [-1, 0, 1, 2, 5, 6, 8, i32::MIN, i32::MAX] {
        let refused = dh_error(answer_params(|inner| inner.g = g));
        let expected = match g {
            2 | 5 | 6 => DhError::GeneratorNotResidue { generator: g },
            _ => DhError::GeneratorRange { generator: g },
        };
        assert_eq!(refused, expected);
    }
}

#[test]
fn sec_033_and_sec_034_the_servers_public_value_must_be_in_range() {
    let mut p_minus_1 = KNOWN_PRIME;
    p_minus_1[255] -= 1;
    for g_a in [vec![], vec![0; 256], vec![1], p_minus_1.to_vec(), KNOWN_PRIME.to_vec()] {
        let refused = dh_error(answer_params(|inner| inner.g_a = g_a));
        assert_eq!(refused, DhError::ValueOutOfGroup);
    }
    for g_a in [vec![0xff; 248], {
        let mut near = KNOWN_PRIME;
        near[255] -= 9;
        near.to_vec()
    }] {
        let refused = dh_error(answer_params(|inner| inner.g_a = g_a));
        assert_eq!(refused, DhError::ValueOutOfSafeRange);
    }
    let refused = dh_error(answer_params(|inner| inner.g_a.insert(0, 1)));
    assert_eq!(refused, DhError::ValueTooLong { got: 257 });
}

#[test]
fn sec_002_and_sec_035_each_attempt_has_an_exponent_of_its_own_in_range() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (first, key) = server.agree(&request);
    let Outcome::Retry(retry) =
        state.handle(server.retry(server.hash(HashNumber::Retry, &key)), &mut rng).unwrap()
    else {
        panic!("it is a retry")
    };
    // `agree` checks the range of both values.
    let (second, _) = server.agree(&retry.request);
    assert_ne!(first.g_b, second.g_b);
}
