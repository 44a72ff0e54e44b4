//! Calls from beginning to end.

use alloc::collections::{BTreeMap, BTreeSet};
use chappe_framing::PeerMisbehaved;

use super::pair::*;

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
    assert!(enums::MsgsAck::from_bytes(&acks[0].body).is_ok(), "but not forever");
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
    let info = ClientInfo::default().with_api_id(7).with_device_model(b"x".to_vec());
    let init = InitConnection::new(214, &info).unwrap();
    let mut pair = Pair::with(ClientConfig::default().with_init(Some(init.clone())), 0);
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
    let second = pair.call_with(SendOptions::default().with_after(vec![first]));
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
fn a_call_that_waits_for_none_is_not_sent_again_for_having_waited() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries().remove(0);
    let error = Seen::Error(call, 400, "MSG_WAIT_FAILED".into());
    assert_eq!(pair.refuse(query.msg_id, 400, "MSG_WAIT_FAILED"), [error]);
    assert!(pair.queries().is_empty());
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
    let options = SendOptions::default().with_timeout(Some(Duration::from_secs(5)));
    let call = pair.call_with(options);
    let query = pair.queries()[0].msg_id;
    assert_eq!(pair.pass(4), []);
    assert_eq!(pair.client.poll_timeout(), Some(mono(5)));
    assert_eq!(pair.pass(1), [failed(call, CallFailure::TimedOut)]);
    assert_eq!(pair.answer(query, &BOOL_TRUE), [], "the late answer is dropped");
}

#[test]
fn sec_133_quick_acknowledgements_name_own_packets() {
    let mut pair = Pair::new();
    let call = pair.call_with(SendOptions::default().with_quick_ack(true));
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
fn a_container_holds_no_more_than_its_limits() {
    let limits = SessionLimits::default().with(|limits| {
        limits.container_messages = 1020;
        limits.container_bytes = 1 << 20;
    });
    let mut pair = Pair::with(ClientConfig::default().with_limits(limits), 0);
    pair.show_speed();
    for _ in 0..2500 {
        pair.call();
    }
    let mut count = BTreeMap::new();
    for sent in pair.sent() {
        *count.entry(sent.container.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(count.values().sum::<i32>(), 2501, "one of them acknowledges an answer");
    assert!(count.len() == 3 && count.values().all(|count| *count <= 1020), "{count:?}");
    let mut pair = Pair::new();
    pair.show_speed();
    let body = [&GET_CONFIG[..], &[0x77; 9_996]].concat();
    let options = SendOptions::default().with_packing(Packing::Never);
    for _ in 0..10 {
        pair.client.send_bytes(pair.now(), &body, options.clone()).unwrap();
    }
    let mut bytes = BTreeMap::new();
    for sent in pair.sent() {
        *bytes.entry(sent.container.unwrap_or(sent.msg_id)).or_insert(0) += sent.body.len() + 16;
    }
    assert!(bytes.len() == 4 && bytes.values().all(|bytes| *bytes <= 32 << 10), "{bytes:?}");
}

#[test]
fn a_large_body_that_does_not_shrink_in_the_middle_is_not_packed() {
    use chappe_crypto::rand_core::Rng;
    let mut pair = Pair::new();
    let mut body = vec![0x20; 64 << 10];
    pair.rng.fill_bytes(&mut body[20_000..44_000]);
    body[..4].copy_from_slice(&GET_CONFIG);
    for (options, is_packed) in [(Packing::Auto, false), (Packing::Never, false)] {
        let options = SendOptions::default().with_packing(options);
        pair.client.send_bytes(pair.now(), &body, options).unwrap();
        assert_eq!(pair.client.counters().gzip_in > 0, is_packed);
    }
    let all = vec![0x20; 64 << 10];
    pair.client.send_bytes(pair.now(), &all, SendOptions::default()).unwrap();
    let counters = pair.client.counters();
    assert_eq!(counters.gzip_in, all.len() as u64);
    assert!(counters.gzip_out < 1000, "{}", counters.gzip_out);
}

#[test]
fn acknowledgements_go_by_count_and_by_deadline() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let acked = |pair: &mut Pair| {
        let sent = pair.sent();
        let acks = sent.iter().filter_map(|sent| enums::MsgsAck::from_bytes(&sent.body).ok());
        acks.map(|enums::MsgsAck::MsgsAck(acks)| acks.msg_ids.len()).sum::<usize>()
    };
    let update = [0x1111_2222_u32.to_le_bytes(), [0; 4]].concat();
    for _ in 0..15 {
        pair.say(&update);
    }
    assert_eq!(acked(&mut pair), 0);
    pair.say(&update);
    assert_eq!(acked(&mut pair), 16, "sixteen do not wait");
    pair.say(&update);
    pair.pass(9);
    assert_eq!(acked(&mut pair), 0);
    pair.pass(1);
    assert_eq!(acked(&mut pair), 1, "ten seconds are enough for one");
    pair.say(&update);
    pair.call();
    assert_eq!(acked(&mut pair), 1, "company does not wait");
}

#[test]
fn padding_follows_the_policy() {
    let lens = |padding: Padding| {
        let mut pair = Pair::with(ClientConfig::default().with_padding(padding), 0);
        let mut out = FrameBuf::new();
        let mut lens = BTreeSet::new();
        for _ in 0..200 {
            pair.call();
            let now = pair.now();
            while pair.client.poll_transmit(now, &mut pair.rng, &mut out).is_some() {
                lens.insert(out.as_slice().len() - 24);
            }
        }
        // The first packet asks for salts besides.
        lens.retain(|len| *len > 48 || padding != Padding::Minimum);
        lens
    };
    assert!(lens(Padding::Minimum).len() <= 1, "one length for one body");
    assert!(lens(Padding::Random).len() >= 10);
    let buckets = [64, 128, 192, 256];
    assert!(lens(Padding::Buckets).iter().all(|len| buckets.contains(len)));
}

#[test]
fn ids_grow_whatever_the_clocks_do() {
    let mut pair = Pair::with(ClientConfig::default(), 0);
    let mut last = MsgId::from_raw(0);
    let mut seq_no = -1;
    for error in [0_i64, 50_000, -50_000, 3, -1_000_000] {
        pair.error = error;
        pair.call();
        for sent in pair.sent() {
            assert!(sent.msg_id > last && sent.seq_no > seq_no, "a wall clock that jumps moves nothing");
            (last, seq_no) = (sent.msg_id, sent.seq_no);
        }
    }
    let behind = (START + pair.second).abs_diff(last.time().as_secs());
    assert!(behind <= 1, "the ids tell the server's time: {behind} s off");
}

#[test]
fn two_sessions_of_a_key_do_not_take_each_others_messages() {
    let (mut one, mut other) = (Pair::new(), Pair::new());
    other.rng = Drbg::from_seed([4; 32]);
    let (first, second) = (one.call(), other.call());
    let queries = [one.queries()[0].msg_id, other.queries()[0].msg_id];
    assert_ne!(one.session, other.session);
    let mut result = Vec::new();
    write_rpc_result_header(&mut result, queries[0]);
    result.extend_from_slice(&BOOL_TRUE);
    let msg_id = one.ids.next(one.server_time(), MsgOrigin::Response);
    let frame = one.frame(msg_id, 1, &result);
    let refused = other.take(frame.clone());
    assert!(
        matches!(
            refused,
            Err(ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::ForeignSession { .. })))
        ),
        "{refused:?}"
    );
    assert!(other.client.is_pending(second), "its own call still waits, though it has the same msg_id");
    assert_eq!(one.take(frame).unwrap(), [Seen::Answer(first, BOOL_TRUE.to_vec())]);
}

