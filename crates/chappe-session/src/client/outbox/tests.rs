//! Calls in their slots, queues and batches.

use core::time::Duration;

use chappe_framing::SeqNo;

use super::*;

fn departure(raw: i64) -> Departure {
    let header = MessageHeader { msg_id: MsgId::from_raw(raw), seq_no: SeqNo::from_raw(1) };
    Departure { header, kept_id: false, wrapped: false, era: 0 }
}

fn outbox_with(count: usize) -> (Outbox, Vec<CallId>) {
    let mut outbox = Outbox::NEW;
    let calls = (0..count)
        .map(|n| {
            let (call, body) = outbox.open(n as u32);
            body.extend_from_slice(&(n as u32).to_le_bytes());
            outbox.admit(call, &mut SendOptions::default(), MonoTime::ZERO);
            call
        })
        .collect();
    (outbox, calls)
}

/// Takes what may go into a packet.
fn gather(outbox: &mut Outbox) -> Vec<CallId> {
    outbox.gather(&Room { messages: 100, bytes: 1 << 20, around: 0, binding_only: false });
    outbox.batch.clone()
}

fn send_all(outbox: &mut Outbox) {
    for (id, call) in (1..).zip(gather(outbox)) {
        outbox.on_sent(call, departure(4 * id), MonoTime::from_nanos(10));
    }
}

#[test]
fn a_call_ends_once() {
    let (mut outbox, calls) = outbox_with(1);
    assert!(outbox.end(calls[0]));
    assert!(!outbox.end(calls[0]));
    assert_eq!((outbox.pending(), outbox.pending_bytes(), outbox.queued()), (0, 0, 0));
    assert_eq!(gather(&mut outbox), [], "what has ended is not sent");
    let (next, _) = outbox.open(1);
    assert_ne!(next, calls[0], "its slot is reused under another id");
}

#[test]
fn calls_sent_again_go_first_and_keep_their_order() {
    let (mut outbox, calls) = outbox_with(3);
    send_all(&mut outbox);
    let (late, body) = outbox.open(3);
    body.push(0);
    outbox.admit(late, &mut SendOptions::default(), MonoTime::ZERO);
    outbox.requeue(calls.iter().copied());
    outbox.requeue(calls.iter().copied());
    assert_eq!(gather(&mut outbox), [&calls[..], &[late]].concat());
}

#[test]
fn only_calls_that_still_wait_are_asked_about() {
    let (mut outbox, calls) = outbox_with(3);
    send_all(&mut outbox);
    outbox.end(calls[0]);
    assert_eq!(outbox.pop_unwatched(MonoTime::from_nanos(9)), None);
    assert_eq!(outbox.pop_unwatched(MonoTime::from_nanos(10)).map(|found| found.0), Some(calls[1]));
    assert_eq!(outbox.pop_unwatched(MonoTime::from_nanos(10)).map(|found| found.0), Some(calls[2]));
    assert_eq!(outbox.deadline(), None);
}

#[test]
fn notes_about_ended_calls_do_not_pile_up() {
    let mut outbox = Outbox::NEW;
    for round in 0..10_000 {
        let (call, body) = outbox.open(round as u32);
        body.push(1);
        let mut options = SendOptions { timeout: Some(Duration::from_secs(60)), ..SendOptions::default() };
        outbox.admit(call, &mut options, MonoTime::ZERO);
        gather(&mut outbox);
        outbox.on_sent(call, departure(4 * round), MonoTime::from_nanos(100));
        outbox.end(call);
        outbox.deadline();
    }
    assert!(
        outbox.deadlines.timeouts.len() <= 65
            && outbox.deadlines.unacked.len() <= 65
            && outbox.slots.len() == 1
    );
}

#[test]
fn a_server_that_speaks_of_one_call_without_end_makes_no_notes_pile_up() {
    let (mut outbox, calls) = outbox_with(1);
    send_all(&mut outbox);
    for n in 0..100_000 {
        outbox.watch(calls[0], MsgId::from_raw(4), MonoTime::from_nanos(20 + n / 10));
    }
    assert!(outbox.deadlines.unacked.len() <= 8, "{}", outbox.deadlines.unacked.len());
    assert_eq!(outbox.deadline(), Some(MonoTime::from_nanos(10)), "the first counts");
    assert_eq!(outbox.pop_unwatched(MonoTime::from_nanos(10)).map(|found| found.0), Some(calls[0]));
    outbox.watch(calls[0], MsgId::from_raw(4), MonoTime::from_nanos(30));
    assert_eq!(outbox.deadline(), Some(MonoTime::from_nanos(30)), "and another when that is past");
}

#[test]
fn memory_of_ended_calls_is_kept_up_to_a_bound() {
    let mut outbox = Outbox::NEW;
    let mut calls: Vec<_> = (0..200).map(|n| accept(&mut outbox, n, KEPT_BODY)).collect();
    calls.push(accept(&mut outbox, 200, 2 * KEPT_BODY));
    for call in calls {
        assert!(outbox.end(call));
    }
    let kept: Vec<usize> = outbox.slots.iter().map(|slot| slot.body.capacity()).collect();
    assert_eq!(kept.iter().sum::<usize>(), KEPT_BODIES);
    assert_eq!(outbox.kept_bytes, KEPT_BODIES);
    assert!(kept.iter().all(|bytes| *bytes <= KEPT_BODY));
}

fn accept(outbox: &mut Outbox, n: u32, len: usize) -> CallId {
    let (call, body) = outbox.open(n);
    body.reserve_exact(len);
    body.resize(len, 0);
    outbox.admit(call, &mut SendOptions::default(), MonoTime::ZERO);
    call
}
