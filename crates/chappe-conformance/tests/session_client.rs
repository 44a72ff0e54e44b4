//! The client's half of a session against a server that says whatever a test wants.
#![allow(clippy::unwrap_used, reason = "a message that cannot be made or read fails the test")]

use core::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    Container, ContainerWriter, Deflater, EncryptedHeader, EncryptedWriter, FrameBuf, FrameError, Level,
    MSG_CONTAINER, MessageHeader, MsgId, MsgIdGenerator, MsgOrigin, Padding, SeqNo, ServerSalt, SessionId,
    TransportTail, UnixTime, constructor_id, open, write_rpc_error, write_rpc_result_header,
};
use chappe_session::client::{
    AuthorizationTrouble, CallFailure, CallId, ClientConfig, ClientInfo, ClientSession, DropOutcome, Event,
    ForwardSecrecy, InitConnection, KeyMaterial, ReceiveError, ReconnectReason, Repeat, SavedState,
    SendError, SendOptions, StateError, TemporaryKey,
};
use chappe_session::{Limits, MonoTime, Now};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};

const START: u64 = 1_707_425_104;
const GET_CONFIG: [u8; 4] = 0xc4f9_186b_u32.to_le_bytes();
const BOOL_TRUE: [u8; 4] = 0x9972_75b5_u32.to_le_bytes();

fn key() -> AuthKey {
    AuthKey::from_bytes([0x5a; 256])
}

fn mono(seconds: u64) -> MonoTime {
    MonoTime::from_duration(Duration::from_secs(seconds))
}

/// A client, and the pen of its server.
struct Pair {
    client: ClientSession,
    key: AuthKey,
    ids: MsgIdGenerator,
    rng: Drbg,
    second: u64,
    /// The client's wall clock against the server's, in seconds.
    error: i64,
    seq_no: i32,
    session: SessionId,
}

/// A message of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    msg_id: MsgId,
    seq_no: i32,
    body: Vec<u8>,
    container: Option<MsgId>,
    salt: i64,
}

/// An event that owns what it says.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Answer(CallId, Vec<u8>),
    Error(CallId, i32, String),
    Update(Vec<u8>),
    Other(Event<'static>),
}

impl Pair {
    fn new() -> Self {
        Self::with(ClientConfig::default(), 0)
    }

    fn with(config: ClientConfig, error: i64) -> Self {
        let first = Now::new(MonoTime::ZERO, UnixTime::from_secs(START.saturating_add_signed(error)));
        let offset = 0;
        let mut material = KeyMaterial::from_handshake(key(), 42, offset, START as i64);
        material.clock = chappe_session::client::ClockTrust::Guess;
        let mut client = ClientSession::new(config, material, first);
        client.handle_connected(first, TransportTail::None);
        Self {
            client,
            key: key(),
            ids: MsgIdGenerator::new(),
            rng: Drbg::from_seed([3; 32]),
            second: 0,
            error,
            seq_no: 1,
            session: SessionId::from_raw(0),
        }
    }

    fn now(&self) -> Now {
        let wall = (START + self.second).saturating_add_signed(self.error);
        Now::new(mono(self.second), UnixTime::from_secs(wall))
    }

    fn server_time(&self) -> UnixTime {
        UnixTime::from_secs(START + self.second)
    }

    fn call(&mut self) -> CallId {
        self.call_with(SendOptions::default())
    }

    fn call_with(&mut self, options: SendOptions) -> CallId {
        self.client.send_bytes(self.now(), &GET_CONFIG, options).unwrap()
    }

    /// Everything the client sends now, containers opened.
    fn sent(&mut self) -> Vec<Sent> {
        let mut out = FrameBuf::new();
        let mut sent = Vec::new();
        while self.client.poll_transmit(self.now(), &mut self.rng, &mut out).is_some() {
            let opened = open(&self.key, Side::Client, TransportTail::None, out.as_mut_slice()).unwrap();
            opened.require_named_session().unwrap();
            opened.require_origin(Side::Client).unwrap();
            self.session = opened.session_id();
            let salt = opened.salt().to_raw();
            let mut push = |header: MessageHeader, body: &[u8], container| {
                let (msg_id, seq_no) = (header.msg_id, header.seq_no.to_raw());
                sent.push(Sent { msg_id, seq_no, body: body.to_vec(), container, salt });
            };
            if constructor_id(opened.body()).unwrap() == MSG_CONTAINER {
                let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Client).unwrap();
                container
                    .iter()
                    .for_each(|message| push(message.header, message.body, Some(opened.msg_id())));
            } else {
                push(opened.header(), opened.body(), None);
            }
        }
        sent
    }

    /// The messages that carry the test's only query.
    fn queries(&mut self) -> Vec<Sent> {
        self.sent().into_iter().filter(|sent| sent.body.ends_with(&GET_CONFIG)).collect()
    }

    fn frame(&mut self, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<u8> {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(body);
        let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(seq_no) };
        let header = EncryptedHeader { salt: ServerSalt::from_raw(1), session_id: self.session, message };
        writer.seal(&self.key, Side::Server, header, Padding::Minimum, &mut self.rng).unwrap();
        buf.as_slice().to_vec()
    }

    fn take(&mut self, mut frame: Vec<u8>) -> Result<Vec<Seen>, ReceiveError> {
        let now = self.now();
        Ok(own(self.client.handle_frame(now, &mut frame)?))
    }

    /// The server says something that needs an acknowledgement.
    fn say(&mut self, body: &[u8]) -> Vec<Seen> {
        let (msg_id, seq_no) = (self.ids.next(self.server_time(), MsgOrigin::Response), self.seq_no);
        self.seq_no += 2;
        let frame = self.frame(msg_id, seq_no, body);
        self.take(frame).unwrap()
    }

    fn answer(&mut self, query: MsgId, result: &[u8]) -> Vec<Seen> {
        let mut body = Vec::new();
        write_rpc_result_header(&mut body, query);
        body.extend_from_slice(result);
        self.say(&body)
    }

    fn refuse(&mut self, query: MsgId, code: i32, message: &str) -> Vec<Seen> {
        let mut body = Vec::new();
        let error = types::RpcError { error_code: code, error_message: message.into() };
        write_rpc_error(&mut body, query, &error).unwrap();
        self.say(&body)
    }

    fn complain(&mut self, about: MsgId, code: i32) -> Vec<Seen> {
        let bad =
            types::BadMsgNotification { bad_msg_id: about.to_raw(), bad_msg_seqno: 1, error_code: code };
        self.say(&enums::BadMsgNotification::BadMsgNotification(bad).to_bytes())
    }

    fn bad_salt(&mut self, about: MsgId, salt: i64) -> Vec<Seen> {
        let bad = types::BadServerSalt {
            bad_msg_id: about.to_raw(),
            bad_msg_seqno: 1,
            error_code: 48,
            new_server_salt: salt,
        };
        self.say(&enums::BadMsgNotification::BadServerSalt(bad).to_bytes())
    }

    fn pass(&mut self, seconds: u64) -> Vec<Seen> {
        self.second += seconds;
        let now = self.now();
        self.client.handle_timeout(now);
        own(self.client.events())
    }
}

