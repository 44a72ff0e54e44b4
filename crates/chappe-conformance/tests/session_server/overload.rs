//! Both halves of a session when a client has more under way, and for longer, than is usual.

use alloc::collections::BTreeMap;

use chappe_crypto::Side;
use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, MsgId, TransportTail, open};
use chappe_session::client::{CallId, ClientConfig, ClientSession, Event, KeyMaterial, Repeat, SendOptions};
use chappe_session::server::{SaltSchedule, ServerConfig, ServerEvent, ServerSession};

use crate::pair::{GET_CONFIG, START, key, now};

/// `boolTrue`
const ANSWER: [u8; 4] = 0x9972_75b5_u32.to_le_bytes();

/// A client and its server, and what became of each call.
struct Both {
    client: ClientSession,
    options: SendOptions,
    server: Option<ServerSession>,
    rng: Drbg,
    /// Queries that run, and since when.
    running: Vec<(MsgId, u64)>,
    /// How often each call was executed, by its number.
    executed: BTreeMap<u32, u32>,
    numbers: BTreeMap<CallId, u32>,
    answered: usize,
    /// Numbers of calls that the server had no room for.
    refused: Vec<u32>,
}

impl Both {
    fn new() -> Self {
        let salt = SaltSchedule::new([1; 32]).current(key().id(), now(0).unix).to_raw();
        let material = KeyMaterial::from_handshake(key(), salt, 0, START as i64);
        let mut client = ClientSession::new(ClientConfig::default(), material, now(0));
        client.handle_connected(now(0), TransportTail::None);
        Self {
            client,
            options: SendOptions::default(),
            server: None,
            rng: Drbg::from_seed([3; 32]),
            running: Vec::new(),
            executed: BTreeMap::new(),
            numbers: BTreeMap::new(),
            answered: 0,
            refused: Vec::new(),
        }
    }

    fn call(&mut self, second: u64, number: u32) {
        let body = [GET_CONFIG, number.to_le_bytes()].concat();
        let call = self.client.send_bytes(now(second), &body, self.options.clone()).expect("there is room");
        self.numbers.insert(call, number);
    }

    /// Lets both sides speak at a second until they are done. The server answers what has run for so long.
    fn exchange(&mut self, second: u64, takes: u64) {
        let mut out = FrameBuf::new();
        self.client.handle_timeout(now(second));
        loop {
            let mut is_quiet = true;
            while self.client.poll_transmit(now(second), &mut self.rng, &mut out).is_some() {
                is_quiet = false;
                self.serve(second, out.as_mut_slice());
            }
            let Some(server) = self.server.as_mut() else { return };
            server.handle_timeout(now(second));
            for (query, _) in self.running.extract_if(.., |(_, since)| *since + takes <= second) {
                server.respond_bytes(query, &ANSWER).expect("there is room");
            }
            while server.poll_transmit(now(second), &mut self.rng, &mut out).is_some() {
                is_quiet = false;
                for event in
                    self.client.handle_frame(now(second), out.as_mut_slice()).expect("it is in order")
                {
                    match event {
                        Event::Answer { .. } => self.answered += 1,
                        Event::CallError { call, error } => {
                            assert_eq!((error.code, error.message), (420, "FLOOD_WAIT_1"));
                            self.refused.push(self.numbers[&call]);
                        }
                        Event::CallFailed { call, failure } => panic!("{call:?}: {failure}"),
                        Event::Reconnect(reason) => panic!("{reason:?}"),
                        _ => {}
                    }
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn serve(&mut self, second: u64, frame: &mut [u8]) {
        let opened = open(&key(), Side::Client, TransportTail::None, frame).expect("it is in order");
        let server = self.server.get_or_insert_with(|| {
            let salts = SaltSchedule::new([1; 32]);
            let mut server =
                ServerSession::new(ServerConfig::default(), key(), opened.session_id(), salts, 7);
            server.handle_connected(now(second), TransportTail::None);
            server
        });
        for event in server.handle_opened(now(second), &opened).expect("no frame is refused") {
            if let ServerEvent::Query { msg_id, body, .. } = event {
                let number = u32::from_le_bytes(body[4..8].try_into().expect("four bytes"));
                *self.executed.entry(number).or_default() += 1;
                self.running.push((msg_id, second));
            }
        }
    }
}

#[test]
fn of_1500_calls_under_way_the_excess_waits_and_every_one_runs_once() {
    let mut both = Both::new();
    (0..1500).for_each(|number| both.call(0, number));
    both.exchange(0, 1);
    assert_eq!(both.executed.len(), 1024, "the server runs 1024 at once");
    both.exchange(1, 1);
    assert_eq!((both.answered, both.executed.len()), (1024, 1499), "one was tried before the answers came");
    both.exchange(2, 1);
    both.exchange(3, 1);
    assert_eq!((both.answered, both.refused.len()), (1500, 0));
    assert!(both.executed.values().all(|times| *times == 1));
}

#[test]
fn once_the_limit_is_known_no_more_than_it_takes_are_sent() {
    let mut both = Both::new();
    (0..1100).for_each(|number| both.call(0, number));
    both.exchange(0, 2);
    // 1024 run. Without an answer, one more call is tried each time that the pause is over.
    (1100..1500).for_each(|number| both.call(0, number));
    both.exchange(0, 2);
    let messages = both.client.counters().messages_sent;
    both.exchange(1, 2);
    assert!(both.client.counters().messages_sent <= messages + 4, "acknowledgements and one call");
    (2..8).for_each(|second| both.exchange(second, 2));
    assert_eq!((both.answered, both.refused.len()), (1500, 0));
    assert!(both.executed.values().all(|times| *times == 1));
}

#[test]
fn a_call_that_may_never_be_repeated_ends_with_the_refusal() {
    let mut both = Both::new();
    (0..1024).for_each(|number| both.call(0, number));
    both.options.repeat = Repeat::Never;
    both.call(0, 2000);
    both.exchange(0, 1);
    assert_eq!(both.refused, [2000]);
}

#[test]
fn calls_that_take_35_seconds_beside_others_run_once() {
    let mut both = Both::new();
    (0..600).for_each(|number| both.call(0, number));
    let mut other = 10_000;
    for second in 0..=36 {
        // More ids than the server's window remembers pass while the calls run.
        (0..40).for_each(|_| {
            other += 1;
            both.call(second, other);
        });
        both.exchange(second, 35);
    }
    assert!(both.answered >= 600);
    assert!(both.refused.is_empty() || both.refused.iter().all(|number| *number > 10_000));
    let slow = both.executed.range(..600).map(|(_, times)| *times);
    assert!(slow.clone().count() == 600 && slow.into_iter().all(|times| times == 1));
}
