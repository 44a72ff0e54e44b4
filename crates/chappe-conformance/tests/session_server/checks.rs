//! What a server takes, and the code it answers everything else with.

use chappe_conformance::vectors;
use chappe_crypto::rng::Drbg;
use chappe_framing::{
    FrameError, MSG_CONTAINER, MsgId, PeerMisbehaved, ServerSalt, SessionId, TransportTail, UnixTime,
};
use chappe_session::SessionLimits;
use chappe_session::server::{Policy, SaltSchedule, ServerConfig, ServerError, ServerSession};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use chappe_types::TransportErrorCode;

use crate::pair::{GET_CONFIG, Pair, SESSION, START, after, at, key, now};

#[test]
fn sec_069_session_zero_is_answered_with_404() {
    let mut pair = Pair::new(Policy::Strict);
    let mut frame = pair.frame(SessionId::from_raw(0), at(0), 1, &GET_CONFIG);
    let error = pair.server.handle_frame(now(0), &mut frame).unwrap_err();
    assert_eq!(error, ServerError::Transport(TransportErrorCode::UnknownAuthKey));
}

#[test]
fn sec_071_and_sec_079_codes_are_those_of_the_vectors() {
    for case in vectors::load("msg_id_seq_no").list("server_checks") {
        for policy in [Policy::Strict, Policy::Lenient] {
            assert_eq!(case.number::<u64>("server_now"), START);
            let mut pair = Pair::new(policy);
            let msg_id = MsgId::from_raw(case.number("msg_id"));
            let shown = pair.send(0, msg_id, 1, &GET_CONFIG);
            let complaint = pair.complaint(0, msg_id);
            let expected =
                case.text("expect").strip_prefix("bad_msg_notification ").map(|code| code.parse().unwrap());
            assert_eq!(complaint, expected, "{}", case.name());
            assert_eq!(shown.is_empty(), expected.is_some(), "{}", case.name());
        }
    }
}

#[test]
fn sec_084_sequence_numbers_out_of_order_get_codes_32_and_33() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, after(at(0), 10), 5, &GET_CONFIG);
    for (msg_id, seq_no, code) in [
        (after(at(0), 20), 3, Some(32)),
        (after(at(0), 20), 5, Some(32)),
        (after(at(0), 5), 7, Some(33)),
        (after(at(0), 20), 7, None),
        (after(at(0), 5), 3, None),
    ] {
        pair.send(0, msg_id, seq_no, &GET_CONFIG);
        assert_eq!(pair.complaint(0, msg_id), code, "{seq_no}");
    }
}

#[test]
fn sec_085_wrong_parity_gets_codes_34_and_35_from_a_strict_server_only() {
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids: vec![] }).to_bytes();
    let cases: [(&[u8], i32, i32); 2] = [(&acks, 1, 34), (&GET_CONFIG, 2, 35)];
    for (body, seq_no, code) in cases {
        let mut strict = Pair::new(Policy::Strict);
        assert!(strict.send(0, at(0), seq_no, body).is_empty());
        assert_eq!(strict.complaint(0, at(0)), Some(code));
        let mut lenient = Pair::new(Policy::Lenient);
        lenient.send(0, at(0), seq_no, body);
        assert_eq!(lenient.complaint(0, at(0)), None);
    }
}

#[test]
fn service_messages_may_have_either_parity() {
    let ping = functions::Ping { ping_id: 5 }.to_bytes();
    for seq_no in [0, 1] {
        let mut pair = Pair::new(Policy::Strict);
        pair.send(0, at(0), seq_no, &ping);
        let answers = pair.answers(0);
        let pong = answers.iter().find_map(|sent| enums::Pong::from_bytes(&sent.body).ok());
        let enums::Pong::Pong(pong) = pong.unwrap();
        assert_eq!((pong.msg_id, pong.ping_id), (at(0).to_raw(), 5));
    }
}

#[test]
fn sec_087_an_unknown_salt_is_answered_with_the_right_one_and_nothing_is_executed() {
    let mut pair = Pair::new(Policy::Lenient);
    let right = pair.salt;
    pair.salt = ServerSalt::from_raw(0);
    assert!(pair.send(0, at(0), 1, &GET_CONFIG).is_empty());
    let answers = pair.answers(0);
    let bad = answers.iter().find_map(|sent| enums::BadMsgNotification::from_bytes(&sent.body).ok());
    let Some(enums::BadMsgNotification::BadServerSalt(bad)) = bad else { panic!("{answers:?}") };
    assert_eq!((bad.bad_msg_id, bad.new_server_salt), (at(0).to_raw(), right.to_raw()));
    pair.salt = right;
    assert_eq!(pair.send(0, after(at(0), 1), 1, &GET_CONFIG).len(), 1);
}

#[test]
fn the_salt_of_the_handshake_is_taken_until_it_ends() {
    let first = ServerSalt::from_raw(1234);
    for (second, expect) in [(0, 1), (1800, 1), (1801, 0)] {
        let mut pair = Pair::new(Policy::Strict);
        pair.server =
            ServerSession::new(ServerConfig::default(), key(), SESSION, SaltSchedule::new([1; 32]), 7)
                .with_first_salt(first, UnixTime::from_secs(START + 1800));
        pair.server.handle_connected(now(0), TransportTail::None);
        pair.salt = first;
        assert_eq!(pair.send(second, at(second), 1, &GET_CONFIG).len(), expect, "{second}");
    }
}