fn own<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Seen> {
    let own = |event: Event<'a>| match event {
        Event::Answer { call, body } => Seen::Answer(call, body.to_vec()),
        Event::CallError { call, error } => Seen::Error(call, error.code, error.message.into()),
        Event::Update { body, .. } => Seen::Update(body.to_vec()),
        Event::CallFailed { call, failure } => Seen::Other(Event::CallFailed { call, failure }),
        Event::QuickAcked { call } => Seen::Other(Event::QuickAcked { call }),
        Event::UpdatesMayBeMissing => Seen::Other(Event::UpdatesMayBeMissing),
        Event::TimeCorrected { offset_seconds } => Seen::Other(Event::TimeCorrected { offset_seconds }),
        Event::NeedTemporaryKey => Seen::Other(Event::NeedTemporaryKey),
        Event::TemporaryKeyBound => Seen::Other(Event::TemporaryKeyBound),
        Event::Reconnect(reason) => Seen::Other(Event::Reconnect(reason)),
        Event::Authorization(trouble) => Seen::Other(Event::Authorization(trouble)),
        other => panic!("{other:?}"),
    };
    events.map(own).collect()
}

fn failed(call: CallId, failure: CallFailure) -> Seen {
    Seen::Other(Event::CallFailed { call, failure })
}

fn new_session(first: MsgId, unique_id: i64, salt: i64) -> Vec<u8> {
    let created = types::NewSessionCreated { first_msg_id: first.to_raw(), unique_id, server_salt: salt };
    enums::NewSession::Created(created).to_bytes()
}

fn state_info(request: MsgId, info: &[u8]) -> Vec<u8> {
    let info = types::MsgsStateInfo { req_msg_id: request.to_raw(), info: info.to_vec() };
    enums::MsgsStateInfo::MsgsStateInfo(info).to_bytes()
}

fn state_request(sent: &[Sent]) -> Option<(MsgId, Vec<i64>)> {
    sent.iter().find_map(|sent| {
        let enums::MsgsStateReq::MsgsStateReq(request) = enums::MsgsStateReq::from_bytes(&sent.body).ok()?;
        Some((sent.msg_id, request.msg_ids))
    })
}

#[test]
fn a_call_is_answered_and_its_answer_acknowledged() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries().remove(0);
    assert_eq!(query.salt, 42);
    assert_eq!(pair.answer(query.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    assert_eq!(pair.client.pending_calls(), 0);
    assert_eq!(pair.sent(), [], "the acknowledgement may wait");
    pair.pass(10);
    let acks = pair.sent();
    assert!(enums::MsgsAck::from_bytes(&acks[0].body).is_ok(), "but not for ever");
    assert_eq!(acks[0].seq_no & 1, 0);
}

#[test]
fn calls_accepted_together_travel_together() {
    let mut pair = Pair::new();
    for _ in 0..10 {
        pair.call();
    }
    let queries = pair.queries();
    assert_eq!(queries.len(), 10);
    assert!(queries.iter().all(|query| query.container == queries[0].container && query.container.is_some()));
    assert!(queries.is_sorted_by_key(|query| query.msg_id));
}

#[test]
fn a_packed_answer_is_shown_unpacked() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries()[0].msg_id;
    let object = vec![7; 5000];
    let packed = Deflater::new(Level::Fast).pack(&object).unwrap().to_vec();
    assert_eq!(pair.answer(query, &packed), [Seen::Answer(call, object.clone())]);
    let update = Deflater::new(Level::Fast).pack(&object).unwrap().to_vec();
    assert_eq!(pair.say(&update), [Seen::Update(object)]);
}

#[test]
fn large_queries_are_packed_if_that_pays() {
    let mut pair = Pair::new();
    let soft = vec![0x20; 4096];
    pair.client.send_bytes(pair.now(), &soft, SendOptions::default()).unwrap();
    let mut hard = vec![0; 64 << 10];
    chappe_crypto::rand_core::Rng::fill_bytes(&mut pair.rng, &mut hard);
    pair.client.send_bytes(pair.now(), &hard, SendOptions::default()).unwrap();
    let sent = pair.sent();
    assert!(sent.iter().any(|sent| sent.body.starts_with(&0x3072_cfa1_u32.to_le_bytes())));
    assert!(sent.iter().any(|sent| sent.body == hard));
}

