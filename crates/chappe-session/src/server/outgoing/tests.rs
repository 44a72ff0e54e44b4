use super::*;
use crate::counted::steps_of;

/// The most that one operation on `n` messages may take: a few binary searches.
const FEW: usize = 64;

fn id(raw: i64) -> MsgId {
    MsgId::from_raw(raw)
}

fn at(seconds: u64) -> MonoTime {
    MonoTime::from_duration(core::time::Duration::from_secs(seconds))
}

fn send(queue: &mut OutgoingQueue, msg_id: i64, now: u64) {
    let content = queue.pop_unsent().expect("one waits");
    queue.keep(id(msg_id), SentMessage { seq_no: SeqNo::from_raw(1), sent_at: at(now), content });
}

/// A queue with the answers to queries `4..=4 * count`; those sent have ids that are higher by one.
fn queue(count: i64, sent: i64) -> OutgoingQueue {
    let mut queue = OutgoingQueue::default();
    (1..=count).for_each(|n| queue.push(Content::Answer { query: id(4 * n), object: vec![1; 8], tag: None }));
    (1..=sent).for_each(|n| send(&mut queue, 4 * n + 1, 0));
    queue
}

/// From the middle outwards, which neither end of a list is good at.
fn inside_out(count: i64) -> impl Iterator<Item = i64> {
    (0..count / 2).flat_map(move |n| [count / 2 - n, count / 2 + n + 1])
}

#[test]
fn whatever_a_client_acknowledges_repeats_or_drops_costs_a_binary_search() {
    const COUNT: i64 = 8192;
    let most = FEW * COUNT as usize;
    let acked = &mut queue(COUNT, COUNT);
    assert!(steps_of(|| inside_out(COUNT).for_each(|n| assert!(acked.ack(id(4 * n + 1)).is_some()))) < most);
    let dropped = &mut queue(COUNT, 0);
    let drop_all = || inside_out(COUNT).for_each(|n| assert!(dropped.drop_answer(id(4 * n)).is_some()));
    assert!(steps_of(drop_all) < most);
    let repeated = &mut queue(COUNT, COUNT);
    let repeat_all = || {
        inside_out(COUNT).for_each(|n| {
            let answer = repeated.sent_answer(id(4 * n)).expect("it was sent").0;
            repeated.repeat(answer);
        });
        repeated.repeat_since(at(0));
        while let Some((msg_id, _)) = repeated.first_repeat() {
            repeated.on_repeated(msg_id, at(40));
            repeated.waiting_since();
        }
    };
    assert!(steps_of(repeat_all) < 4 * most);
    for queue in [acked, dropped] {
        assert_eq!((queue.len(), queue.bytes(), queue.answers.len()), (0, 0, 0));
        assert!(
            queue.unacked.capacity() + queue.unsent.capacity() + queue.sent_order.capacity() <= 32,
            "memory is kept"
        );
    }
}

#[test]
fn the_message_that_waits_longest_is_known_whatever_was_sent_again_or_acknowledged() {
    let mut queue = OutgoingQueue::default();
    for n in 1..=4 {
        queue.push(Content::Update { object: vec![1; 8], tag: None });
        send(&mut queue, n, n.unsigned_abs());
    }
    assert_eq!(queue.waiting_since(), Some(at(1)));
    queue.repeat(id(1));
    assert_eq!(queue.waiting_since(), None, "something is to be sent again anyway");
    queue.on_repeated(id(1), at(9));
    assert_eq!(queue.waiting_since(), Some(at(2)));
    assert!(queue.ack(id(2)).is_some());
    assert_eq!(queue.waiting_since(), Some(at(3)));
    queue.repeat_since(at(3));
    assert_eq!((queue.repeats(), queue.first_repeat().expect("one is due").0), (1, id(3)));
    assert!(queue.ack(id(3)).is_some());
    assert_eq!((queue.repeats(), queue.waiting_since()), (0, Some(at(4))), "it need not be sent again");
    assert!(queue.ack(id(4)).is_some() && queue.ack(id(4)).is_none());
    assert_eq!(queue.waiting_since(), Some(at(9)));
    queue.repeat_all();
    assert_eq!(queue.first_repeat().expect("it is the last").0, id(1));
}

#[test]
fn stale_entries_do_not_gather_behind_a_message_that_is_never_acknowledged() {
    let mut queue = queue(1, 1);
    for n in 2..10_000 {
        queue.push(Content::Update { object: vec![1; 8], tag: None });
        send(&mut queue, 4 * n, 0);
        assert!(queue.ack(id(4 * n)).is_some());
    }
    assert!(queue.sent_order.len() < 32, "{}", queue.sent_order.len());
}
