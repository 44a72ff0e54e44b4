//! The course of an exchange: what comes when, what becomes of it, and what ends it.

use chappe_crypto::AuthKeyId;
use chappe_framing::{FrameBuf, FrameError, MalformedFrame};
use chappe_handshake::{
    ClientHandshake, DcId, HandshakeError, KeyKind, Progress, QueryReply, RefusalReason, Tolerance,
    TransportErrorCode,
};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Answer, NOW, assert_not_found, lenient, strict};
use crate::{PEER, client_options};

#[test]
fn an_honest_exchange_by_hand_gives_a_key() {
    let mut rig = strict();
    let (first, _) = rig.meet();
    let query = rig.last_query(&first, 12, |_| {});
    let Ok(Answer::Key(created, _)) = rig.ask(&query.to_bytes()) else { panic!("there is a key") };
    assert_eq!((created.dc, created.expires_at, created.created_at), (Some(2), None, NOW.unix));
}

#[test]
fn sec_044_queries_of_unknown_exchanges_or_out_of_order_are_refused() {
    let mut rig = strict();
    let first = rig.start();
    let mut unknown = rig.params_query(&first, enums::PQInnerData::Dc);
    unknown.server_nonce[0] ^= 1;
    assert_not_found(&rig.refused(&unknown), &RefusalReason::UnknownExchange);
    let mut unknown = rig.params_query(&first, enums::PQInnerData::Dc);
    unknown.nonce[0] ^= 1;
    assert_not_found(&rig.refused(&unknown), &RefusalReason::UnknownExchange);
    let early = rig.last_query(&first, 12, |_| {});
    assert_not_found(&rig.refused(&early), &RefusalReason::UnknownExchange);
    assert!(rig.server.is_empty(), "a query out of order ends the exchange");
}

#[test]
fn sec_053_the_first_attempt_has_retry_id_zero_and_the_next_that_of_the_rejected_key() {
    let mut rig = strict();
    let (first, _) = rig.meet();
    let query = rig.last_query(&first, 12, |inner| inner.retry_id = 5);
    assert_not_found(&rig.refused(&query), &RefusalReason::WrongRetryId);

    for honest in [true, false] {
        let mut rig = strict();
        rig.retries = 1;
        let (first, inner) = rig.meet();
        let group = rig.server.options().group.clone();
        let (exponent, g_b) = group.key_pair(&mut rig.rng).unwrap();
        let query = rig.last_query(&first, 12, |inner| inner.g_b = g_b.as_bytes().to_vec());
        let answer = enums::SetClientDhParamsAnswer::from_bytes(&rig.object(&query)).unwrap();
        assert!(matches!(answer, enums::SetClientDhParamsAnswer::DhGenRetry(_)), "{answer:?}");
        let shared = group.shared_secret(&exponent, &group.check_public(&inner.g_a).unwrap());
        let aux_hash = chappe_crypto::AuthKey::from_bytes(*shared).aux_hash();
        let retry_id = if honest { i64::from_le_bytes(aux_hash) } else { 0 };
        let query = rig.last_query(&first, 12, |inner| inner.retry_id = retry_id);
        if honest {
            rig.object(&query);
        } else {
            assert_not_found(&rig.refused(&query), &RefusalReason::WrongRetryId);
        }
    }
}

#[test]
fn sec_056_a_key_whose_id_is_taken_is_not_given_out() {
    let mut rig = strict();
    let mut client_rng = ChaCha20Rng::from_seed([3; 32]);
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut client_rng).unwrap();
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    let mut rejected: Vec<AuthKeyId> = Vec::new();
    let mut accepted = None;
    loop {
        assert!(client.poll_transmit(NOW, &mut question));
        match rig.server.handle_frame(NOW, PEER, question.as_slice(), &mut answer, &mut rig.rng) {
            QueryReply::Answer => {}
            QueryReply::Key(candidate) if rejected.len() < 3 => {
                rejected.push(candidate.auth_key().id());
                candidate.retry();
            }
            QueryReply::Key(candidate) => accepted = Some(candidate.accept().auth_key.id()),
            QueryReply::Refuse(refusal) => panic!("{refusal}"),
        }
        if let Progress::Done(finished) =
            client.handle_frame(NOW, answer.as_slice(), &mut client_rng).unwrap()
        {
            assert_eq!(Some(finished.key().id()), accepted);
            assert!(!rejected.contains(&finished.key().id()));
            break;
        }
    }
    assert_eq!(rejected.len(), 3);
}

