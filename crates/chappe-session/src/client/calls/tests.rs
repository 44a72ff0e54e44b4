//! Calls in their slots, queues and batches.

use core::time::Duration;

use chappe_framing::{MessageHeader, SeqNo};

use super::*;

fn sent_as(raw: i64) -> SentAs {
    let header = MessageHeader { msg_id: MsgId::from_raw(raw), seq_no: SeqNo::from_raw(1) };
    SentAs {
        header,
        generation: Generation::default(),
        receipt: Receipt::Unknown,
        wrapped: false,
        reused_id: false,
        watched: false,
    }
}

fn calls_with(count: usize) -> (Calls, Vec<CallId>) {
    let mut calls = Calls::default();
    let ids = (0..count)
        .map(|n| {
            let (call, body) = calls.open(n as u32);
            body.extend_from_slice(&(n as u32).to_le_bytes());
            calls.admit(call, &mut SendOptions::default(), MonoTime::ZERO);
            call
        })
        .collect();
    (calls, ids)
}

/// Takes what may go into a packet.
fn choose(calls: &mut Calls) -> Vec<CallId> {
    calls.choose(&Room { messages: 100, bytes: 1 << 20, around: 0 });
    calls.chosen.clone()
}

fn send_all(calls: &mut Calls) {
    for (id, call) in (1..).zip(choose(calls)) {
        calls.on_sent(call, sent_as(4 * id), MonoTime::from_nanos(10));
    }
}

#[test]
fn a_call_ends_once() {
    let (mut calls, ids) = calls_with(1);
    assert!(calls.end(ids[0]));
    assert!(!calls.end(ids[0]));
    assert_eq!((calls.pending(), calls.pending_bytes, calls.queued), (0, 0, 0));
    assert_eq!(choose(&mut calls), [], "what has ended is not sent");
    let (next, _) = calls.open(1);
    assert_ne!(next, ids[0], "its slot is reused under another id");
}

#[test]
fn calls_sent_again_go_first_and_keep_their_order() {
    let (mut calls, ids) = calls_with(3);
    send_all(&mut calls);
    let (late, body) = calls.open(3);
    body.push(0);
    calls.admit(late, &mut SendOptions::default(), MonoTime::ZERO);
    calls.requeue(&ids, &mut EventLog::new());
    calls.requeue(&ids, &mut EventLog::new());
    assert_eq!(choose(&mut calls), [&ids[..], &[late]].concat());
}

#[test]
fn only_calls_that_still_wait_are_asked_about() {
    let (mut calls, ids) = calls_with(3);
    send_all(&mut calls);
    calls.end(ids[0]);
    assert_eq!(calls.pop_unanswered(MonoTime::from_nanos(9)), None);
    assert_eq!(calls.pop_unanswered(MonoTime::from_nanos(10)).map(|found| found.0), Some(ids[1]));
    assert_eq!(calls.pop_unanswered(MonoTime::from_nanos(10)).map(|found| found.0), Some(ids[2]));
    assert_eq!(calls.deadline(), None);
}

#[test]
fn notes_about_ended_calls_do_not_pile_up() {
    let mut calls = Calls::default();
    for round in 0..10_000 {
        let (call, body) = calls.open(round as u32);
        body.push(1);
        let mut options = SendOptions { timeout: Some(Duration::from_secs(60)), ..SendOptions::default() };
        calls.admit(call, &mut options, MonoTime::ZERO);
        choose(&mut calls);
        calls.on_sent(call, sent_as(4 * round), MonoTime::from_nanos(100));
        calls.end(call);
        calls.deadline();
    }
    assert!(
        calls.deadlines.timeouts.as_ref().is_some_and(|timeouts| timeouts.len() <= 65)
            && calls.deadlines.unanswered.len() <= 65
            && calls.slots.len() == 1
    );
}

#[test]
fn a_server_that_speaks_of_one_call_without_end_makes_no_notes_pile_up() {
    let (mut calls, ids) = calls_with(1);
    send_all(&mut calls);
    for n in 0..100_000 {
        calls.watch(ids[0], MsgId::from_raw(4), MonoTime::from_nanos(20 + n / 10));
    }
    assert!(calls.deadlines.unanswered.len() <= 8, "{}", calls.deadlines.unanswered.len());
    assert_eq!(calls.deadline(), Some(MonoTime::from_nanos(10)), "the first counts");
    assert_eq!(calls.pop_unanswered(MonoTime::from_nanos(10)).map(|found| found.0), Some(ids[0]));
    calls.watch(ids[0], MsgId::from_raw(4), MonoTime::from_nanos(30));
    assert_eq!(calls.deadline(), Some(MonoTime::from_nanos(30)), "and another when that is past");
}

#[test]
fn memory_of_ended_calls_is_kept_up_to_a_bound() {
    let mut calls = Calls::default();
    let mut ids: Vec<_> = (0..200).map(|n| accept(&mut calls, n, KEPT_BODY)).collect();
    ids.push(accept(&mut calls, 200, 2 * KEPT_BODY));
    for call in ids {
        assert!(calls.end(call));
    }
    let kept: Vec<usize> = calls.slots.iter().map(|slot| slot.body.capacity()).collect();
    assert_eq!(kept.iter().sum::<usize>(), KEPT_BODIES);
    assert_eq!(calls.kept_bytes as usize, KEPT_BODIES);
    assert!(kept.iter().all(|bytes| *bytes <= KEPT_BODY));
}