#[test]
fn sec_068_a_message_of_a_foreign_session_closes_the_connection() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    pair.session = SessionId::from_raw(pair.session.to_raw() ^ 1);
    let frame = pair.frame(MsgId::from_raw(5), 1, &GET_CONFIG);
    let error = pair.take(frame).unwrap_err();
    assert_eq!(error, ReceiveError::Frame(FrameError::ForeignSession { got: pair.session }));
}

#[test]
fn sec_070_a_message_with_a_clients_id_closes_the_connection() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let msg_id = MsgId::at(pair.server_time(), MsgOrigin::Client);
    let frame = pair.frame(msg_id, 1, &GET_CONFIG);
    assert_eq!(pair.take(frame), Err(ReceiveError::Frame(FrameError::BadOrigin { msg_id })));
}

#[test]
fn sec_075_a_message_in_the_clear_closes_the_connection() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let error = pair.take(vec![0; 80]).unwrap_err();
    assert_eq!(error, ReceiveError::Frame(FrameError::PlainNotAllowed));
}

#[test]
fn sec_076_and_sec_102_a_duplicate_is_ignored_and_acknowledged_again() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let msg_id = MsgId::at(pair.server_time(), MsgOrigin::Notification);
    let frame = pair.frame(msg_id, 1, &GET_CONFIG);
    assert_eq!(pair.take(frame.clone()).unwrap().len(), 1);
    pair.pass(10);
    pair.sent();
    assert_eq!(pair.take(frame).unwrap(), []);
    pair.pass(10);
    let acks = pair.sent();
    let enums::MsgsAck::MsgsAck(acks) = enums::MsgsAck::from_bytes(&acks[0].body).unwrap();
    assert_eq!(acks.msg_ids, [msg_id.to_raw()]);
}

#[test]
fn sec_080_and_sec_081_age_counts_once_the_clock_is_right_except_for_answers() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries()[0].msg_id;
    let old = MsgId::at(UnixTime::from_secs(START - 400), MsgOrigin::Notification);
    let frame = pair.frame(old, 1, &GET_CONFIG);
    assert_eq!(pair.take(frame).unwrap().len(), 1, "nobody has told the time yet");
    pair.answer(query, &BOOL_TRUE);
    let older = MsgId::from_raw(old.to_raw() + 4);
    let frame = pair.frame(older, 1, &GET_CONFIG);
    assert_eq!(pair.take(frame).unwrap(), []);
    assert_eq!(pair.client.counters().refused.of(80), 1);
    assert!(!pair.client.is_pending(call));
}

