//! What a client does about messages whose time cannot be right: the lid was closed, or the server's clock stepped.

use super::pair::*;

fn update(n: u8) -> Vec<u8> {
    [0x1111_2222_u32.to_le_bytes(), [n; 4]].concat()
}

/// The server pushes an update, stamped by a clock that is `ahead` of the client's.
fn push(pair: &mut Pair, ahead: u64, n: u8) -> Vec<Seen> {
    let time = pair.server_time().saturating_add(Duration::from_secs(ahead));
    let msg_id = pair.ids.next(time, MsgOrigin::Notification);
    let frame = pair.frame(msg_id, 1, &update(n));
    pair.take(frame).unwrap()
}

/// Answers the ping that is out by a clock that is `ahead` of the client's.
fn pong(pair: &mut Pair, ahead: u64, ping: &(MsgId, i64)) -> Vec<Seen> {
    let time = pair.server_time().saturating_add(Duration::from_secs(ahead));
    let pong = types::Pong { msg_id: ping.0.to_raw(), ping_id: ping.1 };
    // Not behind the ids before: the clock that stamped them may have been wrong.
    let msg_id = MsgId::at(time, MsgOrigin::Response);
    let frame = pair.frame(msg_id, 3, &enums::Pong::Pong(pong).to_bytes());
    pair.take(frame).unwrap()
}

fn ping(sent: &[Sent]) -> Option<(MsgId, i64)> {
    sent.iter().find_map(|sent| {
        let ping = functions::PingDelayDisconnect::from_bytes(&sent.body).ok()?;
        Some((sent.msg_id, ping.ping_id))
    })
}

/// A client that knows the time, and has nothing to do.
fn synchronized() -> Pair {
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries().remove(0);
    pair.answer(query.msg_id, &BOOL_TRUE);
    pair.live(5);
    pair
}

#[test]
fn an_update_from_the_future_makes_the_client_ask_for_the_time_at_once_and_is_not_lost() {
    for ahead in [45, 7200] {
        let mut pair = synchronized();
        assert_eq!(push(&mut pair, ahead, 1), [], "nobody knows yet whether it is genuine");
        assert_eq!(push(&mut pair, ahead, 2), []);
        let sent = pair.sent();
        let ping = ping(&sent).expect("it asks for the time");
        let seen = pong(&mut pair, ahead, &ping);
        let updates = seen.iter().filter(|seen| matches!(seen, Seen::Update(_)));
        assert_eq!(
            updates.cloned().collect::<Vec<_>>(),
            [Seen::Update(update(1)), Seen::Update(update(2))],
            "{ahead}"
        );
        assert!(!seen.contains(&Seen::Other(Event::UpdatesMayBeMissing)));
        assert_eq!(
            push(&mut pair, ahead, 3),
            [Seen::Update(update(3))],
            "and the clock is right from now on"
        );
        pair.pass(10);
        let acked: Vec<i64> = pair
            .sent()
            .iter()
            .filter_map(|sent| enums::MsgsAck::from_bytes(&sent.body).ok())
            .flat_map(|enums::MsgsAck::MsgsAck(acks)| acks.msg_ids)
            .collect();
        assert!(acked.len() >= 3, "they are acknowledged: {acked:?}");
    }
}

#[test]
fn an_update_that_stays_implausible_is_a_gap() {
    let mut pair = synchronized();
    assert_eq!(push(&mut pair, 45, 1), []);
    let sent = pair.sent();
    let ping = ping(&sent).unwrap();
    let seen = pong(&mut pair, 0, &ping);
    assert_eq!(seen, [Seen::Other(Event::UpdatesMayBeMissing)]);
}

#[test]
fn a_connection_that_ends_before_the_time_is_known_leaves_a_gap() {
    let mut pair = synchronized();
    push(&mut pair, 45, 1);
    let now = pair.now();
    pair.client.handle_disconnected(now);
    assert_eq!(own(pair.client.events()), [Seen::Other(Event::UpdatesMayBeMissing)]);
}