#[test]
fn sec_076_and_sec_077_the_window_answers_as_in_the_vectors() {
    let file = vectors::load("msg_id_seq_no");
    let case = file.entry("duplicate_window");
    let received_ids = case.number("capacity");
    let mut pair = Pair::with(ServerConfig::default().with(|config| config.received_ids = received_ids));
    for step in case.list("sequence") {
        let (number, expect): (i64, &str) = (step.number("msg_id"), step.text("expect"));
        let msg_id = after(at(0), number);
        pair.send(0, msg_id, 1, &functions::Ping { ping_id: number }.to_bytes());
        let answers = pair.answers(0);
        let is_accepted = answers.iter().any(|sent| enums::Pong::from_bytes(&sent.body).is_ok());
        let code = answers.iter().find_map(|sent| {
            let bad = enums::BadMsgNotification::from_bytes(&sent.body).ok()?;
            let enums::BadMsgNotification::BadMsgNotification(bad) = bad else { return None };
            Some(bad.error_code)
        });
        assert_eq!(is_accepted, expect.starts_with("accept"), "{expect}");
        assert_eq!(code, expect.contains("lower than all").then_some(20), "{expect}");
    }
}

#[test]
fn sec_078_the_default_window_holds_at_least_400_ids() {
    assert!(ServerConfig::default().received_ids >= 400);
    assert!(SessionLimits::default().received_ids >= 400);
}

#[test]
fn sec_077_an_id_below_a_full_window_gets_code_20() {
    let mut pair = Pair::new(Policy::Strict);
    let config = ServerConfig::default().with(|config| {
        config.policy = Policy::Strict;
        config.received_ids = 4;
    });
    pair.server = ServerSession::new(config, key(), SESSION, SaltSchedule::new([1; 32]), 77);
    pair.server.handle_connected(now(0), TransportTail::None);
    for second in 10..14 {
        pair.send(second, at(second), 2 * (second as i32 - 10) + 1, &GET_CONFIG);
        pair.answers(second);
    }
    pair.send(14, at(9), 1, &GET_CONFIG);
    assert_eq!(pair.complaint(14, at(9)), Some(20), "nobody can tell whether it came before");
}

#[test]
fn sec_068_a_frame_of_another_session_is_not_taken() {
    let mut pair = Pair::new(Policy::Lenient);
    let mut frame = pair.frame(SessionId::from_raw(6), at(0), 1, &GET_CONFIG);
    let refused = pair.server.handle_frame(now(0), &mut frame).map(|_| ());
    assert!(
        matches!(
            refused,
            Err(ServerError::Frame(FrameError::Misbehaved(PeerMisbehaved::ForeignSession { .. })))
        ),
        "{refused:?}"
    );
}

#[test]
fn complaints_are_limited() {
    let mut pair = Pair::new(Policy::Strict);
    pair.salt = ServerSalt::from_raw(0);
    let mut count = 0;
    for n in 0..200 {
        pair.send(0, after(at(0), n), 1, &GET_CONFIG);
        count += pair.answers(0).len();
    }
    assert_eq!(count, 100);
}

#[test]
fn complaints_begin_anew_after_ten_seconds() {
    let mut pair = Pair::with(ServerConfig::default().with(|config| config.complaints = 2));
    let even = |step: i64| MsgId::from_raw(at(0).to_raw() + 2 + 4 * step);
    let told: Vec<_> = [0, 1, 9, 10, 10, 10]
        .into_iter()
        .zip(0..)
        .map(|(second, step)| {
            pair.send(second, even(step), 1, &GET_CONFIG);
            pair.complaint(second, even(step)).is_some()
        })
        .collect();
    assert_eq!(told, [true, true, false, true, true, false]);
}

#[test]
fn hostile_messages_never_panic() {
    use chappe_crypto::rand_core::Rng;
    let ids = [
        MSG_CONTAINER,
        0x3072_cfa1,
        0x62d6_b459,
        0xda69_fb52,
        0x7d86_1a08,
        0x58e4_a740,
        0xb921_bd04,
        0xf342_7b8c,
        0x9299_359f,
        0xe060_46b2,
    ];
    let mut rng = Drbg::from_seed([8; 32]);
    let mut pair = Pair::new(Policy::Lenient);
    for round in 0..3000_usize {
        let mut body = vec![0; 4 * (1 + round % 50)];
        rng.fill_bytes(&mut body);
        body[..4].copy_from_slice(&ids[round % ids.len()].to_le_bytes());
        if body.len() >= 12 && round % 2 == 0 {
            body[4..8].copy_from_slice(&0x1cb5_c415_u32.to_le_bytes());
            let count = (body.len() - 12) as u32 / 8;
            body[8..12].copy_from_slice(&count.to_le_bytes());
        }
        let mut frame = pair.frame(SESSION, after(at(0), round as i64), 1, &body);
        if let Ok(events) = pair.server.handle_frame(now(0), &mut frame) {
            events.for_each(drop);
        }
        pair.answers(0);
    }
}
