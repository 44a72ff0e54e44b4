//! Parts of files on links that are slow and do not let the client feel it, such as those behind a proxy that accepts every
//! byte at once.

use alloc::collections::VecDeque;

use crate::pair::*;

/// A part of a file, with the id of a method in front.
const PART: usize = 512 << 10;

/// A link that accepts everything and carries so many bytes a second, and the server behind it.
struct Link {
    rate: usize,
    queue: VecDeque<(Sent, usize)>,
    /// When the datacenter closes the connection.
    closes_at: Option<u64>,
    answered: usize,
    lost: Vec<ReconnectReason>,
}

impl Link {
    fn new(rate: usize) -> Self {
        Self { rate, queue: VecDeque::new(), closes_at: None, answered: 0, lost: Vec::new() }
    }

    /// A second passes: bytes arrive, and what has arrived whole is answered.
    fn pass(&mut self, pair: &mut Pair) {
        let seen = pair.pass(1);
        self.note(&seen);
        assert!(
            self.closes_at.is_none_or(|at| pair.second < at),
            "the datacenter closed it after {} s",
            pair.second
        );
        let mut budget = self.rate;
        while let Some((_, left)) = self.queue.front_mut() {
            let carried = budget.min(*left);
            (*left, budget) = (*left - carried, budget - carried);
            if *left > 0 {
                break;
            }
            let Some((sent, _)) = self.queue.pop_front() else { break };
            let seen = self.serve(pair, &sent);
            self.note(&seen);
        }
        for sent in pair.sent() {
            let bytes = sent.body.len();
            self.queue.push_back((sent, bytes));
        }
    }

    fn serve(&mut self, pair: &mut Pair, sent: &Sent) -> Vec<Seen> {
        if let Ok(ping) = functions::PingDelayDisconnect::from_bytes(&sent.body) {
            self.closes_at = Some(pair.second + u64::try_from(ping.disconnect_delay).unwrap());
            let pong = types::Pong { msg_id: sent.msg_id.to_raw(), ping_id: ping.ping_id };
            return pair.say(&enums::Pong::Pong(pong).to_bytes());
        }
        if sent.body.len() == PART {
            self.answered += 1;
            return pair.answer(sent.msg_id, &BOOL_TRUE);
        }
        Vec::new()
    }

    fn note(&mut self, seen: &[Seen]) {
        for seen in seen {
            if let Seen::Other(Event::Reconnect(reason)) = seen {
                self.lost.push(*reason);
            }
        }
    }
}

fn config(policy: LivenessPolicy) -> ClientConfig {
    ClientConfig::default().with_liveness(policy)
}

fn send_part(pair: &mut Pair) -> CallId {
    let mut part = vec![0x55; PART];
    part[..4].copy_from_slice(&0xb304_a621_u32.to_le_bytes());
    let mut options = SendOptions::default();
    (options.packing, options.repeat) = (Packing::Never, Repeat::Freely);
    pair.client.send_bytes(pair.now(), &part, options).unwrap()
}

fn send_parts(pair: &mut Pair, count: usize) {
    for _ in 0..count {
        send_part(pair);
    }
}

fn ping_in(sent: &Sent) -> Option<functions::PingDelayDisconnect> {
    functions::PingDelayDisconnect::from_bytes(&sent.body).ok()
}

#[test]
fn a_ping_goes_out_alone_and_in_front_of_a_part() {
    let mut pair = Pair::new();
    send_part(&mut pair);
    pair.client.request_ping();
    let sent = pair.sent();
    let ping = sent.iter().position(|sent| ping_in(sent).is_some()).expect("a ping");
    let part = sent.iter().position(|sent| sent.body.len() == PART).expect("the part");
    assert!(ping < part && sent[part].container.is_none(), "it travels with the part");
    let ping = ping_in(&sent[ping]).expect("a ping");
    // A part at 1 KiB/s takes longer than the policy's 75 s.
    assert!(ping.disconnect_delay >= 75 + 512, "{}", ping.disconnect_delay);
}

