//! The server's half of a session: what it checks, answers and repeats.

#![allow(clippy::unwrap_used, reason = "a message that cannot be made or read fails the test")]

use core::time::Duration;

use chappe_conformance::vectors;
use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    Container, ContainerWriter, Deflater, EncryptedHeader, EncryptedWriter, FrameBuf, FrameError, Level,
    MSG_CONTAINER, MessageHeader, MsgId, MsgOrigin, Padding, RpcResult, SeqNo, ServerSalt, SessionId,
    TransportTail, UnixTime, constructor_id, open,
};
use chappe_session::server::{
    Policy, RespondError, SaltSchedule, ServerConfig, ServerError, ServerEvent, ServerSession,
};
use chappe_session::{MonoTime, Now};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};

const START: u64 = 1_707_425_104;
const SESSION: SessionId = SessionId::from_raw(0x55);
const GET_CONFIG: [u8; 4] = 0xc4f9_186b_u32.to_le_bytes();

fn key() -> AuthKey {
    AuthKey::from_bytes([0x5a; 256])
}

fn now(seconds: u64) -> Now {
    Now::new(MonoTime::from_duration(Duration::from_secs(seconds)), UnixTime::from_secs(START + seconds))
}

/// A server, and the pen of a client that writes whatever a test wants.
struct Pair {
    server: ServerSession,
    salt: ServerSalt,
    rng: Drbg,
}

/// A message that the server sent.
#[derive(Debug)]
struct Sent {
    msg_id: MsgId,
    seq_no: i32,
    body: Vec<u8>,
}

impl Pair {
    fn new(policy: Policy) -> Self {
        Self::with(ServerConfig { policy, ..ServerConfig::default() })
    }

    fn with(config: ServerConfig) -> Self {
        let salts = SaltSchedule::new([1; 32]);
        let salt = salts.current(key().id(), now(0).unix);
        let server = ServerSession::new(config, key(), SESSION, salts, 77);
        Self { server, salt, rng: Drbg::from_seed([3; 32]) }
    }

    fn frame(&mut self, session_id: SessionId, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<u8> {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(body);
        let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(seq_no) };
        let header = EncryptedHeader { salt: self.salt, session_id, message };
        writer.seal(&key(), Side::Client, header, Padding::Minimum, &mut self.rng).unwrap();
        buf.as_slice().to_vec()
    }

    /// Sends a message at a second; returns the queries shown.
    fn send(&mut self, second: u64, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<(MsgId, Vec<u8>)> {
        let mut frame = self.frame(SESSION, msg_id, seq_no, body);
        let events = self.server.handle_frame(now(second), &mut frame).unwrap();
        events
            .filter_map(|event| match event {
                ServerEvent::Query { msg_id, body, .. } => Some((msg_id, body.to_vec())),
                _ => None,
            })
            .collect()
    }

    /// Everything the server says at a second, containers opened.
    fn answers(&mut self, second: u64) -> Vec<Sent> {
        let mut out = FrameBuf::new();
        let mut sent = Vec::new();
        while self.server.poll_transmit(now(second), &mut self.rng, &mut out) {
            let opened = open(&key(), Side::Server, TransportTail::None, out.as_mut_slice()).unwrap();
            opened.require_origin(Side::Server).unwrap();
            let mut push = |header: MessageHeader, body: &[u8]| {
                sent.push(Sent {
                    msg_id: header.msg_id,
                    seq_no: header.seq_no.to_raw(),
                    body: body.to_vec(),
                });
            };
            if constructor_id(opened.body()).unwrap() == MSG_CONTAINER {
                let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Server).unwrap();
                container.iter().for_each(|message| push(message.header, message.body));
            } else {
                push(opened.header(), opened.body());
            }
        }
        sent
    }

