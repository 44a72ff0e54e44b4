//! Every case of `handshake_negative.json`, from either side, with the exact reaction.

use chappe_conformance::script::Script;
use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::dh::DhError;
use chappe_crypto::factorize::FactorizeError;
use chappe_framing::{FrameBuf, FrameError, MalformedFrame, Now, PeerMisbehaved, UnixTime};
use chappe_handshake::{
    ApiMisuse, ClientHandshake, HandshakeError, InvalidAnswer, Progress, QueryRefusal, QueryReply,
    RefusalReason, ServerHandshakes, TransportErrorCode,
};

use crate::{PEER, Run, at, from_client, from_server, server};

const NOW: Now = at(UnixTime::from_secs(1_707_425_105));

/// Brings a client to where it waits for the answer that the case replaces, and gives it the case's.
fn play_client(case: &Entry) -> (ClientHandshake, Result<Progress, HandshakeError>, Script) {
    let run = Run::load("permanent_key_dc2");
    let mut rng = run.client_script();
    let mut client = ClientHandshake::begin(run.client_options(), NOW, &mut rng).expect("it can begin");
    let honest = run.steps.iter().filter(|step| step.text("direction") == "s2c");
    for step in honest.take_while(|step| step.name() != case.text("replaces")) {
        let frame = from_server(&step.bytes("body"));
        let progress = client.handle_frame(NOW, &frame, &mut rng);
        assert!(progress.is_ok(), "the honest answers are accepted: {progress:?}");
    }
    let result = client.handle_frame(NOW, &from_server(&case.bytes("body")), &mut rng);
    (client, result, rng)
}

fn is_expected_of_client(case: &Entry, error: &HandshakeError) -> bool {
    use DhError as Dh;
    match (case.text("replaces"), case.name()) {
        (_, "nonce_mismatch" | "inner_nonce_mismatch") => {
            matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::Nonce { .. }))
        }
        (_, "server_nonce_mismatch" | "inner_server_nonce_mismatch") => {
            matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::ServerNonce { .. }))
        }
        ("resPQ", "unknown_fingerprints_only" | "no_fingerprints") => {
            matches!(error, HandshakeError::UnknownFingerprints { .. })
        }
        ("resPQ", "pq_is_prime") => {
            matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::Pq(FactorizeError::Prime { .. })))
        }
        ("resPQ", "wrong_constructor") => {
            matches!(
                error,
                HandshakeError::InvalidAnswer(InvalidAnswer::Unexpected { .. })
                    | HandshakeError::Frame(FrameError::Misbehaved(
                        PeerMisbehaved::NotAHandshakeObject { .. }
                    ))
            )
        }
        ("resPQ", "bare_vector") => {
            matches!(error, HandshakeError::Frame(FrameError::Malformed(MalformedFrame::Tl(_))))
        }
        (_, "inner_sha1_mismatch" | "inner_padding_24_bytes") => {
            matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::DhInnerData))
        }
        (_, "encrypted_answer_not_multiple_of_16") => {
            matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::NotPadded { len: 588 }))
        }
        (_, name) if name.starts_with("g_") && name.ends_with("_not_allowed_for_known_prime") => {
            let expected = |g| match g {
                2 | 5 | 6 => Dh::GeneratorNotResidue { generator: g },
                _ => Dh::GeneratorRange { generator: g },
            };
            let g = name["g_".len()..].split('_').next().expect("the name holds g");
            let g = g.parse().expect("g is a number");
            matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::DhParams(got)) if *got == expected(g))
        }
        (_, "dh_prime_composite") => {
            matches!(
                error,
                HandshakeError::InvalidAnswer(InvalidAnswer::DhParams(
                    Dh::NotPrime | Dh::NotSafePrime | Dh::GeneratorNotResidue { .. }
                ))
            )
        }
        (_, "g_a_0" | "g_a_1" | "g_a_p_minus_1" | "g_a_p") => {
            matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::DhParams(Dh::ValueOutOfGroup)))
        }
        (_, "g_a_below_2_1984" | "g_a_above_p_minus_2_1984") => {
            matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::DhParams(Dh::ValueOutOfSafeRange)))
        }
        (
            _,
            "new_nonce_hash1_mismatch"
            | "ok_carrying_hash2"
            | "retry_with_wrong_hash2"
            | "fail_with_wrong_hash3"
            | "server_DH_params_fail_wrong_hash",
        ) => matches!(error, HandshakeError::InvalidAnswer(InvalidAnswer::NewNonceHash { .. })),
        (_, "genuine_fail") => matches!(error, HandshakeError::DhGenFail),
        (_, "server_DH_params_fail_genuine") => matches!(error, HandshakeError::DhParamsFail),
        (replaces, name) => panic!("no expectation for {replaces}, {name}"),
    }
}