#[test]
fn sec_081_a_clock_that_is_wrong_by_days_is_repaired_by_codes_16_and_17() {
    for (error, code) in [(-200_000, 16), (200_000, 17)] {
        let mut pair = Pair::with(ClientConfig::default(), error);
        let call = pair.call();
        let query = pair.queries()[0].clone();
        let before = pair.session;
        let seen = pair.complain(query.container.unwrap_or(query.msg_id), code);
        assert_eq!(seen, [Seen::Other(Event::TimeCorrected { offset_seconds: -error as i32 })]);
        let again = pair.queries().remove(0);
        assert!(again.msg_id.unix_seconds().abs_diff(START as u32) <= 1, "{code}");
        assert_eq!(pair.session != before, code == 17, "ids that step back need a new session");
        assert_eq!(pair.answer(again.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    }
}

#[test]
fn sec_082_complaints_about_unknown_messages_are_ignored() {
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries()[0].msg_id;
    let foreign = MsgId::from_raw(query.to_raw() + 4000);
    for code in [16, 17, 18, 32, 64] {
        assert_eq!(pair.complain(foreign, code), []);
    }
    pair.bad_salt(foreign, 99);
    let now = pair.now();
    assert_eq!(pair.client.server_salt(now).unwrap().to_raw(), 42, "SEC-89");
    assert_eq!(pair.client.counters().refused.of(82), 6);
    assert_eq!(pair.queries(), []);
}

#[test]
fn a_wrong_salt_is_replaced_and_what_it_hit_sent_once_more() {
    let mut pair = Pair::new();
    let calls: Vec<_> = (0..3).map(|_| pair.call()).collect();
    let queries = pair.queries();
    let container = queries[0].container.unwrap();
    assert_eq!(pair.bad_salt(container, 99), []);
    let again = pair.queries();
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|query| query.salt == 99 && query.msg_id > container));
    assert_eq!(pair.bad_salt(container, 99), [], "the second complaint changes nothing");
    assert_eq!(pair.queries(), []);
    for (call, query) in calls.into_iter().zip(&again) {
        assert_eq!(pair.answer(query.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    }
}

#[test]
fn sec_086_a_server_that_refuses_every_session_does_not_get_an_endless_loop() {
    for code in [18, 19, 32, 33, 34, 35] {
        let mut pair = Pair::new();
        let call = pair.call_with(SendOptions { repeat: Repeat::Freely, ..SendOptions::default() });
        let mut rounds = 0;
        let end = loop {
            rounds += 1;
            assert!(rounds < 50, "{code}");
            let query = pair.queries().remove(0);
            let seen = pair.complain(query.container.unwrap_or(query.msg_id), code);
            if !seen.is_empty() {
                break seen;
            }
        };
        assert_eq!(end[0], failed(call, CallFailure::SessionRefused), "{code}");
        assert_eq!(end[1], Seen::Other(Event::Reconnect(ReconnectReason::Refused)));
        assert_eq!(rounds, 1 + u64::from(Limits::default().session_resets), "{code}");
    }
}

#[test]
fn a_salt_that_is_never_right_ends_the_call_and_not_the_program() {
    let mut pair = Pair::new();
    let call = pair.call();
    let mut rounds = 0;
    loop {
        rounds += 1;
        let query = pair.queries().remove(0);
        let seen = pair.bad_salt(query.container.unwrap_or(query.msg_id), rounds);
        if let Some(end) = seen.first() {
            assert_eq!(*end, failed(call, CallFailure::TooManyAttempts));
            break;
        }
    }
    assert_eq!(rounds, i64::from(Limits::default().attempts));
}

#[test]
fn code_64_has_the_contents_sent_one_by_one() {
    let mut pair = Pair::new();
    for _ in 0..3 {
        pair.call();
    }
    let container = pair.queries()[0].container.unwrap();
    pair.complain(container, 64);
    let again = pair.queries();
    assert_eq!(again.len(), 3);
    let mut envelopes: Vec<_> = again.iter().map(|query| query.container.unwrap_or(query.msg_id)).collect();
    envelopes.dedup();
    assert_eq!(envelopes.len(), 3);
}

#[test]
fn sec_107_code_20_fails_what_may_not_be_repeated() {
    for (repeat, is_repeated) in [(Repeat::Freely, true), (Repeat::AfterAsking, true), (Repeat::Never, false)]
    {
        let mut pair = Pair::new();
        let call = pair.call_with(SendOptions { repeat, ..SendOptions::default() });
        let query = pair.queries().remove(0);
        let seen = pair.complain(query.container.unwrap_or(query.msg_id), 20);
        assert_eq!(seen.contains(&failed(call, CallFailure::Uncertain)), !is_repeated);
        assert_eq!(pair.queries().len(), usize::from(is_repeated));
    }
}

#[test]
fn sec_106_and_sec_107_after_a_reconnect_the_state_is_asked_for_before_anything_is_sent_again() {
    let mut pair = Pair::new();
    let calls: Vec<_> = (0..3).map(|_| pair.call()).collect();
    let queries = pair.queries();
    let now = pair.now();
    pair.client.handle_disconnected(now);
    assert_eq!(pair.sent(), []);
    pair.client.handle_connected(now, TransportTail::None);
    let sent = pair.sent();
    assert!(!sent.iter().any(|sent| sent.body.ends_with(&GET_CONFIG)));
    let (request, asked) = state_request(&sent).unwrap();
    assert_eq!(asked, queries.iter().map(|query| query.msg_id.to_raw()).collect::<Vec<_>>());
    pair.say(&state_info(request, &[4, 2, 1]));
    let again = pair.queries();
    assert_eq!(again.len(), 2, "the first was received and is waited for");
    assert_eq!(again[0].msg_id, queries[1].msg_id, "one that was not received keeps its id");
    assert!(again[0].container.is_some(), "but not alone");
    assert!(again[1].msg_id > queries[2].msg_id, "one that was forgotten gets a new one");
    let answered = pair.answer(queries[0].msg_id, &BOOL_TRUE);
    assert_eq!(answered, [Seen::Answer(calls[0], BOOL_TRUE.to_vec())]);
}

#[test]
fn an_answer_is_taken_under_any_id_a_call_was_sent_with() {
    let mut pair = Pair::new();
    let call = pair.call();
    let first = pair.queries().remove(0);
    pair.bad_salt(first.container.unwrap_or(first.msg_id), 9);
    let second = pair.queries().remove(0);
    assert_eq!(pair.answer(first.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    assert_eq!(pair.answer(second.msg_id, &BOOL_TRUE), [], "but once");
    assert_eq!(pair.client.counters().unmatched, 1);
}

#[test]
fn sec_091_a_new_session_has_earlier_calls_sent_again_once() {
    let mut pair = Pair::new();
    pair.call();
    let first = pair.queries().remove(0);
    pair.second += 1;
    pair.call();
    let second = pair.queries().remove(0);
    let created = new_session(second.container.unwrap_or(second.msg_id), 5, 77);
    assert_eq!(pair.say(&created), [Seen::Other(Event::UpdatesMayBeMissing)]);
    let again = pair.queries();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].salt, 77);
    assert!(again[0].msg_id > first.msg_id);
    assert_eq!(pair.say(&created), [], "the same announcement again");
    assert_eq!(pair.queries(), []);
    assert_eq!(pair.client.counters().refused.of(91), 1);
}

#[test]
fn sec_098_answers_to_nothing_are_acknowledged_and_dropped() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    assert_eq!(pair.answer(MsgId::from_raw(4), &BOOL_TRUE), []);
    assert_eq!(pair.client.counters().unmatched, 1);
    pair.pass(10);
    assert!(enums::MsgsAck::from_bytes(&pair.sent()[0].body).is_ok());
    let mut body = Vec::new();
    write_rpc_result_header(&mut body, MsgId::from_raw(0));
    body.extend_from_slice(&BOOL_TRUE);
    let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Response);
    let frame = pair.frame(msg_id, 3, &body);
    assert_eq!(pair.take(frame), Err(ReceiveError::Frame(FrameError::ZeroRequest)));
}