    /// The code of the only complaint about a message, if there is one.
    fn complaint(&mut self, second: u64, about: MsgId) -> Option<i32> {
        let codes: Vec<i32> = self
            .answers(second)
            .iter()
            .filter_map(|sent| match enums::BadMsgNotification::from_bytes(&sent.body).ok()? {
                enums::BadMsgNotification::BadMsgNotification(bad) if bad.bad_msg_id == about.to_raw() => {
                    Some(bad.error_code)
                }
                enums::BadMsgNotification::BadServerSalt(bad) if bad.bad_msg_id == about.to_raw() => {
                    Some(bad.error_code)
                }
                _ => None,
            })
            .collect();
        assert!(codes.len() <= 1, "{codes:?}");
        codes.first().copied()
    }
}

fn at(second: u64) -> MsgId {
    MsgId::at(UnixTime::from_secs(START + second), MsgOrigin::Client)
}

fn after(msg_id: MsgId, steps: i64) -> MsgId {
    MsgId::from_raw(msg_id.to_raw() + 4 * steps)
}

fn container(messages: &[(MsgId, i32, &[u8])]) -> Vec<u8> {
    let mut buf = FrameBuf::new();
    let mut writer = ContainerWriter::begin(&mut buf);
    for (msg_id, seq_no, body) in messages {
        writer.push(MessageHeader { msg_id: *msg_id, seq_no: SeqNo::from_raw(*seq_no) }, body).unwrap();
    }
    writer.finish();
    buf.as_slice().to_vec()
}

#[test]
fn a_query_is_shown_answered_and_forgotten_when_acknowledged() {
    let mut pair = Pair::new(Policy::Strict);
    let shown = pair.send(0, at(0), 1, &GET_CONFIG);
    assert_eq!(shown, [(at(0), GET_CONFIG.to_vec())]);
    assert_eq!(pair.server.running_queries(), 1);
    pair.server.respond_error(now(0), at(0), 400, "NO").unwrap();
    let answers = pair.answers(0);
    assert_eq!(answers.len(), 2);
    let enums::NewSession::Created(created) = enums::NewSession::from_bytes(&answers[0].body).unwrap();
    assert_eq!((created.first_msg_id, created.unique_id), (at(0).to_raw(), 77), "SEC-90");
    assert_eq!(created.server_salt, pair.salt.to_raw());
    assert_eq!(RpcResult::new_checked(&answers[1].body).unwrap().req_msg_id(), at(0));
    assert_eq!(answers.iter().map(|sent| sent.seq_no).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((pair.server.unacked(), pair.server.running_queries()), (2, 0));

    let msg_ids = answers.iter().map(|sent| sent.msg_id.to_raw()).collect();
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids }).to_bytes();
    pair.send(1, at(1), 2, &acks);
    assert_eq!(pair.server.unacked(), 0);
}

#[test]
fn sec_090_a_new_session_is_announced_once_and_with_its_first_message() {
    let mut pair = Pair::new(Policy::Strict);
    let mut announced = |second: u64, seq_no: i32| -> Vec<i64> {
        pair.send(second, at(second), seq_no, &GET_CONFIG);
        let answers = pair.answers(second);
        let announcements = answers.iter().filter_map(|sent| enums::NewSession::from_bytes(&sent.body).ok());
        announcements.map(|enums::NewSession::Created(created)| created.first_msg_id).collect()
    };
    assert_eq!(announced(0, 1), [at(0).to_raw()]);
    assert!(announced(1, 3).is_empty());
}

#[test]
fn sec_069_session_zero_is_answered_with_404() {
    let mut pair = Pair::new(Policy::Strict);
    let mut frame = pair.frame(SessionId::from_raw(0), at(0), 1, &GET_CONFIG);
    let error = pair.server.handle_frame(now(0), &mut frame).unwrap_err();
    assert_eq!(error, ServerError::Transport(-404));
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
fn sec_076_a_repeated_query_is_not_shown_again_but_its_answer_is_sent_again() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    pair.server.respond_error(now(0), at(0), 400, "NO").unwrap();
    let first = pair.answers(0);
    assert!(pair.send(1, at(0), 1, &GET_CONFIG).is_empty());
    let again = pair.answers(1);
    let result = again.iter().find(|sent| RpcResult::new_checked(&sent.body).is_ok()).unwrap();
    assert_eq!(result.msg_id, first[1].msg_id, "under the same id, in a container");
}

