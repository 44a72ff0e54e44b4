//! What changes of the code would go unnoticed without: small rules, one test each.

use super::keys::{binding, pair_under_temporary_key};
use super::pair::*;
use chappe_types::Rule;
use chappe_types::TransportErrorCode;

fn packed(object: &[u8]) -> Vec<u8> {
    Deflater::new().pack(object).unwrap().to_vec()
}

#[test]
fn a_frame_beyond_the_limit_is_refused_unread() {
    let limits = SessionLimits::default().with(|limits| limits.received_bytes = 200);
    let mut pair = Pair::with(ClientConfig::default().with_limits(limits), 0);
    pair.call();
    pair.sent();
    let update = [0x1111_2222_u32.to_le_bytes().to_vec(), vec![0; 200]].concat();
    let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Notification);
    let frame = pair.frame(msg_id, 1, &update);
    assert!(pair.take(frame).is_err());
    assert_eq!(pair.client.counters().frames_received, 0);
}

#[test]
fn objects_packed_twice_are_refused() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let once = packed(&[0x1111_2222_u32.to_le_bytes().to_vec(), vec![0x20; 4000]].concat());
    let mut pad = once.clone();
    pad.resize(once.len() + 4000, 0);
    let twice = packed(&pad);
    let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Notification);
    let frame = pair.frame(msg_id, 1, &twice);
    assert!(pair.take(frame).is_err());
}

