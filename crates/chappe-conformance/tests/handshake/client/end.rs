//! The key, and how the server says yes, again or no.

use chappe_crypto::dh::PrimeCache;
use chappe_crypto::nonce::HashNumber;
use chappe_crypto::{AuthKey, nonce};
use chappe_handshake::{HandshakeError, InvalidAnswer, MAX_RETRIES, Outcome, Retry, step3_with};
use chappe_tl_mtproto::{enums, types};

use super::{NOW, SERVER_NONCE, Server, meet_at_the_end, rng};
use crate::client_options;

#[test]
fn sec_036_the_key_has_256_bytes() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (inner, key) = server.agree(&request);
    assert_eq!(inner.g_b.len(), 256);
    let answer = server.ok(server.hash(HashNumber::Ok, &key));
    let Outcome::Done(finished) = state.handle(answer, &mut rng).unwrap() else { panic!("it is done") };
    assert_eq!(finished.auth_key.len(), 256);
    assert_eq!(finished.key(), key);
}

#[test]
fn sec_037_dh_gen_ok_must_prove_knowledge_of_the_key() {
    for wrong in 0..3 {
        let mut rng = rng();
        let (server, request, state) = meet_at_the_end(&mut rng);
        let (_, key) = server.agree(&request);
        let hash = match wrong {
            0 => [0; 16],
            1 => server.hash(HashNumber::Retry, &key),
            _ => server.hash(HashNumber::Ok, &AuthKey::from_bytes([1; 256])),
        };
        let refused = state.handle(server.ok(hash), &mut rng).map(|_| ());
        assert!(
            matches!(refused, Err(HandshakeError::InvalidAnswer(InvalidAnswer::NewNonceHash { got })) if got == hash),
            "{refused:?}"
        );
    }
}

#[test]
fn sec_038_retries_are_authenticated_chained_and_limited() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let forged = state.handle(server.retry(server.hash(HashNumber::Ok, &key)), &mut rng).map(|_| ());
    assert!(
        matches!(forged, Err(HandshakeError::InvalidAnswer(InvalidAnswer::NewNonceHash { .. }))),
        "{forged:?}"
    );

    let (server, mut request, mut state) = meet_at_the_end(&mut rng);
    let mut expected_id = 0;
    for _ in 0..MAX_RETRIES {
        let (inner, key) = server.agree(&request);
        assert_eq!(inner.retry_id, expected_id);
        expected_id = i64::from_le_bytes(key.aux_hash());
        let answer = server.retry(server.hash(HashNumber::Retry, &key));
        let Outcome::Retry(retry) = state.handle(answer, &mut rng).unwrap() else { panic!("it is a retry") };
        Retry { request, state } = *retry;
    }
    let (inner, key) = server.agree(&request);
    assert_eq!(inner.retry_id, expected_id);
    let sixth = state.handle(server.retry(server.hash(HashNumber::Retry, &key)), &mut rng).map(|_| ());
    assert!(matches!(sixth, Err(HandshakeError::InvalidAnswer(InvalidAnswer::TooManyRetries))), "{sixth:?}");
}

#[test]
fn sec_039_failures_are_believed_only_with_their_hash() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let forged = state.handle(server.fail(server.hash(HashNumber::Ok, &key)), &mut rng).map(|_| ());
    assert!(
        matches!(forged, Err(HandshakeError::InvalidAnswer(InvalidAnswer::NewNonceHash { .. }))),
        "{forged:?}"
    );
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let genuine = state.handle(server.fail(server.hash(HashNumber::Fail, &key)), &mut rng).map(|_| ());
    assert!(matches!(genuine, Err(HandshakeError::DhGenFail)), "{genuine:?}");

    for genuine in [false, true] {
        let (server, state) = Server::meet(&client_options(), &mut rng);
        let hash = if genuine { nonce::new_nonce_hash(&server.new_nonce) } else { [9; 16] };
        let answer = types::ServerDhParamsFail {
            nonce: server.nonce,
            server_nonce: SERVER_NONCE,
            new_nonce_hash: hash,
        };
        let answer = enums::ServerDhParams::Fail(answer);
        match step3_with(state, answer, NOW.unix, &mut PrimeCache::default(), &mut rng).map(|_| ()) {
            Err(HandshakeError::DhParamsFail) if genuine => {}
            Err(HandshakeError::InvalidAnswer(InvalidAnswer::NewNonceHash { .. })) if !genuine => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn sec_041_the_first_salt_is_the_xor_of_the_nonces() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let answer = server.ok(server.hash(HashNumber::Ok, &key));
    let Outcome::Done(finished) = state.handle(answer, &mut rng).unwrap() else { panic!("it is done") };
    let xor: Vec<u8> = (0..8).map(|i| server.new_nonce[i] ^ SERVER_NONCE[i]).collect();
    assert_eq!(finished.salt().to_raw().to_le_bytes(), *xor);
}