#[test]
fn a_large_answer_is_announced_instead_of_repeated() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    let mut large = vec![0; 8192];
    chappe_crypto::rand_core::Rng::fill_bytes(&mut pair.rng, &mut large);
    pair.server.respond_bytes(now(0), at(0), &large).unwrap();
    let first = pair.answers(0);
    pair.send(1, at(0), 1, &GET_CONFIG);
    let again = pair.answers(1);
    let info = again.iter().find_map(|sent| enums::MsgDetailedInfo::from_bytes(&sent.body).ok());
    let Some(enums::MsgDetailedInfo::MsgDetailedInfo(info)) = info else { panic!("{again:?}") };
    assert_eq!((info.msg_id, info.answer_msg_id), (at(0).to_raw(), first[1].msg_id.to_raw()));

    let ask = enums::MsgResendReq::MsgResendReq(types::MsgResendReq { msg_ids: vec![info.answer_msg_id] });
    pair.send(2, at(2), 2, &ask.to_bytes());
    assert!(pair.answers(2).iter().any(|sent| sent.msg_id.to_raw() == info.answer_msg_id));
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
        pair.salt = first;
        assert_eq!(pair.send(second, at(second), 1, &GET_CONFIG).len(), expect, "{second}");
    }
}

#[test]
fn sec_093_a_broken_container_is_refused_whole_with_code_64() {
    let mut pair = Pair::new(Policy::Lenient);
    let good = container(&[(after(at(0), -2), 1, &GET_CONFIG), (after(at(0), -1), 3, &GET_CONFIG)]);
    let mut cut = good.clone();
    cut.truncate(good.len() - 4);
    assert!(pair.send(0, at(0), 4, &cut).is_empty(), "not even its first message");
    assert_eq!(pair.complaint(0, at(0)), Some(64));
    let nested = container(&[]);
    let outer = [&good[..4], &1_u32.to_le_bytes()[..], &after(at(0), 1).to_raw().to_le_bytes()[..]].concat();
    let nested = [&outer[..], &0_u32.to_le_bytes(), &8_u32.to_le_bytes(), &nested].concat();
    assert!(pair.send(0, after(at(0), 2), 4, &nested).is_empty());
    assert_eq!(pair.complaint(0, after(at(0), 2)), Some(64), "SEC-94");
    let higher = container(&[(after(at(0), 9), 1, &GET_CONFIG)]);
    assert!(pair.send(0, after(at(0), 3), 4, &higher).is_empty());
    assert_eq!(pair.complaint(0, after(at(0), 3)), Some(64), "SEC-95");
}

#[test]
fn sec_095_a_message_repeated_in_a_container_is_skipped_and_the_others_are_not() {
    let mut pair = Pair::new(Policy::Lenient);
    pair.send(0, at(0), 1, &GET_CONFIG);
    let again = container(&[(at(0), 1, &GET_CONFIG), (after(at(0), 1), 3, &GET_CONFIG)]);
    let shown = pair.send(0, after(at(0), 2), 4, &again);
    assert_eq!(shown.iter().map(|query| query.0).collect::<Vec<_>>(), [after(at(0), 1)]);
}

#[test]
fn sec_096_a_container_under_a_used_id_gets_code_19_from_a_strict_server() {
    for (policy, code) in [(Policy::Strict, Some(19)), (Policy::Lenient, None)] {
        let mut pair = Pair::new(policy);
        pair.send(0, at(0), 1, &GET_CONFIG);
        let body = container(&[(after(at(0), -1), 1, &GET_CONFIG)]);
        assert!(pair.send(0, at(0), 2, &body).is_empty());
        assert_eq!(pair.complaint(0, at(0)), code);
    }
}