#[test]
fn an_answer_overcomes_what_was_counted_against_the_server() {
    let mut pair = Pair::new();
    for round in 0..30 {
        let call = pair.call();
        let query = pair.queries().remove(0);
        assert!(pair.complain(query.msg_id, 32).is_empty(), "round {round}");
        let again = pair.queries().remove(0);
        assert_eq!(pair.answer(again.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    }
    assert_eq!(pair.client.counters().sessions_reset, 30, "far more than may follow each other");
    for round in 0..100 {
        let call = pair.call();
        let query = pair.queries().remove(0);
        assert_eq!(pair.bad_salt(query.container.unwrap_or(query.msg_id), round), []);
        let again = pair.queries().remove(0);
        assert_eq!(
            pair.answer(again.msg_id, &BOOL_TRUE),
            [Seen::Answer(call, BOOL_TRUE.to_vec())],
            "{round}"
        );
    }
    for _ in 0..5 {
        let now = pair.now();
        pair.client.handle_transport_error(now, TransportErrorCode::UnknownAuthKey);
        let seen = own(pair.client.events());
        assert_eq!(
            seen,
            [Seen::Other(Event::Reconnect(ReconnectReason::TransportError(
                TransportErrorCode::UnknownAuthKey
            )))]
        );
        pair.call();
        let query = pair.queries().remove(0);
        pair.answer(query.msg_id, &BOOL_TRUE);
    }
}

#[test]
fn only_a_call_that_told_the_layer_proves_that_the_server_knows_it() {
    let init = InitConnection::new(214, &ClientInfo::default()).unwrap();
    let mut pair = Pair::with(ClientConfig::default().with_init(Some(init.clone())), 0);
    let told = |sent: &Sent| sent.body.starts_with(init.as_bytes());
    pair.call();
    let first = pair.queries().remove(0);
    pair.answer(first.msg_id, &BOOL_TRUE);
    pair.call();
    pair.call();
    let bare = pair.queries();
    assert!(!told(&bare[0]) && !told(&bare[1]));
    pair.refuse(bare[0].msg_id, 400, "CONNECTION_LAYER_INVALID");
    pair.answer(bare[1].msg_id, &BOOL_TRUE);
    let again = pair.queries().remove(0);
    assert!(told(&again), "the answer to a bare call proves nothing");
}

#[test]
fn a_server_that_never_has_enough_of_the_layer_is_not_told_for_ever() {
    let init = InitConnection::new(214, &ClientInfo::default()).unwrap();
    let mut pair = Pair::with(ClientConfig::default().with_init(Some(init)), 0);
    let call = pair.call();
    for attempt in 1..100 {
        let query = pair.queries().remove(0);
        let seen = pair.refuse(query.msg_id, 400, "CONNECTION_NOT_INITED");
        if !seen.is_empty() {
            assert_eq!(seen, [Seen::Error(call, 400, "CONNECTION_NOT_INITED".into())]);
            assert_eq!(attempt, 16);
            return;
        }
    }
    panic!("it went on forever");
}

#[test]
fn a_server_that_forgot_the_binding_is_told_again() {
    let (mut pair, call) = pair_under_temporary_key(1);
    let query = pair.queries().remove(0);
    assert_eq!(pair.refuse(query.msg_id, 401, "AUTH_KEY_PERM_EMPTY"), []);
    let sent = pair.sent();
    assert!(!sent.iter().any(|sent| sent.body == GET_CONFIG), "calls wait");
    assert_eq!(pair.answer(binding(&sent).msg_id, &BOOL_TRUE), [Seen::Other(Event::TemporaryKeyBound)]);
    let again = pair.queries().remove(0);
    assert_eq!(pair.answer(again.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
}

#[test]
fn trouble_with_the_authorization_is_named_and_only_one_kind_ends_the_session() {
    let kinds = [
        ("AUTH_KEY_UNREGISTERED", AuthorizationTrouble::Unregistered),
        ("AUTH_KEY_INVALID", AuthorizationTrouble::Invalid),
        ("SESSION_REVOKED", AuthorizationTrouble::SessionRevoked),
        ("SESSION_EXPIRED", AuthorizationTrouble::SessionExpired),
        ("USER_DEACTIVATED", AuthorizationTrouble::UserDeactivated),
        ("USER_DEACTIVATED_BAN", AuthorizationTrouble::UserDeactivated),
    ];
    for (name, trouble) in kinds {
        let mut pair = Pair::new();
        let call = pair.call();
        let query = pair.queries().remove(0);
        let seen = pair.refuse(query.msg_id, 401, name);
        assert_eq!(seen[0], Seen::Error(call, 401, name.into()));
        assert_eq!(seen[1..], [Seen::Other(Event::Authorization(trouble))]);
        assert!(!pair.client.is_terminated());
        pair.call();
    }
}

#[test]
fn sec_088_salts_in_answer_to_another_message_are_not_taken() {
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries().remove(0);
    let entry =
        types::FutureSalt { valid_since: START as i32 - 5, valid_until: START as i32 + 1810, salt: 6 };
    let salts = types::FutureSalts {
        req_msg_id: query.msg_id.to_raw(),
        now: START as i32,
        salts: chappe_tl::RawVec(vec![entry]),
    };
    pair.say(&enums::FutureSalts::FutureSalts(salts).to_bytes());
    assert_eq!(pair.client.counters().refused.of(Rule::new(88)), 1);
    assert!(!pair.client.salts().iter().any(|salt| salt.salt.to_raw() == 6));
}

#[test]
fn an_acknowledged_container_stands_for_what_is_in_it() {
    for is_acked in [false, true] {
        let mut pair = Pair::new();
        let freely = SendOptions::default().with_repeat(Repeat::Freely);
        pair.call_with(freely.clone());
        pair.call_with(freely);
        let container = pair.queries()[0].container.unwrap();
        if is_acked {
            let acks = types::MsgsAck { msg_ids: vec![container.to_raw()] };
            pair.say(&enums::MsgsAck::MsgsAck(acks).to_bytes());
        }
        let now = pair.now();
        pair.client.handle_disconnected(now);
        pair.client.handle_connected(now, TransportTail::None);
        let sent = pair.sent();
        let again = sent.iter().filter(|sent| sent.body == GET_CONFIG).count();
        assert_eq!(again, if is_acked { 0 } else { 2 });
        assert_eq!(state_request(&sent).is_some(), is_acked, "what the server has is asked about");
    }
}

#[test]
fn only_a_cancelled_call_ends_as_dropped() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries().remove(0);
    let object = 0xcd78_e586_u32.to_le_bytes();
    assert_eq!(pair.answer(query.msg_id, &object), [Seen::Answer(call, object.to_vec())]);
}

#[test]
fn sec_107_what_certainly_did_not_arrive_is_sent_again_whatever_it_is() {
    for (status, is_sent_again) in [(1, false), (2, true), (3, true)] {
        let mut pair = Pair::new();
        let call = pair.call_with(SendOptions::default().with_repeat(Repeat::Never));
        let query = pair.queries().remove(0);
        let now = pair.now();
        pair.client.handle_disconnected(now);
        pair.client.handle_connected(now, TransportTail::None);
        let (request, ids) = state_request(&pair.sent()).unwrap();
        assert_eq!(ids, [query.msg_id.to_raw()]);
        let seen = pair.say(&state_info(request, &[status]));
        let again = pair.queries();
        if is_sent_again {
            assert_eq!((seen, again.len(), again[0].msg_id), (vec![], 1, query.msg_id), "under its old id");
        } else {
            assert_eq!((seen, again.len()), (vec![failed(call, CallFailure::Uncertain)], 0));
        }
    }
}
