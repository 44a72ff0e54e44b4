//! What `resPQ` must say.

use chappe_crypto::dh::PrimeCache;
use chappe_crypto::factorize;
use chappe_crypto::nonce::HashNumber;
use chappe_crypto::rsa::KeyRing;
use chappe_handshake::{HandshakeError, InvalidAnswer, step1_with, step2_with, step3_with};
use chappe_tl_mtproto::enums;

use super::{NOW, SERVER_NONCE, Server, answer_res_pq, meet_at_the_end, res_pq, rng};
use crate::{client_options, public_key};

#[test]
fn sec_014_the_nonce_of_res_pq_must_be_ours() {
    for byte in 0..16 {
        let mut sent = [0; 16];
        let refused = answer_res_pq(|answer| {
            answer.nonce[byte] ^= 1;
            sent = answer.nonce;
        });
        let Err(HandshakeError::InvalidAnswer(InvalidAnswer::Nonce { got, mut expected })) = refused else {
            panic!("{refused:?}")
        };
        expected[byte] ^= 1;
        assert_eq!((got, expected), (sent, sent));
    }
    assert!(answer_res_pq(|_| {}).is_ok());
}

#[test]
fn sec_015_the_server_nonce_must_stay_the_same() {
    let mut rng = rng();
    let (server, state) = Server::meet(&client_options(), &mut rng);
    let enums::ServerDhParams::Ok(mut answer) = server.params(server.inner_data()) else {
        panic!("it is ok")
    };
    answer.server_nonce[15] ^= 1;
    let answer = enums::ServerDhParams::Ok(answer);
    let refused = step3_with(state, answer, NOW.unix, &mut PrimeCache::default(), &mut rng).map(|_| ());
    let Err(HandshakeError::InvalidAnswer(InvalidAnswer::ServerNonce { got, expected })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((got[..15].to_vec(), got[15], expected), (vec![0x51; 15], 0x50, SERVER_NONCE));

    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let enums::SetClientDhParamsAnswer::DhGenOk(mut answer) = server.ok(server.hash(HashNumber::Ok, &key))
    else {
        panic!("it is ok")
    };
    answer.server_nonce[0] ^= 1;
    let refused = state.handle(enums::SetClientDhParamsAnswer::DhGenOk(answer), &mut rng);
    assert!(
        matches!(refused, Err(HandshakeError::InvalidAnswer(InvalidAnswer::ServerNonce { .. }))),
        "{refused:?}"
    );
}

#[test]
fn sec_016_the_nonce_of_later_messages_must_be_ours() {
    let mut rng = rng();
    let (server, state) = Server::meet(&client_options(), &mut rng);
    let enums::ServerDhParams::Ok(mut answer) = server.params(server.inner_data()) else {
        panic!("it is ok")
    };
    answer.nonce[0] ^= 1;
    let answer = enums::ServerDhParams::Ok(answer);
    let refused = step3_with(state, answer, NOW.unix, &mut PrimeCache::default(), &mut rng).map(|_| ());
    let Err(HandshakeError::InvalidAnswer(InvalidAnswer::Nonce { got, expected })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(expected, server.nonce);
    assert_eq!((got[0], &got[1..]), (expected[0] ^ 1, &expected[1..]));
}

#[test]
fn sec_017_a_server_without_a_known_key_is_refused() {
    for offered in [vec![], vec![1], vec![1, 2, 3]] {
        let refused = answer_res_pq(|answer| answer.server_public_key_fingerprints.clone_from(&offered));
        match refused {
            Err(HandshakeError::UnknownFingerprints { fingerprints }) => {
                assert_eq!(fingerprints, offered);
                assert!(
                    HandshakeError::UnknownFingerprints { fingerprints }.is_fatal(),
                    "another attempt is no use"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let chosen = answer_res_pq(|answer| answer.server_public_key_fingerprints.insert(0, 7)).unwrap();
    assert_eq!(chosen.public_key_fingerprint, public_key().fingerprint().to_raw());
}

#[test]
fn sec_018_a_key_of_another_ring_is_not_used() {
    let mut rng = rng();
    let (production, test) = (KeyRing::production(), KeyRing::test());
    for (own, foreign) in [(&production, &test), (&test, &production)] {
        let (request, state) = step1_with(&mut rng);
        let mut answer = res_pq(request.nonce);
        answer.server_public_key_fingerprints =
            foreign.iter().map(|key| key.fingerprint().to_raw()).collect();
        let options = client_options().with_keys(own.clone());
        let refused = step2_with(state, enums::ResPq::ResPq(answer), &options, &mut rng).map(|_| ());
        let Err(HandshakeError::UnknownFingerprints { fingerprints }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(fingerprints, foreign.iter().map(|key| key.fingerprint().to_raw()).collect::<Vec<_>>());
    }
}

#[test]
fn sec_021_pq_must_be_a_product_of_two_distinct_primes() {
    let bytes = |number: u64| number.to_be_bytes().to_vec();
    for pq in [
        vec![],
        vec![0],
        vec![1],
        bytes(15_485_863),
        bytes(2 * 15_485_863),
        bytes(65_537 * 65_537),
        bytes(3 * 5 * 7),
        bytes(u64::MAX),
        vec![1; 9],
    ] {
        let refused = answer_res_pq(|answer| answer.pq.clone_from(&pq));
        assert!(
            matches!(refused, Err(HandshakeError::InvalidAnswer(InvalidAnswer::Pq(_)))),
            "{pq:?} {refused:?}"
        );
    }
    let request = answer_res_pq(|_| {}).unwrap();
    assert_eq!((request.p, request.q), (vec![0x5a, 0x30, 0x0d, 0x4b], vec![0x6a, 0x26, 0xdb, 0x65]));
}

#[test]
fn sec_022_no_pq_keeps_the_client_busy() {
    // The largest prime below 2^63, and products whose smaller factor is as large as can be.
    let start = std::time::Instant::now();
    for pq in [9_223_372_036_854_775_783, 3_037_000_493 * 3_037_000_453, 13, 11, 9, 7, 5, 3] {
        let _ = factorize(pq);
        let _ = answer_res_pq(|answer| answer.pq = pq.to_be_bytes().to_vec());
    }
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
