//! What a session keeps when its client is done, and what it still knows after very many queries.

use chappe_framing::Deflater;
use chappe_session::server::{Policy, ServerSession};

use crate::pair::{GET_CONFIG, Pair, after, at, container, now};

/// A container of queries, the first one so many steps after a second.
fn queries(pair: &mut Pair, second: u64, first: i64, count: i64) -> usize {
    let messages: Vec<_> =
        (0..count).map(|step| (after(at(second), first + step), 1, &GET_CONFIG[..])).collect();
    pair.send(second, after(at(second), first + count), 2, &container(&messages)).len()
}

#[test]
fn queries_that_the_window_forgot_still_end_with_their_answers() {
    let mut pair = Pair::new(Policy::Lenient);
    for round in 0..3 {
        assert_eq!(queries(&mut pair, round, 0, 900), 900);
        (0..900).for_each(|step| {
            pair.server.respond_error(after(at(round), step), 400, "NO").unwrap();
        });
        assert_eq!(pair.server.running_queries(), 0, "round {round}");
        pair.answers(round);
    }
}

/// The bytes that a session keeps, itself included, after what happened to it.
fn kept(live: impl FnOnce(&mut Pair)) -> u64 {
    let mut kept: Option<Box<ServerSession>> = None;
    let info = allocation_counter::measure(|| {
        let mut pair = Pair::new(Policy::Lenient);
        live(&mut pair);
        kept = Some(Box::new(pair.server));
    });
    drop(kept);
    u64::try_from(info.bytes_current).expect("more was taken than given back")
}

/// Acknowledges everything, then lets a minute pass.
fn rest(pair: &mut Pair, second: u64) {
    let sent: Vec<_> = pair.answers(second).iter().map(|sent| sent.msg_id).collect();
    pair.acknowledge(second, &sent);
    pair.answers(second);
    assert_eq!(pair.server.unacked(), 0);
    for late in [second + 31, second + 62] {
        assert!(pair.server.poll_timeout().is_none_or(|at| at <= now(second + 60).mono));
        pair.server.handle_timeout(now(late));
    }
    assert_eq!(pair.server.poll_timeout(), None, "nothing is left to wait for");
}

#[test]
fn sec_175_what_a_packed_query_unpacks_to_is_freed_once_it_was_shown() {
    let packed = Deflater::new().pack(&vec![7; 8 << 20]).expect("it packs well").to_vec();
    let kept = kept(|pair| {
        assert_eq!(pair.send(0, at(0), 1, &packed).len(), 1);
        pair.answers(0);
    });
    println!("{kept} bytes are kept of 8 MiB");
    assert!(kept < 512 << 10, "{kept} bytes");
}

#[test]
fn a_quiet_session_keeps_nothing_of_large_frames_many_queries_and_packed_answers() {
    let quiet = kept(|pair| {
        assert_eq!(pair.send(0, at(0), 1, &GET_CONFIG).len(), 1);
        pair.server.respond_bytes(at(0), &GET_CONFIG).unwrap();
        rest(pair, 0);
    });
    let after_a_burst = kept(|pair| {
        let packed = Deflater::new().pack(&vec![7; 40_000]).expect("it packs well").to_vec();
        assert_eq!(pair.send(0, at(0), 1, &packed).len(), 1);
        pair.server.respond_bytes(at(0), &vec![7; 100_000]).unwrap();
        assert_eq!(queries(pair, 0, 1, 900), 900);
        (1..=900).for_each(|step| pair.server.respond_bytes(after(at(0), step), &GET_CONFIG).unwrap());
        rest(pair, 0);
    });
    let fresh = kept(|_| {});
    println!("fresh {fresh}, after one query {quiet}, after a burst {after_a_burst}");
    assert!(quiet <= fresh + 1536, "{fresh}, {quiet} bytes");
    // What the rules demand to be known of the last 416 messages takes 16 bytes each.
    assert!(after_a_burst <= quiet + 416 * 16, "{quiet}, {after_a_burst} bytes");
}
