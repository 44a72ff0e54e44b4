//! Calls of sessions that were left: a renewed key, a refused one, a session that broke.

use super::keys::{binding, install, not_found, pair_under_temporary_key};
use super::pair::*;

/// The client, and what the server knows of the session under the first temporary key.
struct Renewal {
    pair: Pair,
    call: CallId,
    query: MsgId,
    before: (AuthKey, SessionId),
}

impl Renewal {
    /// A call is in flight under the first key when the second is installed.
    fn begin(repeat: Repeat) -> (Self, Sent) {
        let (mut pair, first) = pair_under_temporary_key(1);
        let query = pair.queries()[0].msg_id;
        assert_eq!(pair.answer(query, &BOOL_TRUE), [Seen::Answer(first, BOOL_TRUE.to_vec())]);
        let call = pair.call_with(SendOptions::default().with_repeat(repeat));
        let query = pair.queries().remove(0).msg_id;
        let before = (pair.key.clone(), pair.session);
        install(&mut pair, 2, 86_400);
        let bind = binding(&pair.sent()).clone();
        (Self { pair, call, query, before }, bind)
    }

    /// The same, and the second key is bound.
    fn complete(repeat: Repeat) -> (Self, Sent) {
        let (mut renewal, bind) = Self::begin(repeat);
        let bound = renewal.pair.answer(bind.msg_id, &BOOL_TRUE);
        assert_eq!(bound, [Seen::Other(Event::TemporaryKeyBound)]);
        (renewal, bind)
    }

    /// The server speaks under the key before.
    fn under_the_key_before<T>(&mut self, speak: impl FnOnce(&mut Pair) -> T) -> T {
        let next = (self.pair.key.clone(), self.pair.session);
        (self.pair.key, self.pair.session) = self.before.clone();
        let seen = speak(&mut self.pair);
        (self.pair.key, self.pair.session) = next;
        seen
    }

    /// The call is answered in the session that it was sent in.
    fn answer(&mut self) -> Vec<Seen> {
        let query = self.query;
        self.under_the_key_before(|pair| pair.answer(query, &BOOL_TRUE))
    }
}

fn answered(call: CallId) -> [Seen; 1] {
    [Seen::Answer(call, BOOL_TRUE.to_vec())]
}

#[test]
fn a_call_under_the_key_before_does_not_run_twice_because_a_session_begins_under_the_next() {
    for repeat in [Repeat::AfterAsking, Repeat::Freely, Repeat::Never] {
        let (mut renewal, bind) = Renewal::complete(repeat);
        let seen = renewal.pair.say(&new_session(bind.container.unwrap_or(bind.msg_id), 5, 77));
        assert_eq!(seen, [Seen::Other(Event::UpdatesMayBeMissing)], "{repeat:?}");
        assert_eq!(renewal.pair.queries(), [], "{repeat:?}");
        assert_eq!(renewal.answer(), answered(renewal.call), "{repeat:?}");
    }
}

#[test]
fn a_session_that_begins_anew_under_the_key_before_concerns_neither_the_next_session_nor_its_binding() {
    let (mut renewal, bind) = Renewal::begin(Repeat::Freely);
    let later = MsgId::from_raw(bind.container.unwrap_or(bind.msg_id).to_raw() + 400);
    renewal.under_the_key_before(|pair| pair.say(&new_session(later, 5, 77)));
    assert_eq!(renewal.pair.sent(), [], "neither is the binding sent again nor a call before it is there");
    let bound = renewal.pair.answer(bind.msg_id, &BOOL_TRUE);
    assert_eq!(bound, [Seen::Other(Event::TemporaryKeyBound)]);
    assert_eq!(renewal.pair.queries().len(), 1, "the server lost it with the former session");
}

#[test]
fn a_key_whose_binding_is_refused_leaves_the_key_before_in_use() {
    let (mut renewal, bind) = Renewal::begin(Repeat::Never);
    let seen = renewal.pair.refuse(bind.msg_id, 400, "TEMP_AUTH_KEY_EMPTY");
    assert_eq!(seen, []);
    (renewal.pair.key, renewal.pair.session) = renewal.before.clone();
    assert!(renewal.pair.client.is_usable(), "calls go on under the key before");
    let next = renewal.pair.call();
    let query = renewal.pair.queries().remove(0);
    assert_eq!(renewal.pair.session, renewal.before.1, "and in the same session");
    assert_eq!(renewal.answer(), answered(renewal.call));
    assert_eq!(renewal.pair.answer(query.msg_id, &BOOL_TRUE), answered(next));
}