#[test]
fn the_client_refuses_every_negative_case_for_the_right_reason() {
    let cases = vectors::load("handshake_negative").list("client_must_reject");
    assert_eq!(cases.len(), 36);
    for case in cases {
        let (mut client, result, mut rng) = play_client(&case);
        let error = result.expect_err(case.name());
        assert!(is_expected_of_client(&case, &error), "{case:?}: {error}");
        // The exchange is over: nothing is sent, nothing more is accepted, nothing is drawn.
        assert!(client.is_over(), "{case:?}");
        assert_eq!(client.poll_timeout(), None, "{case:?}");
        client.resend();
        assert!(!client.poll_transmit(NOW, &mut FrameBuf::new()), "{case:?}");
        let honest = from_server(&Run::load("permanent_key_dc2").step(case.text("replaces")).bytes("body"));
        let again = client.handle_frame(NOW, &honest, &mut rng);
        assert!(matches!(again, Err(HandshakeError::Misuse(ApiMisuse::Over))), "{case:?}: {again:?}");
    }
}

fn ask(server: &mut ServerHandshakes, object: &[u8], rng: &mut Script) -> Result<(), QueryRefusal> {
    match server.handle_frame(NOW, PEER, &from_client(object), &mut FrameBuf::new(), rng) {
        QueryReply::Answer => Ok(()),
        QueryReply::Key(candidate) => {
            candidate.accept();
            Ok(())
        }
        QueryReply::Refuse(refusal) => Err(refusal),
    }
}

fn is_expected_of_server(case: &Entry, reason: &RefusalReason) -> bool {
    match case.name() {
        "nonce_unknown" | "nonce_mismatch" | "server_nonce_mismatch" => {
            *reason == RefusalReason::UnknownExchange
        }
        "p_q_swapped" | "p_wrong" => *reason == RefusalReason::WrongFactors,
        "fingerprint_unknown" => matches!(reason, RefusalReason::UnknownFingerprint { .. }),
        "inner_nonce_mismatch" | "inner_server_nonce_mismatch" | "inner_pq_mismatch" => {
            *reason == RefusalReason::InnerMismatch
        }
        "inner_constructor_unknown" => *reason == RefusalReason::UnexpectedInnerData,
        "dc_id_wrong" | "dc_id_test_on_production" => matches!(reason, RefusalReason::WrongDc { .. }),
        "encrypted_data_255_bytes" | "encrypted_data_not_less_than_modulus" => {
            *reason == RefusalReason::Undecryptable
        }
        "inner_sha1_mismatch" | "padding_too_long" => *reason == RefusalReason::BadClientData,
        "retry_id_nonzero_on_first_attempt" => *reason == RefusalReason::WrongRetryId,
        "g_b_0" | "g_b_1" | "g_b_p" | "g_b_p_minus_1" | "g_b_below_2_1984" | "g_b_above" => {
            *reason == RefusalReason::BadPublicValue
        }
        name => panic!("no expectation for {name}"),
    }
}

#[test]
fn the_server_refuses_every_negative_case_for_the_right_reason() {
    let cases = vectors::load("handshake_negative").list("server_must_reject");
    assert_eq!(cases.len(), 25);
    for case in cases {
        let run = Run::load("permanent_key_dc2");
        let mut rng = run.server_script();
        let mut server = server(run.server_options());
        let honest: Vec<_> = run.steps.iter().filter(|step| step.text("direction") == "c2s").collect();
        for step in honest.iter().take_while(|step| step.name() != case.text("replaces")) {
            ask(&mut server, &step.bytes("body"), &mut rng).expect("the honest queries are answered");
        }
        let refusal = ask(&mut server, &case.bytes("body"), &mut rng).expect_err(case.name());
        assert!(is_expected_of_server(&case, &refusal.reason), "{case:?}: {refusal}");
        let code = match case.text("expect") {
            "transport error -444" => Some(TransportErrorCode::WrongDc),
            "transport error -404, temporary session destroyed" => Some(TransportErrorCode::UnknownAuthKey),
            other => panic!("{other}"),
        };
        assert_eq!(refusal.code, code, "{case:?}");
        // A query that names another exchange cannot destroy this one.
        if refusal.reason == RefusalReason::UnknownExchange {
            continue;
        }
        // SEC-57: the exchange is gone, even for the honest query.
        let honest = run.step(case.text("replaces")).bytes("body");
        let again = ask(&mut server, &honest, &mut rng).expect_err(case.name());
        assert_eq!(again.reason, RefusalReason::UnknownExchange, "{case:?}");
        assert_eq!(again.code, Some(TransportErrorCode::UnknownAuthKey), "{case:?}");
        assert!(server.is_empty(), "{case:?}");
    }
}