#[test]
fn sec_057_nothing_revives_an_exchange_that_failed() {
    let mut rig = strict();
    let (first, _) = rig.meet();
    let bad = rig.last_query(&first, 12, |inner| inner.retry_id = 5);
    rig.refused(&bad);
    let good = rig.last_query(&first, 12, |_| {});
    assert_not_found(&rig.refused(&good), &RefusalReason::UnknownExchange);
    let params = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_not_found(&rig.refused(&params), &RefusalReason::UnknownExchange);
}

#[test]
fn the_older_first_query_is_answered_as_well() {
    let mut rig = strict();
    let old = rig.object(&functions::ReqPq { nonce: [4; 16] });
    assert_eq!(rig.object(&functions::ReqPqMulti { nonce: [4; 16] }), old);
}

#[test]
fn sec_012_truncated_queries_are_refused_and_sec_009_foreign_ones_close_the_connection() {
    let mut rig = strict();
    let (first, _) = rig.meet();
    let query = rig.last_query(&first, 12, |_| {}).to_bytes();
    for len in (4..query.len()).step_by(9) {
        let Err(refusal) = rig.ask(&query[..len]) else { panic!("{len} bytes were answered") };
        assert_eq!(refusal.code, Some(TransportErrorCode::UnknownAuthKey), "{len}");
        assert!(
            matches!(refusal.reason, RefusalReason::Frame(FrameError::Malformed(MalformedFrame::Tl(_)))),
            "{refusal}"
        );
    }
    let Err(refusal) = rig.ask(&0x7abe_77ec_u32.to_le_bytes()) else { panic!("a plain ping was answered") };
    assert_eq!(refusal.code, None);
}

#[test]
fn arbitrary_bytes_do_not_panic_a_server() {
    let mut rig = lenient();
    let ids = [0x6046_9778_u32, 0xbe7e_8ef1, 0xd712_e4be, 0xf504_5f1f];
    for round in 0..2000_usize {
        let mut object = vec![0; 4 + round % 400];
        rig.rng.fill_bytes(&mut object);
        object[..4].copy_from_slice(&ids[round % 4].to_le_bytes());
        let _ = rig.ask(&object);
    }
}

#[test]
fn a_client_of_ours_gets_a_key_from_strict_and_lenient_servers_and_no_other_datacenter_from_strict_ones() {
    for (mut rig, dc, accepted) in [(strict(), 2, true), (strict(), 3, false), (lenient(), 3, true)] {
        let options = client_options().with_dc(DcId::production(dc)).with_kind(KeyKind::Permanent);
        let mut client = ClientHandshake::begin(options, NOW, &mut rig.rng).unwrap();
        let result = loop {
            let request = client.last_request().to_vec();
            let answer = match rig.ask(&request) {
                Ok(Answer::Object(object) | Answer::Key(_, object)) => crate::from_server(&object),
                Err(refusal) => break Err(refusal),
            };
            match client.handle_frame(NOW, &answer, &mut rig.rng) {
                Ok(Progress::Done(finished)) => break Ok(finished),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(result.is_ok(), accepted, "{result:?}");
    }
    assert_eq!(lenient().server.options().tolerance, Tolerance::Lenient);
}

#[test]
fn a_server_that_gives_up_says_so_with_proof() {
    let mut rig = strict();
    rig.refuses = true;
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut rig.rng).unwrap();
    let error = loop {
        let request = client.last_request().to_vec();
        let Ok(Answer::Object(answer)) = rig.ask(&request) else { panic!("it is answered without a key") };
        if let Err(error) = client.handle_frame(NOW, &crate::from_server(&answer), &mut rig.rng) {
            break error;
        }
    };
    assert!(matches!(error, HandshakeError::DhGenFail), "{error}");
}