#[test]
fn policies_differ_in_how_soon_they_ping() {
    let idle_pings = |policy: LivenessPolicy| {
        let mut pair = Pair::new();
        pair.call();
        let query = pair.queries()[0].msg_id;
        pair.answer(query, &BOOL_TRUE);
        pair.client.set_liveness(policy);
        let is_ping = |sent: &Sent| functions::PingDelayDisconnect::from_bytes(&sent.body).ok();
        loop {
            pair.pass(1);
            if let Some(ping) = pair.sent().iter().find_map(is_ping) {
                return (pair.second, ping.disconnect_delay);
            }
        }
    };
    assert_eq!(idle_pings(LivenessPolicy::INTERACTIVE), (30, 60));
    assert_eq!(idle_pings(LivenessPolicy::BOT), (60, 75));
    assert_eq!(idle_pings(LivenessPolicy::BATTERY), (270, 330));
}

#[test]
fn counters_tell_what_went_over_the_wire() {
    let mut pair = Pair::new();
    for _ in 0..3 {
        pair.call();
    }
    let queries = pair.queries();
    pair.answer(queries[0].msg_id, &BOOL_TRUE);
    pair.bad_salt(queries[1].container.unwrap(), 6);
    assert_eq!(pair.queries().len(), 2, "the first has ended");
    let counters = pair.client.counters();
    assert_eq!((counters.frames_sent, counters.frames_received), (2, 2));
    assert_eq!((counters.messages_received, counters.resent), (2, 2));
    assert!(counters.messages_sent >= 3 + 2);
    assert_eq!((counters.duplicates, counters.sessions_reset, counters.unmatched), (0, 0, 0));
}

#[test]
fn the_datacenters_timer_is_set_again_in_time_however_lively_the_connection_is() {
    let mut pair = Pair::new();
    let mut closes_at = None;
    for second in 0..600 {
        pair.pass(1);
        if second % 5 == 0 {
            pair.call();
        }
        for sent in pair.sent() {
            if sent.body == GET_CONFIG {
                pair.answer(sent.msg_id, &BOOL_TRUE);
            } else if let Ok(ping) = functions::PingDelayDisconnect::from_bytes(&sent.body) {
                closes_at = Some(pair.second + ping.disconnect_delay as u64);
                let pong = types::Pong { msg_id: sent.msg_id.to_raw(), ping_id: ping.ping_id };
                pair.say(&enums::Pong::Pong(pong).to_bytes());
            }
        }
        assert!(closes_at.is_none_or(|at| pair.second < at), "the datacenter closes after {second} s");
    }
    assert!(closes_at.is_some(), "no ping in ten minutes");
}

#[test]
fn a_frame_that_comes_in_slowly_does_not_end_the_connection() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    for second in 0..300 {
        let now = pair.now();
        pair.client.handle_bytes_received(now, 20 << 10);
        assert_eq!(pair.pass(1), [], "{second} s");
        pair.sent();
    }
    let mut seen = Vec::new();
    for _ in 0..60 {
        seen.extend(pair.pass(1));
        pair.sent();
    }
    let silence = Seen::Other(Event::Reconnect(ReconnectReason::Silence));
    assert!(seen.contains(&silence), "it has stopped: {seen:?}");
}