#[test]
fn sec_097_packed_queries_are_shown_unpacked_and_bombs_refused() {
    let mut pair = Pair::new(Policy::Strict);
    let object = [&GET_CONFIG[..], &[0; 2000]].concat();
    let mut deflater = Deflater::new(Level::Fast);
    let packed = deflater.pack(&object).unwrap().to_vec();
    assert_eq!(pair.send(0, at(0), 1, &packed), [(at(0), object)]);
    let bomb = deflater.pack(&vec![0; 17 << 20]).unwrap().to_vec();
    let mut frame = pair.frame(SESSION, after(at(0), 1), 3, &bomb);
    let error = pair.server.handle_frame(now(0), &mut frame).unwrap_err();
    assert_eq!(error, ServerError::Frame(FrameError::UnpackedTooLarge { limit: 16 << 20 }));
    let again = pair.send(0, after(at(0), 2), 5, &GET_CONFIG);
    assert_eq!(again.len(), 1, "the session goes on");
}

#[test]
fn sec_103_lists_of_more_than_8192_ids_are_ignored() {
    let mut pair = Pair::new(Policy::Strict);
    let ask =
        |count| enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: vec![1; count] }).to_bytes();
    pair.send(0, at(0), 0, &ask(8193));
    pair.send(0, after(at(0), 1), 0, &ask(8192));
    let answers = pair.answers(0);
    let infos: Vec<_> =
        answers.iter().filter_map(|sent| enums::MsgsStateInfo::from_bytes(&sent.body).ok()).collect();
    let [enums::MsgsStateInfo::MsgsStateInfo(info)] = &infos[..] else { panic!("{}", infos.len()) };
    assert_eq!((info.req_msg_id, info.info.len()), (after(at(0), 1).to_raw(), 8192));
}

#[test]
fn states_are_told_truthfully() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, after(at(0), 10), 1, &GET_CONFIG);
    pair.send(0, after(at(0), 30), 3, &GET_CONFIG);
    pair.server.respond_error(now(0), after(at(0), 10), 400, "NO").unwrap();
    pair.answers(0);
    let asked = [1, 10, 20, 30, 99].map(|steps| after(at(0), steps).to_raw()).to_vec();
    let ask = enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: asked }).to_bytes();
    pair.send(0, after(at(0), 40), 4, &ask);
    let answers = pair.answers(0);
    let info = answers.iter().find_map(|sent| enums::MsgsStateInfo::from_bytes(&sent.body).ok());
    let Some(enums::MsgsStateInfo::MsgsStateInfo(info)) = info else { panic!("{answers:?}") };
    assert_eq!(info.info.iter().map(|status| status & 7).collect::<Vec<_>>(), [1, 4, 2, 4, 3]);
    assert_eq!(info.info[1] & 64, 64, "the first was answered");
    assert_eq!(info.info[3] & 0x60, 0x20, "the second is running");
}

#[test]
fn sec_105_a_request_for_unknown_messages_is_answered_with_states_and_nothing_is_sent_again() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    let created = pair.answers(0);
    let msg_ids = vec![created[0].msg_id.to_raw(), 12345];
    let ask = enums::MsgResendReq::MsgResendReq(types::MsgResendReq { msg_ids });
    pair.send(0, after(at(0), 1), 2, &ask.to_bytes());
    let answers = pair.answers(0);
    assert_eq!(answers.len(), 1);
    assert!(enums::MsgsStateInfo::from_bytes(&answers[0].body).is_ok());
}

#[test]
fn sec_109_a_client_cannot_set_a_long_time_to_disconnect() {
    let mut pair = Pair::new(Policy::Strict);
    let ping = functions::PingDelayDisconnect { ping_id: 5, disconnect_delay: i32::MAX };
    pair.send(0, at(0), 1, &ping.to_bytes());
    assert!(!pair.server.should_close(now(511)));
    assert!(pair.server.should_close(now(512)));
    let ping = functions::PingDelayDisconnect { ping_id: 5, disconnect_delay: 10 };
    pair.send(1, at(1), 3, &ping.to_bytes());
    assert!(pair.server.should_close(now(11)));
}

