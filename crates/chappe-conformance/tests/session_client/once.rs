//! A call runs once: nothing is sent again unless there is evidence that it was not executed.

use super::pair::*;

fn ack(pair: &mut Pair, msg_id: MsgId) {
    let acks = types::MsgsAck { msg_ids: vec![msg_id.to_raw()] };
    assert_eq!(pair.say(&enums::MsgsAck::MsgsAck(acks).to_bytes()), []);
}

/// Time passes until the client asks for the states of messages.
fn asked(pair: &mut Pair) -> (MsgId, Vec<i64>) {
    (0..30).find_map(|_| state_request(&pair.live(1))).expect("it asks for the state")
}

#[test]
fn a_call_that_was_acknowledged_is_not_sent_again_because_its_state_is_unknown() {
    for repeat in [Repeat::AfterAsking, Repeat::Freely, Repeat::Never] {
        let mut pair = Pair::new();
        let call = pair.call_with(SendOptions::default().with_repeat(repeat));
        let query = pair.queries().remove(0);
        ack(&mut pair, query.msg_id);
        // The server forgets ids while the query runs, and says so each time it is asked.
        for round in 0..6 {
            let (request, ids) = asked(&mut pair);
            assert_eq!(ids, [query.msg_id.to_raw()]);
            assert_eq!(pair.say(&state_info(request, &[1])), [], "{repeat:?}, round {round}");
            assert_eq!(pair.queries(), [], "{repeat:?}, round {round}");
        }
        assert_eq!(pair.answer(query.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    }
}

#[test]
fn a_call_that_was_received_as_its_state_said_is_not_sent_again_either() {
    let mut pair = Pair::new();
    let call = pair.call();
    assert_eq!(pair.queries().len(), 1);
    for status in [4, 1, 1] {
        let (request, _) = asked(&mut pair);
        assert_eq!(pair.say(&state_info(request, &[status])), []);
        assert_eq!(pair.queries(), []);
    }
    assert!(pair.client.is_pending(call));
}

#[test]
fn a_call_that_was_never_acknowledged_is_sent_again_when_its_state_is_unknown() {
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries().remove(0);
    let (request, _) = asked(&mut pair);
    assert_eq!(pair.say(&state_info(request, &[1])), []);
    let again = pair.queries();
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].msg_id, query.msg_id);
}

#[test]
fn where_evidence_ends_with_a_connection_the_caller_is_told() {
    for (repeat, is_uncertain) in
        [(Repeat::AfterAsking, true), (Repeat::Never, true), (Repeat::Freely, false)]
    {
        let mut pair = Pair::new();
        let call = pair.call_with(SendOptions::default().with_repeat(repeat));
        let query = pair.queries().remove(0);
        ack(&mut pair, query.msg_id);
        let now = pair.now();
        pair.client.handle_disconnected(now);
        pair.client.handle_connected(now, TransportTail::None);
        let (request, ids) = state_request(&pair.sent()).unwrap();
        assert_eq!(ids, [query.msg_id.to_raw()]);
        let seen = pair.say(&state_info(request, &[1]));
        let again = pair.queries();
        if is_uncertain {
            assert_eq!((seen, again.len()), (vec![failed(call, CallFailure::Uncertain)], 0), "{repeat:?}");
        } else {
            assert_eq!((seen, again.len()), (vec![], 1), "{repeat:?}");
        }
    }
}

#[test]
fn a_session_that_the_client_gives_up_takes_no_acknowledged_call_along() {
    let mut pair = Pair::new();
    let running = pair.call();
    let query = pair.queries().remove(0);
    ack(&mut pair, query.msg_id);
    let refused = pair.call();
    let second = pair.queries().remove(0);
    // The server refuses the sequence number of the second call, and has begun the first.
    assert_eq!(pair.complain(second.msg_id, 32), [failed(running, CallFailure::Uncertain)]);
    let again = pair.queries();
    assert_eq!(again.len(), 1, "only what was refused");
    assert_eq!(pair.answer(again[0].msg_id, &BOOL_TRUE), [Seen::Answer(refused, BOOL_TRUE.to_vec())]);
}

