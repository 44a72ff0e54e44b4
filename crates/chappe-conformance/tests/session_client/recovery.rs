//! What a client does when something went wrong.

use super::pair::*;
use chappe_types::{BadMsgCode, Rule};

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
    assert_eq!(pair.client.counters().refused.of(Rule::new(82)), 6);
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
        let call = pair.call_with(SendOptions::default().with_repeat(Repeat::Freely));
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
        assert_eq!(rounds, 1 + u64::from(SessionLimits::default().session_resets), "{code}");
    }
}

#[test]
fn a_call_that_was_sent_before_the_server_refused_the_last_session_is_uncertain() {
    let mut pair = Pair::new();
    let refused = pair.call_with(SendOptions::default());
    for _ in 0..SessionLimits::default().session_resets {
        let query = pair.queries().remove(0);
        assert_eq!(pair.complain(query.container.unwrap_or(query.msg_id), 18), []);
    }
    let query = pair.queries().remove(0);
    let sent = pair.call_with(SendOptions::default());
    assert_eq!(pair.queries().len(), 1);
    let seen = pair.complain(query.container.unwrap_or(query.msg_id), 18);
    assert!(seen.contains(&failed(sent, CallFailure::Uncertain)), "{seen:?}");
    assert!(seen.contains(&failed(refused, CallFailure::SessionRefused)), "{seen:?}");
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
    assert_eq!(rounds, i64::from(SessionLimits::default().attempts));
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
fn who_is_to_travel_alone_joins_nobody_that_goes_first() {
    let mut pair = Pair::new();
    pair.call();
    let first = pair.queries().remove(0);
    pair.call();
    pair.call();
    let container = pair.queries()[0].container.unwrap();
    pair.complain(container, 64);
    // Goes again as well, and before the two.
    pair.bad_salt(first.container.unwrap_or(first.msg_id), 9);
    let again = pair.queries();
    let mut envelopes: Vec<_> = again.iter().map(|query| query.container.unwrap_or(query.msg_id)).collect();
    envelopes.dedup();
    assert_eq!(envelopes.len(), 3, "{again:?}");
}

#[test]
fn sec_107_code_20_fails_what_may_not_be_repeated() {
    for (repeat, is_repeated) in [(Repeat::Freely, true), (Repeat::AfterAsking, true), (Repeat::Never, false)]
    {
        let mut pair = Pair::new();
        let call = pair.call_with(SendOptions::default().with_repeat(repeat));
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
    assert_eq!(pair.client.counters().refused.of(Rule::new(91)), 1);
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
    assert_eq!(pair.client.counters().refused.of(Rule::new(104)), 2);
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
    assert_eq!((again.len(), again[0].msg_id), (1, query));
    assert!(again[0].container.is_some(), "SEC-106: never alone under its old id");
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
    assert_eq!(pair.client.counters().refused.of(Rule::new(88)), 1);
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
    // It was an answer: a new connection is no reason to ask at once.
    let now = pair.now();
    pair.client.handle_disconnected(now);
    pair.client.handle_connected(now, TransportTail::None);
    pair.call();
    assert!(pair.sent().iter().all(|sent| functions::GetFutureSalts::from_bytes(&sent.body).is_err()));
    pair.pass(61);
    pair.call();
    let again = pair.sent();
    assert!(again.iter().any(|sent| functions::GetFutureSalts::from_bytes(&sent.body).is_ok()));
}

#[test]
fn codes_that_speak_of_a_broken_session_begin_a_new_one() {
    for code in [18, 19, 32, 33, 34, 35] {
        let mut pair = Pair::new();
        // Code 19 does not say which of the two containers under the id was refused.
        let repeat = if code == 19 { Repeat::Freely } else { Repeat::Never };
        let hit = pair.call_with(SendOptions::default().with_repeat(repeat));
        let queries = pair.queries();
        let beside = pair.call_with(SendOptions::default().with_repeat(Repeat::Never));
        pair.sent();
        let before = pair.session;
        let container = queries[0].container.unwrap();
        assert_eq!(pair.complain(container, code), [failed(beside, CallFailure::Uncertain)], "{code}");
        let again = pair.queries();
        assert_ne!(pair.session, before, "{code}");
        assert_eq!((again.len(), again[0].seq_no & 1), (1, 1), "{code}");
        assert!(pair.client.is_pending(hit) && pair.client.counters().sessions_reset == 1);
        let late = pair.frame(MsgId::from_raw(again[0].msg_id.to_raw() + 1), 1, &GET_CONFIG);
        pair.take(late).unwrap();
        let (now_session, update) = (pair.session, [0x1111_2222_u32.to_le_bytes(), [0; 4]].concat());
        pair.session = before;
        let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Notification);
        let frame = pair.frame(msg_id, 1, &update);
        assert_eq!(pair.take(frame).unwrap(), [], "the server could not know: dropped without a word");
        pair.session = now_session;
    }
}

#[test]
fn a_code_that_nobody_knows_fails_what_it_hit_and_nothing_else() {
    let mut pair = Pair::new();
    let (hit, query) = (pair.call(), pair.queries()[0].clone());
    let beside = pair.call();
    pair.sent();
    let seen = pair.complain(query.msg_id, 99);
    let refused = failed(hit, CallFailure::Refused { code: BadMsgCode::Other(99) });
    assert_eq!(seen, [refused, Seen::Other(Event::Reconnect(ReconnectReason::Refused))]);
    assert!(pair.client.is_pending(beside));
}

#[test]
fn salts_are_asked_for_in_time_and_rotate() {
    let mut pair = Pair::new();
    pair.call();
    let sent = pair.sent();
    let is_request = |sent: &&Sent| functions::GetFutureSalts::from_bytes(&sent.body).is_ok();
    let request = sent.iter().find(is_request).unwrap().msg_id;
    let query = sent.iter().find(|sent| sent.body == GET_CONFIG).unwrap().msg_id;
    let base = START as i32;
    let salts = (0..2).map(|n| types::FutureSalt {
        valid_since: base + 100 + 100 * n,
        valid_until: base + 300 + 100 * n,
        salt: i64::from(1000 + n),
    });
    let salts = types::FutureSalts {
        req_msg_id: request.to_raw(),
        now: base,
        salts: chappe_tl::RawVec(salts.collect()),
    };
    pair.say(&enums::FutureSalts::FutureSalts(salts).to_bytes());
    pair.answer(query, &BOOL_TRUE);
    let mut asked_at = None;
    for (second, salt) in [(50, 42), (110, 1000), (210, 1001), (330, 1001)] {
        let sent = pair.live(second - pair.second);
        if sent.iter().any(|sent| is_request(&sent)) {
            asked_at.get_or_insert(second);
        }
        let call = pair.call();
        let query = pair.queries().remove(0);
        assert_eq!(query.salt, salt, "{second} s");
        assert_eq!(pair.answer(query.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    }
    assert_eq!(asked_at, Some(330), "more are wanted when the last is in use, and before it ends");
}

#[test]
fn a_bound_key_leaves_no_timer_of_the_key_before() {
    let (mut pair, call) = super::keys::pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    let (old_key, old_session) = (pair.key.clone(), pair.session);
    super::keys::install(&mut pair, 2, 86_400);
    let bind = super::keys::binding(&pair.sent()).msg_id;
    let (new_key, new_session) = (pair.key.clone(), pair.session);
    assert_eq!(pair.answer(bind, &BOOL_TRUE), [Seen::Other(Event::TemporaryKeyBound)]);
    (pair.key, pair.session) = (old_key, old_session);
    assert_eq!(pair.answer(query, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    (pair.key, pair.session) = (new_key, new_session);
    for _ in 0..20 {
        let due = pair.client.poll_timeout().unwrap().as_duration().as_secs();
        assert!(due >= pair.second, "a timer that nothing serves keeps a driver spinning");
        pair.live(due + 1 - pair.second);
    }
}

#[test]
fn a_complaint_about_one_call_of_a_container_is_about_no_other() {
    for code in [16, 20, 48, 64, 99] {
        let mut pair = Pair::new();
        let calls: Vec<CallId> =
            (0..2).map(|_| pair.call_with(SendOptions::default().with_repeat(Repeat::Never))).collect();
        let queries = pair.queries();
        assert!(queries.iter().all(|query| query.container.is_some()), "both travel in one");
        let seen = pair.complain(queries[1].msg_id, code);
        assert!(pair.client.is_pending(calls[0]), "{code}: {seen:?}");
        let again = pair.queries();
        assert!(again.len() <= 1, "{code}: the first may have been executed");
        assert_eq!(pair.client.msg_id(calls[0]), Some(queries[0].msg_id), "{code}");
    }
}

#[test]
fn a_new_session_on_the_same_connection_is_pinged_at_once() {
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries().remove(0);
    pair.complain(query.container.unwrap_or(query.msg_id), 32);
    let is_ping = |sent: &Sent| functions::PingDelayDisconnect::from_bytes(&sent.body).is_ok();
    assert!(pair.sent().iter().any(is_ping), "the timer of the datacenter has not changed");
}

#[test]
fn sec_107_a_call_that_the_server_has_received_is_not_sent_again_when_the_server_forgets_it() {
    for (repeat, is_repeated) in
        [(Repeat::Freely, true), (Repeat::AfterAsking, false), (Repeat::Never, false)]
    {
        for is_new_session in [false, true] {
            let mut pair = Pair::new();
            let call = pair.call_with(SendOptions::default().with_repeat(repeat));
            let query = pair.queries().remove(0);
            let msg_ids = vec![query.msg_id.to_raw()];
            pair.say(&enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids }).to_bytes());
            let seen = if is_new_session {
                let envelope = query.container.unwrap_or(query.msg_id).to_raw();
                pair.say(&new_session(MsgId::from_raw(envelope + 4), 5, 77))
            } else {
                pair.complain(query.container.unwrap_or(query.msg_id), 20)
            };
            assert_eq!(seen.contains(&failed(call, CallFailure::Uncertain)), !is_repeated, "{repeat:?}");
            assert_eq!(pair.queries().len(), usize::from(is_repeated), "{repeat:?}");
        }
    }
}

#[test]
fn a_complaint_about_an_earlier_id_does_not_end_a_call_that_the_server_has_under_a_later_one() {
    let mut pair = Pair::new();
    let call = pair.call();
    let first = pair.queries().remove(0);
    pair.bad_salt(first.container.unwrap_or(first.msg_id), 9);
    let second = pair.queries().remove(0);
    let msg_ids = vec![second.msg_id.to_raw()];
    pair.say(&enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids }).to_bytes());
    assert_eq!(pair.complain(first.msg_id, 20), []);
    assert!(pair.client.is_pending(call) && pair.queries().is_empty());
}