#[test]
fn messages_that_wait_for_the_time_are_bounded() {
    let mut pair = synchronized();
    for n in 0..=255 {
        push(&mut pair, 45, n);
    }
    let sent = pair.sent();
    assert_eq!(
        sent.iter().filter(|sent| functions::PingDelayDisconnect::from_bytes(&sent.body).is_ok()).count(),
        1,
        "one ping, not 256"
    );
    let ping = ping(&sent).unwrap();
    let seen = pong(&mut pair, 45, &ping);
    assert!(seen.contains(&Seen::Other(Event::UpdatesMayBeMissing)), "what did not fit is told");
    let updates = seen.iter().filter(|seen| matches!(seen, Seen::Update(_))).count();
    assert!((1..=64).contains(&updates), "{updates}");
}

#[test]
fn messages_from_the_future_are_no_sign_of_life() {
    let mut pair = synchronized();
    pair.call();
    let mut seen = Vec::new();
    for _ in 0..60 {
        push(&mut pair, 45, 1);
        seen.extend(pair.pass(1));
        pair.sent();
    }
    let silence = Seen::Other(Event::Reconnect(ReconnectReason::Silence));
    assert!(seen.contains(&silence), "the ping went unanswered: {seen:?}");
}

#[test]
fn recorded_frames_are_no_sign_of_life() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let msg_id = MsgId::at(pair.server_time(), MsgOrigin::Notification);
    let frame = pair.frame(msg_id, 1, &update(1));
    let mut seen = Vec::new();
    for _ in 0..60 {
        pair.take(frame.clone()).unwrap();
        seen.extend(pair.pass(1));
        pair.sent();
    }
    let silence = Seen::Other(Event::Reconnect(ReconnectReason::Silence));
    assert!(seen.contains(&silence), "the ping went unanswered: {seen:?}");
}

#[test]
fn a_held_message_that_is_not_in_order_leaves_a_gap_for_those_behind_it() {
    let mut pair = synchronized();
    let mut zero_request = Vec::new();
    write_rpc_result_header(&mut zero_request, MsgId::from_raw(0));
    zero_request.extend_from_slice(&BOOL_TRUE);
    let time = pair.server_time().saturating_add(Duration::from_secs(45));
    let msg_id = pair.ids.next(time, MsgOrigin::Notification);
    let frame = pair.frame(msg_id, 1, &zero_request);
    assert_eq!(pair.take(frame).unwrap(), []);
    push(&mut pair, 45, 1);
    let ping = ping(&pair.sent()).unwrap();
    let pong = types::Pong { msg_id: ping.0.to_raw(), ping_id: ping.1 };
    let frame = pair.frame(MsgId::at(time, MsgOrigin::Response), 3, &enums::Pong::Pong(pong).to_bytes());
    assert!(pair.take(frame).is_err());
    let seen = own(pair.client.events());
    assert_eq!(seen.last(), Some(&Seen::Other(Event::UpdatesMayBeMissing)), "{seen:?}");
}

/// A client that holds an update under the key before, which has ten seconds left, and a call that is in flight there.
fn holding_under_the_key_before() -> (Pair, MsgId) {
    let config = ClientConfig::default().with_forward_secrecy(ForwardSecrecy::On);
    let mut pair = Pair::with(config, 0);
    super::keys::install(&mut pair, 1, 100);
    let binding = super::keys::binding(&pair.sent()).msg_id;
    pair.answer(binding, &BOOL_TRUE);
    pair.live(90);
    pair.call();
    let query = pair.queries().remove(0);
    let old_key = pair.key.clone();
    super::keys::install(&mut pair, 2, 86_400);
    pair.key = old_key;
    assert_eq!(push(&mut pair, 45, 1), []);
    (pair, query.msg_id)
}

#[test]
fn a_key_that_expires_before_the_time_is_known_leaves_a_gap() {
    let (mut pair, _) = holding_under_the_key_before();
    let seen: Vec<Seen> = (0..10).flat_map(|_| pair.pass(1)).collect();
    assert!(pair.client.is_connected());
    assert!(seen.contains(&Seen::Other(Event::UpdatesMayBeMissing)), "{seen:?}");
}

#[test]
fn a_complaint_that_ends_the_key_before_leaves_a_gap() {
    let (mut pair, query) = holding_under_the_key_before();
    let seen = pair.complain(query, 32);
    assert!(seen.contains(&Seen::Other(Event::UpdatesMayBeMissing)), "{seen:?}");
}