#[test]
fn a_second_part_waits_until_the_first_has_arrived() {
    let mut pair = Pair::new();
    let parts = [send_part(&mut pair), send_part(&mut pair)];
    let sent = pair.sent();
    assert_eq!(sent.iter().filter(|sent| sent.body.len() == PART).count(), 1);
    let ping = sent.iter().find_map(ping_in).expect("a ping behind the part makes the server answer");
    assert!(pair.sent().is_empty(), "one ping is enough");
    let msg_id = sent.last().expect("the ping").msg_id;
    pair.pass(1);
    let pong = types::Pong { msg_id: msg_id.to_raw(), ping_id: ping.ping_id };
    pair.say(&enums::Pong::Pong(pong).to_bytes());
    assert!(pair.sent().iter().any(|sent| sent.body.len() == PART));
    assert!(parts.iter().all(|part| pair.client.is_pending(*part)));
}

#[test]
fn parts_leave_over_one_connection_however_slow_the_link_behind_the_queue_is() {
    for policy in [LivenessPolicy::INTERACTIVE, LivenessPolicy::BOT, LivenessPolicy::BATTERY] {
        for rate in [10 << 10, 20 << 10, 100 << 10, 1 << 20] {
            let mut pair = Pair::with(config(policy.clone()), 0);
            let mut link = Link::new(rate);
            pair.client.request_ping();
            send_parts(&mut pair, 6);
            while link.answered < 6 {
                link.pass(&mut pair);
                assert_eq!(link.lost, [], "{rate} bytes a second, after {} s", pair.second);
                assert!(pair.second < 3600, "{rate} bytes a second: {} answers", link.answered);
            }
            let least = 6 * PART / rate;
            let most = least + least * 15 / 100 + 8;
            assert!(pair.second <= most as u64, "{rate} bytes a second: {} s", pair.second);
        }
    }
}

#[test]
fn no_more_lies_in_front_of_a_ping_than_patience_allows_once_the_rate_is_known() {
    for rate in [20 << 10, 200 << 10] {
        let mut pair = Pair::new();
        let mut link = Link::new(rate);
        send_parts(&mut pair, 12);
        let mut most = 0;
        while link.answered < 10 {
            link.pass(&mut pair);
            if link.answered > 1 {
                most = most.max(link.queue.iter().map(|(_, left)| *left).sum());
            }
        }
        // A part can not be divided.
        assert!(most <= PART.max(15 * rate) + 1024, "{most} bytes at {rate} a second");
    }
}

#[test]
fn a_link_that_dies_under_a_part_is_noticed_in_the_time_that_the_part_takes_and_the_patience() {
    let mut pair = Pair::new();
    let mut link = Link::new(100 << 10);
    send_parts(&mut pair, 4);
    while link.answered < 2 {
        link.pass(&mut pair);
    }
    let died_at = pair.second;
    link.rate = 0;
    while link.lost.is_empty() {
        link.pass(&mut pair);
        assert!(pair.second < died_at + 300, "it is not noticed");
    }
    assert_eq!(link.lost, [ReconnectReason::Silence]);
    // 15 s until the ping, 15 s for the pong, and the bytes under way.
    assert!(pair.second - died_at <= 30 + 15, "{} s", pair.second - died_at);
}

#[test]
fn a_link_that_dies_under_the_first_part_is_noticed_within_a_minute_and_the_patience() {
    let mut pair = Pair::new();
    let mut link = Link::new(0);
    send_parts(&mut pair, 1);
    while link.lost.is_empty() {
        link.pass(&mut pair);
        assert!(pair.second <= 15 + 60 + 15, "it is not noticed");
    }
}

#[test]
fn a_slower_link_than_was_assumed_is_learned_from_the_connections_that_it_cost() {
    for (rate, most) in [(5 << 10, 2), (2 << 10, 4)] {
        let mut pair = Pair::with(config(LivenessPolicy::INTERACTIVE), 0);
        let mut link = Link::new(rate);
        send_part(&mut pair);
        let mut connections = 1;
        while link.answered < 1 {
            link.pass(&mut pair);
            if link.lost.pop().is_some() {
                connections += 1;
                (link.queue, link.closes_at) = (VecDeque::new(), None);
                pair.client.handle_connected(pair.now(), TransportTail::None);
                pair.client.request_ping();
            }
            assert!(connections <= most, "it does not learn that {rate} bytes a second are carried");
        }
    }
}