#[test]
fn an_answer_is_dropped_on_request_in_each_of_the_three_ways() {
    let mut pair = Pair::new(Policy::Strict);
    let drop_of = |msg_id: MsgId| functions::RpcDropAnswer { req_msg_id: msg_id.to_raw() }.to_bytes();
    let outcome = |pair: &mut Pair, about: MsgId| {
        let answers = pair.answers(0);
        let result = answers.iter().find_map(|sent| {
            RpcResult::new_checked(&sent.body).ok().filter(|result| result.req_msg_id() == about)
        });
        enums::RpcDropAnswer::from_bytes(result.unwrap().result()).unwrap()
    };
    pair.send(0, after(at(0), 1), 1, &GET_CONFIG);
    pair.send(0, after(at(0), 2), 3, &drop_of(after(at(0), 1)));
    assert_eq!(outcome(&mut pair, after(at(0), 2)), enums::RpcDropAnswer::RpcAnswerDroppedRunning);
    assert_eq!(pair.server.running_queries(), 0);

    pair.send(0, after(at(0), 3), 5, &GET_CONFIG);
    pair.server.respond_error(now(0), after(at(0), 3), 400, "NO").unwrap();
    pair.send(0, after(at(0), 4), 7, &drop_of(after(at(0), 3)));
    let dropped = outcome(&mut pair, after(at(0), 4));
    assert!(matches!(dropped, enums::RpcDropAnswer::RpcAnswerDropped(_)));

    pair.send(0, after(at(0), 5), 9, &drop_of(MsgId::from_raw(4)));
    assert_eq!(outcome(&mut pair, after(at(0), 5)), enums::RpcDropAnswer::RpcAnswerUnknown);
}

#[test]
fn a_dropped_answer_is_not_sent_again() {
    let mut pair = Pair::new(Policy::Strict);
    let query = after(at(0), 1);
    let is_answer =
        |sent: &Sent| RpcResult::new_checked(&sent.body).is_ok_and(|result| result.req_msg_id() == query);
    pair.send(0, query, 1, &GET_CONFIG);
    pair.server.respond_error(now(0), query, 400, "NO").unwrap();
    assert!(pair.answers(0).iter().any(is_answer));
    let drop = functions::RpcDropAnswer { req_msg_id: query.to_raw() }.to_bytes();
    pair.send(1, at(1), 3, &drop);
    pair.server.handle_disconnected();
    pair.server.handle_connected(now(2));
    let again = pair.answers(2);
    assert!(!again.is_empty(), "the outcome of the drop is");
    assert!(!again.iter().any(is_answer), "{again:?}");
}

#[test]
fn what_was_not_acknowledged_is_sent_again_on_a_new_connection() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    pair.server.push_bytes(now(0), &GET_CONFIG).unwrap();
    let content = |sent: Vec<Sent>| -> Vec<_> {
        sent.iter().filter(|sent| sent.seq_no & 1 == 1).map(|sent| (sent.msg_id, sent.seq_no)).collect()
    };
    let first = content(pair.answers(0));
    assert!(pair.answers(1).is_empty());
    pair.server.handle_disconnected();
    pair.server.push_bytes(now(1), &GET_CONFIG).unwrap();
    assert!(pair.answers(1).is_empty(), "nobody is there");
    pair.server.handle_connected(now(2));
    let again = content(pair.answers(2));
    assert_eq!(again[..2], first);
    assert_eq!(again.len(), 3);
}

#[test]
fn sec_175_a_client_that_acknowledges_nothing_is_not_served_without_end() {
    let mut pair = Pair::new(Policy::Strict);
    let large = vec![1; 1 << 20];
    let refused = (0..100).find_map(|_| pair.server.push_bytes(now(0), &large).err());
    let full = RespondError::TooMuchUnacked { messages: 32, bytes: 32 << 20 };
    assert_eq!(refused, Some(full), "what it was sent is there still, and no more");
    // One that acknowledges is served again, in the same session.
    let sent: Vec<i64> = pair.answers(0).iter().map(|sent| sent.msg_id.to_raw()).collect();
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids: sent }).to_bytes();
    pair.send(1, at(1), 0, &acks);
    assert_eq!(pair.server.unacked(), 1, "the announcement of the session is left");
    assert_eq!(pair.server.push_bytes(now(1), &large).err(), None);
}

