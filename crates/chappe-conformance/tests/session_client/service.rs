//! Service messages in both directions: states, copies, destruction, long polling.

use chappe_session::{HttpWait, KeyDestruction};
use chappe_types::Rule;

use super::pair::*;

fn raw(object: u32, words: &[i64]) -> Vec<u8> {
    let mut body = object.to_le_bytes().to_vec();
    for word in words {
        body.extend_from_slice(&word.to_le_bytes());
    }
    body
}

#[test]
fn states_told_unasked_count_like_those_asked_for() {
    let mut pair = Pair::new();
    let calls = [pair.call(), pair.call()];
    let queries = pair.queries();
    let ids = [queries[0].msg_id.to_raw(), queries[1].msg_id.to_raw()];
    let info = |info: &[u8]| {
        let info = types::MsgsAllInfo { msg_ids: ids.to_vec(), info: info.to_vec() };
        enums::MsgsAllInfo::MsgsAllInfo(info).to_bytes()
    };
    pair.say(&info(&[4]));
    assert_eq!(pair.client.counters().refused.of(Rule::new(104)), 1, "one state for two messages");
    assert_eq!(pair.queries(), []);
    pair.say(&info(&[4, 1]));
    let again = pair.queries();
    assert_eq!(again.len(), 1, "what was received is not sent again");
    assert!(again[0].msg_id > queries[1].msg_id, "what was forgotten gets a new id");
    assert_eq!(pair.answer(again[0].msg_id, &BOOL_TRUE), [Seen::Answer(calls[1], BOOL_TRUE.to_vec())]);
}

#[test]
fn an_answer_to_nothing_known_is_fetched_once_and_acknowledged_when_it_came() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let answer = MsgId::from_raw(MsgId::at(pair.server_time(), MsgOrigin::Notification).to_raw() + 400);
    let info = types::MsgNewDetailedInfo { answer_msg_id: answer.to_raw(), bytes: 8, status: 0 };
    let info = enums::MsgDetailedInfo::MsgNewDetailedInfo(info).to_bytes();
    pair.say(&info);
    pair.say(&info);
    let sent = pair.sent();
    let requests: Vec<_> =
        sent.iter().filter_map(|sent| enums::MsgResendReq::from_bytes(&sent.body).ok()).collect();
    let [enums::MsgResendReq::MsgResendReq(request)] = &requests[..] else { panic!("{sent:?}") };
    assert_eq!(request.msg_ids, [answer.to_raw()]);
    let frame = pair.frame(answer, 1, &raw(0x1111_2222, &[7]));
    assert_eq!(pair.take(frame).unwrap(), [Seen::Update(raw(0x1111_2222, &[7]))]);
    pair.say(&info);
    let sent = pair.sent();
    assert!(!sent.iter().any(|sent| enums::MsgResendReq::from_bytes(&sent.body).is_ok()), "it is here");
    let client_id = MsgId::at(pair.server_time(), MsgOrigin::Client);
    let info = types::MsgNewDetailedInfo { answer_msg_id: client_id.to_raw(), bytes: 8, status: 0 };
    pair.say(&enums::MsgDetailedInfo::MsgNewDetailedInfo(info).to_bytes());
    assert_eq!(pair.sent().len(), 0, "no answer has the id of a query");
}

#[test]
fn a_copied_message_counts_as_the_original() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries()[0].msg_id;
    let original = pair.ids.next(pair.server_time(), MsgOrigin::Response);
    let mut result = Vec::new();
    write_rpc_result_header(&mut result, query);
    result.extend_from_slice(&BOOL_TRUE);
    let mut copy = 0xe060_46b2_u32.to_le_bytes().to_vec();
    copy.extend_from_slice(&original.to_bytes());
    copy.extend_from_slice(&1_i32.to_le_bytes());
    copy.extend_from_slice(&(result.len() as i32).to_le_bytes());
    copy.extend_from_slice(&result);
    assert_eq!(pair.say(&copy), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    let frame = pair.frame(original, 1, &result);
    assert_eq!(pair.take(frame).unwrap(), [], "the original is a duplicate now");
    assert_eq!(pair.client.counters().duplicates, 1);
    copy[4..12].copy_from_slice(&query.to_bytes());
    let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Response);
    let frame = pair.frame(msg_id, 3, &copy);
    assert!(pair.take(frame).is_err(), "a server does not copy messages of a client");
}

