//! The course of an exchange: what comes when, what is ignored, and what ends it.

use core::time::Duration;

use chappe_conformance::script::Script;
use chappe_crypto::dh::{Group, PrimeCache};
use chappe_crypto::nonce::HashNumber;
use chappe_framing::{FrameBuf, FrameError, MalformedFrame, Now, PeerMisbehaved};
use chappe_handshake::{
    ClientHandshake, HANDSHAKE_TIMEOUT, HandshakeError, InvalidAnswer, Progress, step1_with, step2_with,
    step3_with,
};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, types};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{NOW, SERVER_NONCE, Server, meet_at_the_end, res_pq, rng};
use crate::{client_options, from_server};

#[test]
fn sec_013_an_answer_of_another_state_is_refused() {
    let object = |nonce| {
        let hash = [0; 16];
        [
            types_bytes(&enums::ResPq::ResPq(res_pq(nonce))),
            types_bytes(&enums::ServerDhParams::Fail(types::ServerDhParamsFail {
                nonce,
                server_nonce: SERVER_NONCE,
                new_nonce_hash: hash,
            })),
            types_bytes(&enums::SetClientDhParamsAnswer::DhGenOk(types::DhGenOk {
                nonce,
                server_nonce: SERVER_NONCE,
                new_nonce_hash1: hash,
            })),
        ]
    };
    for early in [1, 2] {
        let mut rng = rng();
        let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
        let nonce = client.last_request()[4..].try_into().unwrap();
        let result = client.handle_frame(NOW, &from_server(&object(nonce)[early]), &mut rng);
        let answer = object(nonce)[early].clone();
        let id = u32::from_le_bytes(answer[..4].try_into().unwrap());
        assert!(
            matches!(result, Err(HandshakeError::InvalidAnswer(InvalidAnswer::Unexpected { id: got })) if got == id),
            "{result:?}"
        );
        assert!(client.is_over());
        assert!(!client.poll_transmit(NOW, &mut FrameBuf::new()), "nothing more is asked");
        let other = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
        assert_ne!(other.last_request()[4..20], nonce, "another attempt has another nonce");
    }
}

fn types_bytes(object: &impl Serializable) -> Vec<u8> {
    object.to_bytes()
}

#[test]
fn sec_043_an_exchange_has_a_deadline() {
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng()).unwrap();
    let deadline = NOW.mono + HANDSHAKE_TIMEOUT;
    let late = Now::new(deadline, NOW.unix);
    assert_eq!(client.poll_timeout(), Some(deadline));
    assert!(client.handle_timeout(NOW).is_ok());
    assert!(matches!(client.handle_timeout(late), Err(HandshakeError::TimedOut)));
    assert!(client.is_over());
    assert!(!client.poll_transmit(late, &mut FrameBuf::new()));
    assert!(client.handle_timeout(late).is_ok(), "it is told once");
    let sooner = NOW.mono + Duration::from_secs(1);
    let client = ClientHandshake::begin(client_options(), NOW, &mut rng()).unwrap().with_deadline(sooner);
    assert_eq!(client.poll_timeout(), Some(sooner));
}

#[test]
fn sec_001_a_source_that_repeats_itself_ends_the_exchange() {
    // With such randomness no exponent gives a value in range, and no number for RSA is drawn forever.
    let mut script = vec![7; 16 + 32 + 92 + 32];
    script.extend([0; 256 * 8]);
    let mut broken = Script::new(script);
    let (request, state) = step1_with(&mut broken);
    let answer = enums::ResPq::ResPq(res_pq(request.nonce));
    let (request, state) = step2_with(state, answer, &client_options(), &mut broken).unwrap();
    let new_nonce = [7; 32];
    let group = Group::known(3).unwrap();
    let (exponent, _) = group.key_pair(&mut rng()).unwrap();
    let inner = enums::PQInnerData::PQInnerData(types::PQInnerData {
        pq: vec![],
        p: vec![],
        q: vec![],
        nonce: request.nonce,
        server_nonce: SERVER_NONCE,
        new_nonce,
    });
    let server = Server { nonce: request.nonce, new_nonce, inner, exponent, group };
    let params = server.params(server.inner_data());
    let refused = step3_with(state, params, NOW.unix, &mut PrimeCache::default(), &mut broken).map(|_| ());
    assert!(matches!(refused, Err(HandshakeError::NoRandomness)), "{refused:?}");
}

#[test]
fn sec_005_secrets_are_not_shown() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let shown = format!("{state:?}");
    let answer = server.ok(server.hash(HashNumber::Ok, &key));
    let outcome = state.handle(answer, &mut rng).unwrap();
    let all = format!("{shown} {outcome:?}");
    let secret = format!("{:?}", &key.as_bytes()[..8]);
    assert!(!all.contains(secret.trim_matches(['[', ']'])), "{all}");
    assert!(!all.contains("auth_key: ["), "{all}");
}

#[test]
fn the_same_answer_twice_is_ignored_once() {
    let mut rng = rng();
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
    let nonce = client.last_request()[4..].try_into().unwrap();
    let answer = from_server(&enums::ResPq::ResPq(res_pq(nonce)).to_bytes());
    assert!(matches!(client.handle_frame(NOW, &answer, &mut rng), Ok(Progress::ServerKnown)));
    let request = client.last_request().to_vec();
    assert!(matches!(client.handle_frame(NOW, &answer, &mut rng), Ok(Progress::Repeated)));
    assert_eq!(client.last_request(), request);
}

#[test]
fn frames_that_are_no_handshake_end_the_exchange() {
    for frame in [vec![], vec![0; 19], vec![1; 100], from_server(&0x7abe_77ec_u32.to_le_bytes())] {
        let mut rng = rng();
        let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
        let refused = client.handle_frame(NOW, &frame, &mut rng);
        let expected = matches!(
            refused,
            Err(HandshakeError::Frame(
                FrameError::Malformed(MalformedFrame::TooShort { .. })
                    | FrameError::Misbehaved(
                        PeerMisbehaved::NotPlain { .. } | PeerMisbehaved::NotAHandshakeObject { .. }
                    )
            ))
        );
        assert!(expected, "{refused:?}");
    }
}

#[test]
fn arbitrary_bytes_do_not_panic_a_client() {
    let mut noise = ChaCha20Rng::from_seed([2; 32]);
    for round in 0..500_usize {
        let mut rng = rng();
        let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
        let mut object = vec![0; 4 + round % 300];
        noise.fill_bytes(&mut object);
        object[..4].copy_from_slice(&0x0516_2463_u32.to_le_bytes());
        let _ = client.handle_frame(NOW, &from_server(&object), &mut rng);
    }
}