#[test]
fn bodies_that_no_message_may_have_are_not_sent() {
    let mut pair = Pair::new(Policy::Strict);
    for len in [0, 1, 3, 5, 7] {
        let refused = pair.server.push_bytes(now(0), &vec![1; len]).err();
        assert_eq!(refused, Some(RespondError::BodyLength { len }));
    }
    assert_eq!(pair.server.unacked(), 0);
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

#[test]
fn over_http_an_answer_waits_for_company_as_http_wait_says() {
    let wait = |times: [u32; 3]| [0x9299_359f, times[0], times[1], times[2]].map(u32::to_le_bytes).concat();
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    pair.answers(0);
    pair.send(1, at(1), 2, &wait([2_000, 1_000, 9_000]));
    assert!(!pair.server.holds_request(), "only over HTTP");
    pair.server.use_http_wait();
    pair.send(1, after(at(1), 1), 2, &wait([2_000, 1_000, 9_000]));
    assert!(pair.server.holds_request());
    assert_eq!(pair.answers(1).len(), 0);
    assert_eq!(pair.server.poll_timeout(), Some(now(10).mono), "nothing to say: max_wait");
    pair.server.push_bytes(now(3), &GET_CONFIG).unwrap();
    assert_eq!(pair.server.poll_timeout(), Some(now(4).mono), "something to say: wait_after");
    assert_eq!(pair.answers(3).len(), 0);
    assert_eq!(pair.answers(4).len(), 1);
    assert!(!pair.server.holds_request());
    pair.send(5, at(5), 2, &wait([0, 0, 1_000]));
    let mut out = FrameBuf::new();
    let mut rng = Drbg::from_seed([9; 32]);
    assert!(!pair.server.poll_transmit(now(5), &mut rng, &mut out));
    assert!(pair.server.poll_transmit(now(6), &mut rng, &mut out), "an empty container");
    let opened = open(&key(), Side::Server, TransportTail::None, out.as_mut_slice()).unwrap();
    let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Server).unwrap();
    assert_eq!(container.iter().count(), 0);
}

#[test]
fn an_update_is_sent_until_it_is_acknowledged() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    pair.answers(0);
    let update = [0x1111_2222_u32.to_le_bytes(), [7; 4]].concat();
    pair.server.push_bytes(now(1), &update).unwrap();
    let first = pair.answers(1);
    let pushed = first.iter().find(|sent| sent.body == update).unwrap();
    assert_eq!((pushed.msg_id.to_raw() & 3, pushed.seq_no & 1), (3, 1), "unasked, and to be acknowledged");
    let (msg_id, seq_no) = (pushed.msg_id, pushed.seq_no);
    pair.server.handle_timeout(now(31));
    let again = pair.answers(31);
    let repeated = again.iter().find(|sent| sent.body == update).unwrap();
    assert_eq!((repeated.msg_id, repeated.seq_no), (msg_id, seq_no), "under its old id, in a container");
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids: vec![msg_id.to_raw()] });
    pair.send(32, at(32), 2, &acks.to_bytes());
    pair.server.handle_timeout(now(90));
    assert!(!pair.answers(90).iter().any(|sent| sent.body == update));
}

#[test]
fn a_quick_acknowledgement_is_given_for_what_was_accepted_and_for_nothing_else() {
    let mut pair = Pair::new(Policy::Strict);
    for (second, salt_is_right) in [(0, true), (1, false)] {
        let mut frame = pair.frame(SESSION, at(second), 1, &GET_CONFIG);
        if !salt_is_right {
            pair.salt = ServerSalt::from_raw(1);
            frame = pair.frame(SESSION, at(second), 3, &GET_CONFIG);
        }
        let mut opened_as = frame.clone();
        let token = open(&key(), Side::Client, TransportTail::None, &mut opened_as).unwrap().quick_ack();
        let events = pair.server.handle_frame(now(second), &mut frame).unwrap();
        assert_eq!(events.quick_ack(), salt_is_right.then_some(token));
    }
}