#[test]
fn keys_that_cannot_be_bound_do_not_follow_each_other_quickly_while_the_key_before_works() {
    let (mut pair, call) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    assert_eq!(pair.answer(query, &BOOL_TRUE), answered(call));
    let before = (pair.key.clone(), pair.session);
    pair.second = 86_400 - 3600;
    let mut keys = 0;
    while pair.second < 86_400 - 3000 {
        let (seen, _) = pair.live_and_see(1);
        if seen.contains(&Seen::Other(Event::NeedTemporaryKey)) {
            keys += 1;
            install(&mut pair, keys + 1, 86_400);
            let bind = binding(&pair.sent()).msg_id;
            pair.refuse(bind, 400, "TEMP_AUTH_KEY_EMPTY");
            (pair.key, pair.session) = before.clone();
        }
    }
    assert!((5..=11).contains(&keys), "{keys} keys in ten minutes");
}

#[test]
fn sec_107_a_call_in_a_session_that_broke_is_not_executed_again_by_guessing() {
    for (repeat, is_repeated) in
        [(Repeat::Freely, true), (Repeat::AfterAsking, false), (Repeat::Never, false)]
    {
        let mut pair = Pair::new();
        let beside = pair.call_with(SendOptions::default().with_repeat(repeat));
        assert_eq!(pair.queries().len(), 1);
        let hit = pair.call();
        let query = pair.queries().remove(0);
        let seen = pair.complain(query.msg_id, 32);
        assert_eq!(seen.contains(&failed(beside, CallFailure::Uncertain)), !is_repeated, "{repeat:?}");
        assert_eq!(pair.queries().len(), 1 + usize::from(is_repeated), "{repeat:?}");
        assert!(pair.client.is_pending(hit), "what was refused is sent again");
    }
}

#[test]
fn sec_107_a_call_under_a_key_that_is_gone_is_not_executed_again_by_guessing() {
    for (repeat, is_repeated) in
        [(Repeat::Freely, true), (Repeat::AfterAsking, false), (Repeat::Never, false)]
    {
        let (mut pair, first) = pair_under_temporary_key(1);
        let query = pair.queries()[0].msg_id;
        assert_eq!(pair.answer(query, &BOOL_TRUE), answered(first));
        let call = pair.call_with(SendOptions::default().with_repeat(repeat));
        assert_eq!(pair.queries().len(), 1);
        // The server has the key for a while, and says something else than that it has the call.
        assert!(pair.live(16).iter().all(|sent| sent.body != GET_CONFIG));
        not_found(&mut pair);
        let seen = not_found(&mut pair);
        assert_eq!(seen.contains(&failed(call, CallFailure::Uncertain)), !is_repeated, "{repeat:?}");
        install(&mut pair, 2, 86_400);
        let bind = binding(&pair.sent()).msg_id;
        pair.answer(bind, &BOOL_TRUE);
        assert_eq!(pair.queries().len(), usize::from(is_repeated), "{repeat:?}");
    }
}

#[test]
fn sec_107_a_call_that_was_answered_by_nothing_but_404_was_not_received() {
    for (repeat, is_repeated) in [(Repeat::Freely, true), (Repeat::AfterAsking, true), (Repeat::Never, false)]
    {
        let (mut pair, first) = pair_under_temporary_key(1);
        let query = pair.queries()[0].msg_id;
        assert_eq!(pair.answer(query, &BOOL_TRUE), answered(first));
        pair.second += 1;
        let call = pair.call_with(SendOptions::default().with_repeat(repeat));
        assert_eq!(pair.queries().len(), 1);
        not_found(&mut pair);
        let at_once = pair.queries().len();
        assert_eq!(
            at_once,
            usize::from(repeat == Repeat::Freely),
            "the key is only doubted, and the state asked for"
        );
        let seen = not_found(&mut pair);
        assert_eq!(seen.contains(&failed(call, CallFailure::Uncertain)), !is_repeated, "{repeat:?}");
        install(&mut pair, 2, 86_400);
        let bind = binding(&pair.sent()).msg_id;
        pair.answer(bind, &BOOL_TRUE);
        assert_eq!(pair.queries().len(), usize::from(is_repeated), "{repeat:?}");
    }
}