#[test]
fn a_call_is_asked_about_again_when_its_state_was_unclear() {
    // What the specification gives no meaning, and 4 with its bits taken for an end.
    for status in [0, 5, 6, 7] {
        let mut pair = Pair::new();
        let call = pair.call();
        let query = pair.queries().remove(0);
        let now = pair.now();
        pair.client.handle_disconnected(now);
        pair.client.handle_connected(now, TransportTail::None);
        for round in 0..3 {
            let (request, ids) = match state_request(&pair.sent()) {
                Some(asked) => asked,
                None => asked(&mut pair),
            };
            assert_eq!(ids, [query.msg_id.to_raw()], "{status}, round {round}");
            assert_eq!(pair.say(&state_info(request, &[status])), []);
            assert_eq!(pair.queries(), [], "{status}, round {round}: it proves nothing");
        }
        let (request, _) = asked(&mut pair);
        pair.say(&state_info(request, &[4]));
        assert_eq!(pair.answer(query.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    }
}

fn resend(pair: &mut Pair, msg_id: MsgId) -> Vec<Seen> {
    let request = types::MsgResendReq { msg_ids: vec![msg_id.to_raw()] };
    pair.say(&enums::MsgResendReq::MsgResendReq(request).to_bytes())
}

#[test]
fn a_call_that_the_server_wants_again_keeps_its_id() {
    for repeat in [Repeat::AfterAsking, Repeat::Freely, Repeat::Never] {
        let mut pair = Pair::new();
        let call = pair.call_with(SendOptions::default().with_repeat(repeat));
        let query = pair.queries().remove(0);
        assert_eq!(resend(&mut pair, query.msg_id), []);
        let again = pair.queries();
        assert_eq!(again.len(), 1, "{repeat:?}");
        assert_eq!(again[0].msg_id, query.msg_id, "{repeat:?}: under another id it could run twice");
        assert!(again[0].container.is_some(), "SEC-106");
        assert_eq!(pair.answer(query.msg_id, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    }
}

#[test]
fn a_server_that_wants_a_call_again_without_end_ends_the_call() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries().remove(0);
    let mut rounds = 0;
    loop {
        rounds += 1;
        let seen = resend(&mut pair, query.msg_id);
        if !seen.is_empty() {
            assert_eq!(seen, [failed(call, CallFailure::TooManyAttempts)]);
            break;
        }
        assert_eq!(pair.queries().len(), 1, "round {rounds}");
    }
    assert_eq!(rounds, SessionLimits::default().attempts);
}

/// The server complains about a message by a clock that was set back by two hours.
fn complain_by_an_earlier_clock(pair: &mut Pair, about: MsgId, code: i32) -> Vec<Seen> {
    let bad = types::BadMsgNotification { bad_msg_id: about.to_raw(), bad_msg_seqno: 1, error_code: code };
    let body = enums::BadMsgNotification::BadMsgNotification(bad).to_bytes();
    let time = UnixTime::from_secs(START + pair.second - 7200);
    let frame = pair.frame(MsgId::at(time, MsgOrigin::Response), 1, &body);
    pair.take(frame).unwrap()
}

#[test]
fn calls_in_front_of_a_refused_one_may_have_run_before_the_servers_clock_stepped_back() {
    for code in [16, 17] {
        for (repeat, is_repeated) in
            [(Repeat::AfterAsking, false), (Repeat::Never, false), (Repeat::Freely, true)]
        {
            let mut pair = Pair::new();
            let accepted = pair.call_with(SendOptions::default().with_repeat(repeat));
            assert_eq!(pair.queries().len(), 1);
            // The clock steps back here, and the server refuses the next two.
            let refused = pair.call();
            let query = pair.queries().remove(0);
            let behind = pair.call_with(SendOptions::default().with_repeat(Repeat::Never));
            assert_eq!(pair.queries().len(), 1);
            let seen = complain_by_an_earlier_clock(&mut pair, query.msg_id, code);
            assert_eq!(
                seen.contains(&failed(accepted, CallFailure::Uncertain)),
                !is_repeated,
                "{code}, {repeat:?}"
            );
            assert_eq!(pair.queries().len(), 2 + usize::from(is_repeated), "{code}, {repeat:?}");
            assert!(pair.client.is_pending(refused) && pair.client.is_pending(behind));
        }
    }
}

/// Lets a client learn something about its query.
type Evidence = fn(&mut Pair, MsgId) -> Vec<Seen>;

#[test]
fn a_cancelled_call_is_never_sent_again() {
    let unknown = CallFailure::Cancelled(DropOutcome::Unknown);
    let evidence: [(&str, Evidence); 5] = [
        ("the server has forgotten it, with the answer that it dropped", |pair, _| {
            let (request, _) = asked(pair);
            pair.say(&state_info(request, &[1]))
        }),
        ("it was not received", |pair, _| {
            let (request, _) = asked(pair);
            pair.say(&state_info(request, &[2]))
        }),
        ("the salt was wrong", |pair, query| pair.bad_salt(query, 9)),
        ("the server wants it again", resend),
        ("the connection is gone", |pair, _| {
            let now = pair.now();
            pair.client.handle_disconnected(now);
            pair.client.handle_connected(now, TransportTail::None);
            own(pair.client.events())
        }),
    ];
    for (what, tell) in evidence {
        for repeat in [Repeat::AfterAsking, Repeat::Freely, Repeat::Never] {
            let mut pair = Pair::new();
            let call = pair.call_with(SendOptions::default().with_repeat(repeat));
            let query = pair.queries().remove(0);
            assert!(pair.client.cancel(call));
            pair.sent();
            assert_eq!(tell(&mut pair, query.msg_id), [failed(call, unknown)], "{what}, {repeat:?}");
            assert_eq!(pair.queries(), [], "{what}, {repeat:?}");
        }
    }
}

#[test]
fn a_call_that_is_cancelled_while_it_waits_to_go_again_ends_at_once() {
    let mut pair = Pair::new();
    let (first, refused) = (pair.call(), pair.call());
    let queries = pair.queries();
    assert_eq!(pair.refuse(queries[1].msg_id, 420, "FLOOD_WAIT_1"), [], "the other is under way");
    assert!(pair.client.cancel(refused));
    let unknown = CallFailure::Cancelled(DropOutcome::Unknown);
    assert_eq!(pair.pass(5), [failed(refused, unknown)]);
    assert_eq!(pair.queries(), []);
    assert_eq!(pair.answer(queries[0].msg_id, &BOOL_TRUE), [Seen::Answer(first, BOOL_TRUE.to_vec())]);
}