#[test]
fn sec_104_state_info_of_the_wrong_length_or_to_another_question_is_ignored() {
    let mut pair = Pair::new();
    pair.call();
    pair.call();
    pair.queries();
    pair.pass(10);
    let (request, asked) = state_request(&pair.sent()).unwrap();
    assert_eq!(asked.len(), 2);
    pair.say(&state_info(request, &[1]));
    pair.say(&state_info(MsgId::from_raw(request.to_raw() - 4), &[1, 1]));
    assert_eq!(pair.queries(), []);
    assert_eq!(pair.client.counters().refused.of(104), 2);
    pair.say(&state_info(request, &[1, 1]));
    assert_eq!(pair.queries().len(), 2);
}

#[test]
fn sec_105_a_request_for_unknown_messages_gets_states_and_for_known_ones_the_messages() {
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries()[0].msg_id;
    let ask =
        |ids: Vec<i64>| enums::MsgResendReq::MsgResendReq(types::MsgResendReq { msg_ids: ids }).to_bytes();
    pair.say(&ask(vec![query.to_raw(), 4]));
    let sent = pair.sent();
    assert!(!sent.iter().any(|sent| sent.body.ends_with(&GET_CONFIG)));
    let info = sent.iter().find_map(|sent| enums::MsgsStateInfo::from_bytes(&sent.body).ok());
    let Some(enums::MsgsStateInfo::MsgsStateInfo(info)) = info else { panic!("{sent:?}") };
    assert_eq!(info.info, [4, 1]);
    pair.say(&ask(vec![query.to_raw()]));
    let again = pair.queries();
    assert!(again.len() == 1 && again[0].msg_id > query, "SEC-106");
}

#[test]
fn an_announced_answer_is_fetched_and_one_that_nobody_wants_is_acknowledged() {
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries()[0].msg_id;
    let info = |msg_id: MsgId, answer: MsgId| {
        let info = types::MsgDetailedInfo {
            msg_id: msg_id.to_raw(),
            answer_msg_id: answer.to_raw(),
            bytes: 1 << 20,
            status: 0,
        };
        enums::MsgDetailedInfo::MsgDetailedInfo(info).to_bytes()
    };
    let answer = MsgId::at(pair.server_time(), MsgOrigin::Response);
    pair.ids.next(pair.server_time(), MsgOrigin::Response);
    pair.say(&info(query, answer));
    let wanted = pair.sent();
    let request = wanted.iter().find_map(|sent| enums::MsgResendReq::from_bytes(&sent.body).ok());
    let Some(enums::MsgResendReq::MsgResendReq(request)) = request else { panic!("{wanted:?}") };
    assert_eq!(request.msg_ids, [answer.to_raw()]);
    pair.answer(query, &BOOL_TRUE);
    let unwanted = MsgId::from_raw(answer.to_raw() + 400);
    pair.say(&info(query, unwanted));
    pair.pass(10);
    let acks = pair.sent();
    let acks = acks.iter().find_map(|sent| enums::MsgsAck::from_bytes(&sent.body).ok());
    let Some(enums::MsgsAck::MsgsAck(acks)) = acks else { panic!() };
    assert!(acks.msg_ids.contains(&unwanted.to_raw()));
}

#[test]
fn sec_088_salts_are_taken_from_answers_to_own_requests_only() {
    let mut pair = Pair::new();
    pair.call();
    let sent = pair.sent();
    let request = sent.iter().find(|sent| functions::GetFutureSalts::from_bytes(&sent.body).is_ok()).unwrap();
    let salts = |request: MsgId, salt: i64| {
        let now = START as i32;
        let entry = types::FutureSalt { valid_since: now + 10, valid_until: now + 1810, salt };
        let salts =
            types::FutureSalts { req_msg_id: request.to_raw(), now, salts: chappe_tl::RawVec(vec![entry]) };
        enums::FutureSalts::FutureSalts(salts).to_bytes()
    };
    pair.say(&salts(MsgId::from_raw(request.msg_id.to_raw() - 4), 6));
    assert_eq!(pair.client.counters().refused.of(88), 1);
    pair.say(&salts(request.msg_id, 7));
    pair.pass(11);
    let now = pair.now();
    assert_eq!(pair.client.server_salt(now).unwrap().to_raw(), 7);
}