#[test]
fn sec_077_an_id_below_a_full_window_gets_code_20() {
    let mut pair = Pair::new(Policy::Strict);
    let config = ServerConfig { policy: Policy::Strict, received_ids: 4, ..ServerConfig::default() };
    pair.server = ServerSession::new(config, key(), SESSION, SaltSchedule::new([1; 32]), 77);
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
    assert!(matches!(refused, Err(ServerError::Frame(FrameError::ForeignSession { .. }))), "{refused:?}");
}

#[test]
fn a_client_with_too_many_queries_at_once_is_told_to_slow_down() {
    let mut pair = Pair::with(ServerConfig { running_queries: 2, ..ServerConfig::default() });
    for step in 0..2 {
        assert_eq!(pair.send(0, after(at(0), step), 1, &GET_CONFIG).len(), 1);
    }
    let mut frame = pair.frame(SESSION, after(at(0), 2), 1, &GET_CONFIG);
    assert_eq!(pair.server.handle_frame(now(0), &mut frame).map(|_| ()), Err(ServerError::Transport(-429)));
    pair.server.respond_error(now(0), at(0), 400, "NO").unwrap();
    assert_eq!(pair.send(0, after(at(0), 3), 1, &GET_CONFIG).len(), 1, "one has ended");
}

#[test]
fn sec_090_a_new_session_begins_with_the_lowest_message_of_its_first_container() {
    let mut pair = Pair::new(Policy::Lenient);
    let inner = [after(at(0), 2), after(at(0), 1)];
    let body = container(&[(inner[0], 1, &GET_CONFIG), (inner[1], 3, &GET_CONFIG)]);
    assert_eq!(pair.send(0, after(at(0), 3), 4, &body).len(), 2);
    let answers = pair.answers(0);
    let created = answers.iter().find_map(|sent| {
        let enums::NewSession::Created(created) = enums::NewSession::from_bytes(&sent.body).ok()?;
        Some(created.first_msg_id)
    });
    assert_eq!(created, Some(inner[1].to_raw()));

    let ids = vec![after(at(0), 3).to_raw()];
    let ask = enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: ids }).to_bytes();
    pair.send(0, after(at(0), 4), 5, &ask);
    let info = pair.answers(0).iter().find_map(|sent| {
        let enums::MsgsStateInfo::MsgsStateInfo(info) = enums::MsgsStateInfo::from_bytes(&sent.body).ok()?;
        Some(info.info)
    });
    assert_eq!(info, Some(vec![4 | 16]), "the container was received and needs no acknowledgement");
}

#[test]
fn complaints_begin_anew_after_ten_seconds() {
    let mut pair = Pair::with(ServerConfig { complaints: 2, ..ServerConfig::default() });
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
fn only_a_lenient_server_unpacks_zlib() {
    let mut gzip = Deflater::new(Level::Fast);
    let body = [GET_CONFIG; 64].concat();
    let packed = gzip.pack(&body).expect("it shrinks").to_vec();
    // gzip_packed: id, length in one byte or four, header of 10 bytes, deflated, checksum and length of 8.
    let at_data = if packed[4] == 254 { 8 } else { 5 };
    let len = if packed[4] == 254 {
        usize::from(packed[5]) | usize::from(packed[6]) << 8
    } else {
        usize::from(packed[4])
    };
    let deflated = &packed[at_data + 10..at_data + len - 8];
    let adler = body.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let mut zlib = vec![0x78, 0x01];
    zlib.extend_from_slice(deflated);
    zlib.extend_from_slice(&(adler.1 << 16 | adler.0).to_be_bytes());
    let mut query = packed[..4].to_vec();
    zlib.serialize(&mut query).unwrap();
    for (policy, is_taken) in [(Policy::Strict, false), (Policy::Lenient, true)] {
        let mut pair = Pair::new(policy);
        let mut frame = pair.frame(SESSION, at(0), 1, &query);
        let taken = pair.server.handle_frame(now(0), &mut frame).map(Iterator::count);
        assert_eq!(taken.is_ok(), is_taken, "{policy:?}");
    }
}