fn accept(calls: &mut Calls, n: u32, len: usize) -> CallId {
    let (call, body) = calls.open(n);
    body.reserve_exact(len);
    body.resize(len, 0);
    calls.admit(call, &mut SendOptions::default(), MonoTime::ZERO);
    call
}

/// Refuses a call in flight at a second.
fn refuse(calls: &mut Calls, call: CallId, second: u64) -> bool {
    let msg_id = calls.get(call).and_then(Slot::msg_id).expect("it was sent");
    calls.hold_back(call, msg_id, at(second))
}

fn at(second: u64) -> MonoTime {
    MonoTime::from_duration(Duration::from_secs(second))
}

#[test]
fn refused_calls_wait_a_second_and_then_for_room() {
    let (mut calls, ids) = calls_with(5);
    send_all(&mut calls);
    assert!(refuse(&mut calls, ids[3], 1) && refuse(&mut calls, ids[4], 1));
    assert_eq!((calls.waiting(), calls.queued(), calls.free_places()), (3, 2, 0));
    calls.end_answered(ids[0]);
    assert_eq!((choose(&mut calls), calls.free_places()), (vec![], 1), "a second is not over");
    assert_eq!(calls.release_due(), Some(at(2)));
    calls.release_held(at(2));
    assert_eq!(calls.free_places(), 1);
    assert_eq!(choose(&mut calls), [ids[3], ids[4]], "in their order");
}

#[test]
fn the_limit_grows_by_one_when_as_many_calls_were_answered() {
    let (mut calls, ids) = calls_with(8);
    send_all(&mut calls);
    assert!((4..8).all(|place| refuse(&mut calls, ids[place], 1)));
    let mut limits = Vec::new();
    for id in &ids[..4] {
        calls.end_answered(*id);
        limits.push(calls.free_places() + calls.waiting());
    }
    assert_eq!(limits, [4, 4, 4, 5]);
}

#[test]
fn without_answers_one_more_call_is_tried_after_pauses_that_double() {
    let (mut calls, ids) = calls_with(3);
    send_all(&mut calls);
    let (mut tries, mut sent) = (Vec::new(), 100);
    assert!(refuse(&mut calls, ids[2], 0));
    for second in 1..400 {
        calls.release_held(at(second));
        if calls.free_places() > 0 {
            assert_eq!(choose(&mut calls), [ids[2]]);
            sent += 1;
            calls.on_sent(ids[2], sent_as(4 * sent), at(second + 10));
            assert!(refuse(&mut calls, ids[2], second));
            tries.push(second);
        }
        assert!(calls.release_due().is_some_and(|due| due > at(second)), "no timer is in the past");
    }
    assert_eq!(tries, [1, 3, 7, 15, 31, 63, 127, 191, 255, 319, 383]);
}

#[test]
fn a_refusal_is_the_callers_if_nothing_else_is_in_flight() {
    let (mut calls, ids) = calls_with(1);
    send_all(&mut calls);
    assert!(!refuse(&mut calls, ids[0], 1));
    assert_eq!((calls.waiting(), calls.free_places()), (1, u32::MAX as usize));
}

#[test]
fn a_refusal_of_an_earlier_copy_changes_nothing() {
    let (mut calls, ids) = calls_with(2);
    send_all(&mut calls);
    assert!(calls.hold_back(ids[0], MsgId::from_raw(400), at(1)));
    assert_eq!((calls.waiting(), calls.queued()), (2, 0));
    // A call that waits to go under the refused id goes under a new one: the server has answered that id.
    calls.requeue_as(ids[1], QueuedAs::SameId, &mut EventLog::new());
    assert!(refuse(&mut calls, ids[1], 1));
    assert_eq!(
        calls.get(ids[1]).map(|slot| slot.stage),
        Some(Stage::Queued(QueuedAs::NewId(sent_as_watched(8))))
    );
    assert_eq!(choose(&mut calls), [ids[1]]);
}

fn sent_as_watched(raw: i64) -> SentAs {
    SentAs { watched: true, ..sent_as(raw) }
}

#[test]
fn held_calls_that_ended_do_not_pile_up() {
    let (mut calls, ids) = calls_with(2);
    send_all(&mut calls);
    for round in 2..1000 {
        let (call, body) = calls.open(round);
        body.push(1);
        calls.admit(call, &mut SendOptions::default(), MonoTime::ZERO);
        calls.on_sent(call, sent_as(4 * i64::from(round)), at(10));
        assert!(refuse(&mut calls, call, 1));
        calls.end(call);
        calls.deadline();
    }
    assert_eq!((calls.waiting(), calls.pending()), (ids.len(), ids.len()));
    assert!(calls.overload.as_ref().is_some_and(|overload| overload.held_len() <= 70));
}