#[test]
fn an_error_to_the_request_for_salts_stops_nothing() {
    let mut pair = Pair::new();
    let call = pair.call();
    let sent = pair.sent();
    let request = sent.iter().find(|sent| functions::GetFutureSalts::from_bytes(&sent.body).is_ok()).unwrap();
    let query = sent.iter().find(|sent| sent.body == GET_CONFIG).unwrap();
    pair.refuse(request.msg_id, 500, "NO_SALTS");
    assert_eq!(pair.answer(query.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    pair.call();
    assert_eq!(pair.queries().len(), 1);
    pair.pass(61);
    pair.call();
    let again = pair.sent();
    assert!(again.iter().any(|sent| functions::GetFutureSalts::from_bytes(&sent.body).is_ok()));
}

#[test]
fn a_dead_connection_is_noticed_while_idle_and_while_waiting() {
    for waits in [false, true] {
        let mut pair = Pair::new();
        pair.call();
        let query = pair.queries()[0].msg_id;
        if !waits {
            pair.answer(query, &BOOL_TRUE);
        }
        let (seen, silent) = loop {
            let due = pair.client.poll_timeout().unwrap();
            pair.second = due.as_duration().as_secs().max(pair.second + 1);
            pair.sent();
            let seen = pair.pass(0);
            if seen.contains(&Seen::Other(Event::Reconnect(ReconnectReason::Silence))) {
                break (seen, pair.second);
            }
        };
        assert_eq!(seen.len(), 1);
        assert!(silent <= if waits { 35 } else { 75 }, "{silent} s");
    }
}

#[test]
fn the_layer_is_told_until_a_call_has_been_answered() {
    let info = ClientInfo { api_id: 7, device_model: b"x".to_vec(), ..ClientInfo::default() };
    let init = InitConnection::new(214, &info).unwrap();
    let mut pair = Pair::with(ClientConfig { init: Some(init.clone()), ..ClientConfig::default() }, 0);
    let wrapped = [init.as_bytes(), &GET_CONFIG].concat();
    pair.call();
    let first = pair.queries().remove(0);
    assert_eq!(first.body, wrapped);
    pair.refuse(first.msg_id, 500, "INTERNAL");
    pair.call();
    let second = pair.queries().remove(0);
    assert_eq!(second.body, wrapped, "an error does not count");
    pair.answer(second.msg_id, &BOOL_TRUE);
    let call = pair.call();
    let third = pair.queries().remove(0);
    assert_eq!(third.body, GET_CONFIG);
    assert_eq!(pair.refuse(third.msg_id, 400, "CONNECTION_NOT_INITED"), []);
    let fourth = pair.queries().remove(0);
    assert_eq!(fourth.body, wrapped);
    assert_eq!(pair.answer(fourth.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
}

#[test]
fn a_chain_names_the_ids_its_predecessors_were_last_sent_under() {
    let mut pair = Pair::new();
    let first = pair.call();
    let second = pair.call_with(SendOptions { after: vec![first], ..SendOptions::default() });
    let queries = pair.queries();
    let wrapper = |id: MsgId| [&0xcb9f_372d_u32.to_le_bytes()[..], &id.to_bytes(), &GET_CONFIG].concat();
    assert_eq!(queries[1].body, wrapper(queries[0].msg_id));
    pair.bad_salt(queries[0].container.unwrap(), 9);
    let again = pair.queries();
    assert_eq!(again[1].body, wrapper(again[0].msg_id));
    assert_eq!(pair.refuse(again[1].msg_id, 400, "MSG_WAIT_TIMEOUT"), []);
    let third = pair.queries();
    assert_eq!(third[0].body, wrapper(again[0].msg_id), "the same wrapper with the same id");
    pair.answer(again[0].msg_id, &BOOL_TRUE);
    pair.refuse(third[0].msg_id, 400, "MSG_WAIT_FAILED");
    let fourth = pair.queries().remove(0);
    assert_eq!(fourth.body, GET_CONFIG, "what has ended is not waited for");
    assert_eq!(pair.answer(fourth.msg_id, &BOOL_TRUE), [Seen::Answer(second, BOOL_TRUE.to_vec())]);
}

#[test]
fn cancelling_ends_a_call_in_each_of_its_ways() {
    let mut pair = Pair::new();
    let unsent = pair.call();
    assert!(pair.client.cancel(unsent));
    assert_eq!(pair.pass(0), [failed(unsent, CallFailure::Cancelled(DropOutcome::NotSent))]);
    assert!(!pair.client.cancel(unsent));
    let answers = [
        (enums::RpcDropAnswer::RpcAnswerUnknown, DropOutcome::Unknown),
        (enums::RpcDropAnswer::RpcAnswerDroppedRunning, DropOutcome::Running),
        (
            enums::RpcDropAnswer::RpcAnswerDropped(types::RpcAnswerDropped {
                msg_id: 1,
                seq_no: 1,
                bytes: 4,
            }),
            DropOutcome::Dropped,
        ),
    ];
    for (answer, outcome) in answers {
        let call = pair.call();
        let query = pair.queries()[0].msg_id;
        assert!(pair.client.cancel(call));
        let drop_query = pair.sent().remove(0);
        let dropped = functions::RpcDropAnswer::from_bytes(&drop_query.body);
        assert_eq!(dropped.unwrap().req_msg_id, query.to_raw());
        assert_eq!(
            pair.answer(drop_query.msg_id, &answer.to_bytes()),
            [failed(call, CallFailure::Cancelled(outcome))]
        );
    }
}

#[test]
fn a_call_may_have_a_deadline() {
    let mut pair = Pair::new();
    let options = SendOptions { timeout: Some(Duration::from_secs(5)), ..SendOptions::default() };
    let call = pair.call_with(options);
    let query = pair.queries()[0].msg_id;
    assert_eq!(pair.pass(4), []);
    assert_eq!(pair.client.poll_timeout(), Some(mono(5)));
    assert_eq!(pair.pass(1), [failed(call, CallFailure::TimedOut)]);
    assert_eq!(pair.answer(query, &BOOL_TRUE), [], "the late answer is dropped");
}

#[test]
fn auth_key_duplicated_ends_the_session_for_good() {
    let mut pair = Pair::new();
    let (first, second) = (pair.call(), pair.call());
    let query = pair.queries()[0].msg_id;
    let seen = pair.refuse(query, 406, "AUTH_KEY_DUPLICATED");
    assert_eq!(seen[0], Seen::Error(first, 406, "AUTH_KEY_DUPLICATED".into()));
    assert_eq!(seen[1], failed(second, CallFailure::Terminated));
    assert_eq!(seen[2], Seen::Other(Event::Authorization(AuthorizationTrouble::Duplicated)));
    let refused = pair.client.send_bytes(pair.now(), &GET_CONFIG, SendOptions::default());
    assert_eq!(refused, Err(SendError::Terminated));
}

#[test]
fn sec_134_transport_errors_alone_never_end_a_key() {
    let mut pair = Pair::new();
    let call = pair.call();
    pair.sent();
    for _ in 0..100 {
        let now = pair.now();
        pair.client.handle_transport_error(now, -404);
        for seen in own(pair.client.events()) {
            let harmless = [
                Event::Reconnect(ReconnectReason::TransportError(-404)),
                Event::Authorization(AuthorizationTrouble::PermanentKeyDoubtful),
            ];
            assert!(harmless.map(Seen::Other).contains(&seen), "{seen:?}");
        }
    }
    assert!(pair.client.is_pending(call) && !pair.client.is_terminated());
    assert_eq!(pair.client.auth_key_id(), Some(key().id()));
}

/// A client with forward secrecy whose first temporary key has been installed and bound.
fn pair_under_temporary_key(byte: u8) -> (Pair, CallId) {
    let config = ClientConfig { forward_secrecy: ForwardSecrecy::On, ..ClientConfig::default() };
    let mut pair = Pair::with(config, 0);
    let call = pair.call();
    assert_eq!(pair.sent(), [], "SEC-73: nothing travels under the permanent key");
    assert_eq!(pair.pass(0), [Seen::Other(Event::NeedTemporaryKey)]);
    install(&mut pair, byte, 86_400);
    let sent = pair.sent();
    assert!(!sent.iter().any(|sent| sent.body == GET_CONFIG), "SEC-120: not before the key is bound");
    let binding = binding(&sent).msg_id;
    let bound = pair.answer(binding, &BOOL_TRUE);
    assert_eq!(bound, [Seen::Other(Event::TemporaryKeyBound)]);
    (pair, call)
}

fn install(pair: &mut Pair, byte: u8, life: u64) {
    let auth_key = AuthKey::from_bytes([byte; 256]);
    pair.key = auth_key.clone();
    let expires_at = (START + pair.second + life) as i64;
    let first_salt = ServerSalt::from_raw(1);
    let now = pair.now();
    pair.client.install_temporary_key(now, TemporaryKey { auth_key, first_salt, expires_at });
}

fn binding(sent: &[Sent]) -> &Sent {
    sent.iter().find(|sent| sent.body.starts_with(&0xcdd4_2a05_u32.to_le_bytes())).unwrap()
}

#[test]
fn sec_073_and_sec_120_calls_wait_for_a_bound_temporary_key() {
    let (mut pair, call) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    assert_eq!(pair.answer(query, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
}

#[test]
fn sec_121_the_layer_is_told_again_under_every_key() {
    let init = InitConnection::new(214, &ClientInfo::default()).unwrap();
    let config = ClientConfig {
        forward_secrecy: ForwardSecrecy::On,
        init: Some(init.clone()),
        ..ClientConfig::default()
    };
    let mut pair = Pair::with(config, 0);
    for byte in [1, 2] {
        install(&mut pair, byte, 86_400);
        let bind = binding(&pair.sent()).clone();
        assert!(!bind.body.starts_with(init.as_bytes()));
        pair.answer(bind.msg_id, &BOOL_TRUE);
        pair.call();
        let query = pair.queries().remove(0);
        assert!(query.body.starts_with(init.as_bytes()), "key {byte}");
        pair.answer(query.msg_id, &BOOL_TRUE);
    }
}

#[test]
fn sec_122_a_transport_error_under_a_temporary_key_costs_that_key_only() {
    let (mut pair, call) = pair_under_temporary_key(1);
    pair.queries();
    let now = pair.now();
    pair.client.handle_transport_error(now, -404);
    let seen = own(pair.client.events());
    assert!(seen.contains(&Seen::Other(Event::NeedTemporaryKey)), "{seen:?}");
    assert!(pair.client.is_pending(call) && !pair.client.is_terminated());
    let saved = pair.client.export(now, &[]).unwrap();
    assert_eq!(SavedState::import(&saved).unwrap().key.auth_key, key());
}

#[test]
fn sec_123_a_binding_refused_gives_up_a_permanent_key_older_than_a_minute_and_no_other() {
    for (age, is_terminal) in [(30, false), (90, true)] {
        let config = ClientConfig { forward_secrecy: ForwardSecrecy::On, ..ClientConfig::default() };
        let mut pair = Pair::with(config, 0);
        pair.second = age;
        install(&mut pair, 1, 86_400);
        let bind = binding(&pair.sent()).msg_id;
        let seen = pair.refuse(bind, 400, "ENCRYPTED_MESSAGE_INVALID");
        let expected = if is_terminal {
            Event::Authorization(AuthorizationTrouble::PermanentKeyRefused)
        } else {
            Event::NeedTemporaryKey
        };
        assert_eq!(seen.last(), Some(&Seen::Other(expected)), "{age}");
        assert_eq!(pair.client.is_terminated(), is_terminal);
    }
}

#[test]
fn sec_124_a_temporary_key_is_replaced_before_it_ends_and_never_used_afterwards() {
    let (mut pair, _) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    pair.answer(query, &BOOL_TRUE);
    pair.second = 86_400 - 3601;
    assert_eq!(pair.pass(0), []);
    assert_eq!(pair.pass(1), [Seen::Other(Event::NeedTemporaryKey)]);
    pair.second = 86_400;
    pair.call();
    pair.pass(0);
    assert_eq!(pair.sent(), []);
    assert_eq!(pair.client.auth_key_id(), None);
}

#[test]
fn answers_under_the_key_before_are_taken_while_the_next_is_being_bound() {
    let (mut pair, call) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    let (old_key, old_session) = (pair.key.clone(), pair.session);
    install(&mut pair, 2, 86_400);
    pair.sent();
    let (new_key, new_session) = (pair.key.clone(), pair.session);
    assert_ne!(new_session, old_session, "SEC-92: a session belongs to one key");
    (pair.key, pair.session) = (old_key, old_session);
    assert_eq!(pair.answer(query, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    (pair.key, pair.session) = (new_key, old_session);
    let frame = pair.frame(MsgId::from_raw(query.to_raw() + 1), 1, &GET_CONFIG);
    assert!(pair.take(frame).is_err(), "SEC-92: and does not follow to the next");
}

#[test]
fn sec_133_quick_acknowledgements_name_own_packets() {
    let mut pair = Pair::new();
    let call = pair.call_with(SendOptions { quick_ack: true, ..SendOptions::default() });
    let mut out = FrameBuf::new();
    let now = pair.now();
    let transmit = pair.client.poll_transmit(now, &mut pair.rng, &mut out).unwrap();
    let token = open(&key(), Side::Client, TransportTail::None, out.as_mut_slice()).unwrap().quick_ack();
    assert_eq!(transmit.quick_ack, Some(token));
    pair.client.handle_quick_ack(now, token);
    assert_eq!(own(pair.client.events()), [Seen::Other(Event::QuickAcked { call })]);
    pair.client.handle_quick_ack(now, token);
    assert_eq!(own(pair.client.events()), []);
}

#[test]
fn limits_hold() {
    let limits = Limits { pending_calls: 3, ..Limits::default() };
    let mut pair = Pair::with(ClientConfig { limits, ..ClientConfig::default() }, 0);
    for _ in 0..3 {
        pair.call();
    }
    let refused = pair.client.send_bytes(pair.now(), &GET_CONFIG, SendOptions::default());
    assert_eq!(refused, Err(SendError::TooManyPending { pending: 3 }));
    let mut pair = Pair::new();
    let refused = pair.client.send_bytes(pair.now(), &[1, 2, 3], SendOptions::default());
    assert_eq!(refused, Err(SendError::BodyLength { len: 3, max: 1 << 20 }));
}

#[test]
fn sec_007_and_sec_008_saved_state_is_whole_or_not_used() {
    let (mut pair, _) = pair_under_temporary_key(1);
    pair.queries();
    let now = pair.now();
    let saved = pair.client.export(now, b"primes").unwrap();
    assert!(!saved.windows(256).any(|window| window == [1; 256]), "no temporary key is saved");
    let state = SavedState::import(&saved).unwrap();
    assert_eq!((&state.extra[..], state.key.auth_key), (&b"primes"[..], key()));
    for place in 0..saved.len() {
        let mut damaged = saved.to_vec();
        damaged[place] ^= 1;
        assert!(SavedState::import(&damaged).is_err(), "{place}");
        assert!(SavedState::import(&saved[..place]).is_err(), "{place}");
    }
    let mut later = saved.to_vec();
    later[4] = 9;
    assert_eq!(SavedState::import(&later).unwrap_err(), StateError::UnknownVersion { version: 9 });
}

#[test]
fn sec_005_no_debug_output_holds_a_key() {
    let (pair, _) = pair_under_temporary_key(0xab);
    let text = format!("{:?}", pair.client);
    assert!(!text.contains("171, 171") && !text.contains("abab"), "{text}");
}

#[test]
fn hostile_messages_never_panic() {
    use chappe_crypto::rand_core::Rng;
    let ids = [
        MSG_CONTAINER,
        0x3072_cfa1,
        0xf35c_6d01,
        0xa7ef_f811,
        0xedab_447b,
        0x62d6_b459,
        0xda69_fb52,
        0x04de_b57d,
        0x8cc0_d131,
        0x276d_3ec6,
        0x809d_b6df,
        0x7d86_1a08,
        0xae50_0895,
        0x3477_73c5,
        0x9ec2_0908,
        0xe060_46b2,
    ];
    let mut pair = Pair::new();
    for _ in 0..50 {
        pair.call();
    }
    let queries = pair.queries();
    for round in 0..5000_usize {
        let mut body = vec![0; 4 * (1 + round % 60)];
        pair.rng.fill_bytes(&mut body);
        body[..4].copy_from_slice(&ids[round % ids.len()].to_le_bytes());
        if body.len() >= 12 && round % 3 == 0 {
            body[4..12].copy_from_slice(&queries[round % 50].msg_id.to_bytes());
        } else if body.len() >= 12 && round % 3 == 1 {
            body[4..8].copy_from_slice(&0x1cb5_c415_u32.to_le_bytes());
            let count = (body.len() - 12) as u32 / 8;
            body[8..12].copy_from_slice(&count.to_le_bytes());
        }
        let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Response);
        let frame = pair.frame(msg_id, 1, &body);
        let _ = pair.take(frame);
        if round % 50 == 0 {
            pair.sent();
        }
    }
}

#[test]
fn a_container_of_answers_is_taken_apart() {
    let mut pair = Pair::new();
    let calls: Vec<_> = (0..10).map(|_| pair.call()).collect();
    let queries = pair.queries();
    let mut buf = FrameBuf::new();
    let mut writer = ContainerWriter::begin(&mut buf);
    for (n, query) in queries.iter().enumerate() {
        let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Response);
        let header = MessageHeader { msg_id, seq_no: SeqNo::from_raw(2 * n as i32 + 1) };
        writer
            .push_with(header, |out| {
                write_rpc_result_header(out, query.msg_id);
                out.append(&BOOL_TRUE);
                Ok(())
            })
            .unwrap();
    }
    writer.finish();
    let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Notification);
    let frame = pair.frame(msg_id, 20, buf.as_slice());
    let seen = pair.take(frame).unwrap();
    let expected: Vec<_> = calls.into_iter().map(|call| Seen::Answer(call, BOOL_TRUE.to_vec())).collect();
    assert_eq!(seen, expected);
}