#[test]
fn sec_107_a_call_counts_as_sent_before_what_the_server_said_after_it_by_an_earlier_clock() {
    let (mut pair, first) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    assert_eq!(pair.answer(query, &BOOL_TRUE), answered(first));
    pair.second += 1;
    let call = pair.call();
    assert_eq!(pair.queries().len(), 1);
    // The server's clock is set back by minutes, as its answer to a later call tells.
    let later = pair.call();
    let query = pair.queries().remove(0);
    let mut body = Vec::new();
    write_rpc_result_header(&mut body, query.msg_id);
    body.extend_from_slice(&BOOL_TRUE);
    let time = UnixTime::from_secs(START + pair.second - 200);
    let frame = pair.frame(MsgId::at(time, MsgOrigin::Response), 3, &body);
    let seen = pair.take(frame).unwrap();
    assert!(seen.contains(&Seen::Answer(later, BOOL_TRUE.to_vec())), "{seen:?}");
    assert!(seen.contains(&Seen::Other(Event::TimeCorrected { offset_seconds: -200 })), "{seen:?}");
    not_found(&mut pair);
    assert_eq!(pair.queries(), []);
    let seen = not_found(&mut pair);
    assert!(seen.contains(&failed(call, CallFailure::Uncertain)), "{seen:?}");
}

#[test]
fn calls_with_ids_far_ahead_of_the_server_were_refused_and_go_again() {
    let mut pair = Pair::with(ClientConfig::default(), 200_000);
    let calls: Vec<CallId> =
        (0..3).map(|_| pair.call_with(SendOptions::default().with_repeat(Repeat::Never))).collect();
    let first = pair.queries().remove(0);
    let beside = pair.call();
    assert_eq!(pair.queries().len(), 1, "in a frame of its own");
    let seen = pair.complain(first.container.unwrap_or(first.msg_id), 17);
    assert_eq!(seen, [Seen::Other(Event::TimeCorrected { offset_seconds: -200_000 })]);
    assert_eq!(pair.queries().len(), 4);
    assert!(calls.into_iter().chain([beside]).all(|call| pair.client.is_pending(call)));
}

#[test]
fn after_a_binding_a_call_of_the_session_before_waits_for_a_while_and_then_ends() {
    for (repeat, is_repeated) in
        [(Repeat::Freely, true), (Repeat::AfterAsking, false), (Repeat::Never, false)]
    {
        let (mut renewal, _) = Renewal::complete(repeat);
        let call = renewal.call;
        assert_eq!(renewal.pair.live(9), [], "{repeat:?}: the answer may be on its way");
        assert!(renewal.pair.client.is_pending(call));
        let (seen, sent) = renewal.pair.live_and_see(30);
        assert_eq!(seen.contains(&failed(call, CallFailure::Uncertain)), !is_repeated, "{repeat:?}");
        let again = sent.iter().filter(|sent| sent.body == GET_CONFIG).count();
        assert_eq!(again, usize::from(is_repeated), "{repeat:?}");
    }
}

#[test]
fn after_a_binding_a_call_that_the_server_has_is_waited_for_while_the_key_before_lives() {
    let (mut renewal, _) = Renewal::complete(Repeat::AfterAsking);
    let msg_ids = vec![renewal.query.to_raw()];
    let ack = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids }).to_bytes();
    renewal.under_the_key_before(|pair| pair.say(&ack));
    assert!(renewal.pair.live(600).iter().all(|sent| sent.body != GET_CONFIG));
    assert_eq!(renewal.answer(), answered(renewal.call));
}

#[test]
fn a_ping_under_a_key_that_ended_does_not_end_the_connection() {
    let (mut pair, call) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    assert_eq!(pair.answer(query, &BOOL_TRUE), answered(call));
    pair.second = 86_400 - 1;
    pair.pass(0);
    let is_ping = |sent: &Sent| functions::PingDelayDisconnect::from_bytes(&sent.body).is_ok();
    assert!(pair.sent().iter().any(is_ping));
    let silence = Seen::Other(Event::Reconnect(ReconnectReason::Silence));
    for _ in 0..20 {
        assert!(!pair.pass(1).contains(&silence), "nobody can answer it");
    }
    install(&mut pair, 2, 86_400);
    let sent = pair.sent();
    assert!(sent.iter().any(is_ping), "the connection is tried under the next key");
}

#[test]
fn a_part_goes_again_at_once_when_its_id_was_ahead_of_the_server() {
    let mut pair = Pair::with(ClientConfig::default(), 200_000);
    let part = vec![0x21; 512 << 10];
    let send = |pair: &mut Pair| {
        let now = pair.now();
        pair.client.send_bytes(now, &part, SendOptions::default().with_packing(Packing::Never)).unwrap()
    };
    let is_part = |sent: &&Sent| sent.body.len() >= part.len();
    send(&mut pair);
    let first = pair.sent();
    let first = first.iter().find(is_part).unwrap();
    pair.complain(first.container.unwrap_or(first.msg_id), 17);
    let again = pair.sent();
    let again = again.iter().find(is_part).expect("nothing is on its way in front of it");
    pair.answer(again.msg_id, &BOOL_TRUE);
    send(&mut pair);
    assert_eq!(pair.sent().iter().filter(is_part).count(), 1, "lower ids arrive as well");
}
