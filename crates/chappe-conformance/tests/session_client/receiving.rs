//! What a client takes, and what it refuses.

use super::pair::*;
use chappe_framing::PeerMisbehaved;
use chappe_types::Rule;

#[test]
fn a_packed_answer_is_shown_unpacked() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries()[0].msg_id;
    let object = vec![7; 5000];
    let packed = Deflater::new().pack(&object).unwrap().to_vec();
    assert_eq!(pair.answer(query, &packed), [Seen::Answer(call, object.clone())]);
    let update = Deflater::new().pack(&object).unwrap().to_vec();
    assert_eq!(pair.say(&update), [Seen::Update(object)]);
}

#[test]
fn sec_068_a_message_of_a_foreign_session_closes_the_connection() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    pair.session = SessionId::from_raw(pair.session.to_raw() ^ 1);
    let frame = pair.frame(MsgId::from_raw(5), 1, &GET_CONFIG);
    let error = pair.take(frame).unwrap_err();
    assert_eq!(
        error,
        ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::ForeignSession { got: pair.session }))
    );
}

#[test]
fn sec_070_a_message_with_a_clients_id_closes_the_connection() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let msg_id = MsgId::at(pair.server_time(), MsgOrigin::Client);
    let frame = pair.frame(msg_id, 1, &GET_CONFIG);
    assert_eq!(
        pair.take(frame),
        Err(ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::BadOrigin { msg_id })))
    );
}

#[test]
fn sec_075_a_message_in_the_clear_closes_the_connection() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let error = pair.take(vec![0; 80]).unwrap_err();
    assert_eq!(error, ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::PlainNotAllowed)));
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
    assert_eq!(pair.client.counters().refused.of(Rule::new(80)), 1);
    assert!(!pair.client.is_pending(call));
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
    assert_eq!(
        pair.take(frame),
        Err(ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::ZeroRequest)))
    );
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

/// Fills the memory of received ids, and returns an id below all of them.
fn fill_window(pair: &mut Pair) -> MsgId {
    let below = pair.ids.next(pair.server_time(), MsgOrigin::Response);
    let remembered = SessionLimits::default().received_ids;
    for _ in 0..=remembered {
        let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Notification);
        let frame = pair.frame(msg_id, 1, &[0x1111_2222_u32.to_le_bytes(), [0; 4]].concat());
        assert_eq!(pair.take(frame).unwrap().len(), 1);
        pair.sent();
    }
    below
}

#[test]
fn sec_077_an_update_that_may_have_been_seen_is_not_dropped_without_a_word() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let below = fill_window(&mut pair);
    let update = [0x1111_2222_u32.to_le_bytes(), [0; 4]].concat();
    let frame = pair.frame(below, 1, &update);
    assert_eq!(pair.take(frame).unwrap(), [Seen::Other(Event::UpdatesMayBeMissing)]);
    assert_eq!(pair.client.counters().refused.of(Rule::new(77)), 1);
    // What needs no acknowledgement carries no update.
    let frame = pair.frame(MsgId::from_raw(below.to_raw() - 4), 0, &update);
    assert_eq!(pair.take(frame).unwrap(), []);
}

#[test]
fn sec_077_the_answer_to_a_call_that_waits_has_not_been_seen_however_old_it_is() {
    let mut pair = Pair::new();
    let call = pair.call();
    let query = pair.queries()[0].msg_id;
    let below = fill_window(&mut pair);
    let mut body = Vec::new();
    write_rpc_result_header(&mut body, query);
    body.extend_from_slice(&BOOL_TRUE);
    let frame = pair.frame(below, 1, &body);
    assert_eq!(pair.take(frame.clone()).unwrap(), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    assert_eq!(pair.take(frame).unwrap(), [], "but once");
}