#[test]
fn the_server_is_told_what_arrived_of_its_messages() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let first = pair.ids.next(pair.server_time(), MsgOrigin::Notification);
    let missing = pair.ids.next(pair.server_time(), MsgOrigin::Notification);
    let second = pair.ids.next(pair.server_time(), MsgOrigin::Notification);
    for msg_id in [first, second] {
        let frame = pair.frame(msg_id, 1, &raw(0x1111_2222, &[]));
        pair.take(frame).unwrap();
    }
    let low = MsgId::from_raw(first.to_raw() - (1 << 40));
    let high = MsgId::from_raw(second.to_raw() + (1 << 40));
    let ids = [first, missing, second, low, high].map(MsgId::to_raw);
    let request = types::MsgsStateReq { msg_ids: ids.to_vec() };
    pair.say(&enums::MsgsStateReq::MsgsStateReq(request).to_bytes());
    let sent = pair.sent();
    let told = sent.iter().find_map(|sent| enums::MsgsStateInfo::from_bytes(&sent.body).ok());
    let Some(enums::MsgsStateInfo::MsgsStateInfo(told)) = told else { panic!("{sent:?}") };
    assert_eq!(told.info, [4, 2, 4, 1, 3]);
}

#[test]
fn a_ping_of_the_server_is_answered() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    pair.say(&functions::Ping { ping_id: 99 }.to_bytes());
    let sent = pair.sent();
    let pong = sent.iter().find_map(|sent| enums::Pong::from_bytes(&sent.body).ok());
    let Some(enums::Pong::Pong(pong)) = pong else { panic!("{sent:?}") };
    assert_eq!(pong.ping_id, 99);
}

#[test]
fn another_session_of_the_key_is_destroyed_on_request_and_never_the_own_one() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    pair.client.destroy_session(pair.session);
    assert_eq!(pair.sent(), [], "what that would mean is not defined");
    for (existed, id) in [(true, 0xe220_45fc), (false, 0x62d3_50c9)] {
        let session_id = SessionId::from_raw(77);
        pair.client.destroy_session(session_id);
        let asks = |sent: &Sent| {
            functions::DestroySession::from_bytes(&sent.body).is_ok_and(|query| query.session_id == 77)
        };
        let query = pair.sent().into_iter().find(asks).unwrap();
        pair.bad_salt(query.container.unwrap_or(query.msg_id), 5);
        assert!(pair.sent().iter().any(asks), "once more");
        let seen = pair.say(&raw(id, &[77]));
        assert_eq!(seen, [Seen::Other(Event::SessionDestroyed { session_id, existed })]);
    }
}

#[test]
fn the_key_is_destroyed_on_request_with_each_of_three_answers() {
    let answers = [
        (0xf660_e1d4, KeyDestruction::Destroyed),
        (0x0a9f_2259, KeyDestruction::Unknown),
        (0xea10_9b13, KeyDestruction::Failed),
    ];
    for (id, destruction) in answers {
        let mut pair = Pair::new();
        pair.client.destroy_auth_key();
        let sent = pair.sent();
        assert!(sent.iter().any(|sent| functions::DestroyAuthKey::from_bytes(&sent.body).is_ok()));
        assert_eq!(pair.say(&raw(id, &[])), [Seen::Other(Event::KeyDestroyed(destruction))]);
        assert!(!pair.sent().iter().any(|sent| functions::DestroyAuthKey::from_bytes(&sent.body).is_ok()));
    }
}

#[test]
fn over_http_every_packet_asks_the_server_to_hold_its_answer_back() {
    let wait = HttpWait { max_delay: 5, wait_after: 6, max_wait: 7 };
    let is_wait = |sent: &Sent| {
        sent.body == [0x9299_359f_u32, 5, 6, 7].map(u32::to_le_bytes).concat() && sent.seq_no & 1 == 0
    };
    let mut pair = Pair::new();
    pair.sent();
    pair.client.request_http_wait();
    assert_eq!(pair.sent(), [], "only over HTTP");
    pair.client.set_http_wait(Some(wait));
    pair.client.request_http_wait();
    let alone = pair.sent();
    assert!(alone.iter().any(is_wait) && alone.len() <= 2, "{alone:?}");
    assert_eq!(pair.sent(), [], "one request is out");
    pair.call();
    let beside = pair.sent();
    assert!(beside.iter().any(is_wait) && beside.iter().any(|sent| sent.body == GET_CONFIG));
    pair.client.set_http_wait(None);
    pair.call();
    assert!(!pair.sent().iter().any(is_wait));
}
