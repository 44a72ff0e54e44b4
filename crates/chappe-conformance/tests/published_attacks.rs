//! The attacks on the symmetric channel that were published, tried on our machines by an attacker who controls the link.
//!
//! Albrecht, Mareková, Paterson, Stepanovs, "Four Attacks and a Proof for Telegram" (2022): reordering, and
//! recognising what is encrypted twice. The others have their tests where their rules are; `docs/security.md` names them.
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_alloc,
    reason = "a message that cannot be made or read fails the test"
)]

use core::time::Duration;
use std::collections::BTreeSet;

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{FrameBuf, MsgId, SessionId, TransportTail, UnixTime, open};
use chappe_session::client::{CallId, ClientConfig, ClientSession, Event, KeyMaterial, SendOptions};
use chappe_session::server::{Policy, SaltSchedule, ServerConfig, ServerEvent, ServerSession};
use chappe_session::{MonoTime, Now};

const START: u64 = 1_707_425_104;

fn key() -> AuthKey {
    AuthKey::from_bytes([0x5a; 256])
}

/// A client and a server; every frame goes through the hands of the attacker.
struct World {
    client: ClientSession,
    server: Option<ServerSession>,
    rng: Drbg,
    second: u64,
    /// Whatever was sealed: direction, `msg_id` of the outer message, `msg_key`.
    seen: Vec<(bool, MsgId, [u8; 16])>,
}

impl World {
    fn new() -> Self {
        let salts = SaltSchedule::new([1; 32]);
        let salt = salts.current(key().id(), UnixTime::from_secs(START));
        let material = KeyMaterial::from_handshake(key(), salt.to_raw(), 0, START as i64);
        let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
        let mut client = ClientSession::new(ClientConfig::default(), material, now);
        client.handle_connected(now, TransportTail::None);
        Self { client, server: None, rng: Drbg::from_seed([4; 32]), second: 0, seen: Vec::new() }
    }

    fn now(&self) -> Now {
        let mono = MonoTime::from_duration(Duration::from_secs(self.second));
        Now::new(mono, UnixTime::from_secs(START + self.second))
    }

    fn call(&mut self, number: u32) -> CallId {
        let body = [0xc4f9_186b, number].map(u32::to_le_bytes).concat();
        self.client.send_bytes(self.now(), &body, SendOptions::default()).unwrap()
    }

    /// What the client sends now.
    fn client_sends(&mut self) -> Vec<Vec<u8>> {
        let mut out = FrameBuf::new();
        let mut frames = Vec::new();
        while self.client.poll_transmit(self.now(), &mut self.rng, &mut out).is_some() {
            frames.push(out.as_slice().to_vec());
        }
        self.note(true, &frames);
        frames
    }

    /// What the server sends now.
    fn server_sends(&mut self) -> Vec<Vec<u8>> {
        let now = self.now();
        let mut out = FrameBuf::new();
        let mut frames = Vec::new();
        let server = self.server.as_mut().unwrap();
        while server.poll_transmit(now, &mut self.rng, &mut out).is_some() {
            frames.push(out.as_slice().to_vec());
        }
        self.note(false, &frames);
        frames
    }

    fn note(&mut self, is_client: bool, frames: &[Vec<u8>]) {
        let side = if is_client { Side::Client } else { Side::Server };
        for frame in frames {
            let msg_key = frame[8..24].try_into().unwrap();
            let mut frame = frame.clone();
            let opened = open(&key(), side, TransportTail::None, &mut frame).unwrap();
            self.seen.push((is_client, opened.msg_id(), msg_key));
        }
    }

    fn session_id(&self) -> SessionId {
        self.client.session_id().unwrap()
    }

    /// Hands frames to the server; returns the numbers of the calls that it shows.
    fn server_takes(&mut self, frames: &[Vec<u8>]) -> Vec<(MsgId, u32)> {
        let (now, session_id) = (self.now(), self.session_id());
        let config = ServerConfig::default().with(|config| config.policy = Policy::Strict);
        let make = || {
            let mut server = ServerSession::new(config, key(), session_id, SaltSchedule::new([1; 32]), 77);
            server.handle_connected(now, TransportTail::None);
            server
        };
        let server = self.server.get_or_insert_with(make);
        let mut shown = Vec::new();
        for frame in frames {
            let mut frame = frame.clone();
            shown.extend(server.handle_frame(now, &mut frame).unwrap().filter_map(|event| match event {
                ServerEvent::Query { msg_id, body, .. } => {
                    Some((msg_id, u32::from_le_bytes(body[4..8].try_into().unwrap())))
                }
                _ => None,
            }));
        }
        shown
    }

    /// Hands frames to the client; returns the calls that were answered.
    fn client_takes(&mut self, frames: &[Vec<u8>]) -> Vec<CallId> {
        let now = self.now();
        let mut answered = Vec::new();
        for frame in frames {
            let mut frame = frame.clone();
            answered.extend(self.client.handle_frame(now, &mut frame).unwrap().filter_map(
                |event| match event {
                    Event::Answer { call, .. } => Some(call),
                    _ => None,
                },
            ));
        }
        answered
    }

    fn reconnect(&mut self) {
        let now = self.now();
        self.client.handle_disconnected(now);
        if let Some(server) = &mut self.server {
            server.handle_disconnected(now);
            server.handle_connected(now, TransportTail::None);
        }
        self.client.handle_connected(now, TransportTail::None);
    }

    /// No two packets of one direction may be the same plaintext: each outer `msg_id` and each `msg_key` is used once.
    fn check(&self) {
        let ids: BTreeSet<_> = self.seen.iter().map(|(is_client, msg_id, _)| (*is_client, *msg_id)).collect();
        assert_eq!(ids.len(), self.seen.len(), "an outer msg_id was used twice");
        let msg_keys: BTreeSet<_> = self.seen.iter().map(|(.., msg_key)| *msg_key).collect();
        assert_eq!(msg_keys.len(), self.seen.len(), "two packets have the same msg_key");
    }
}

#[test]
fn calls_that_the_network_puts_in_another_order_run_once_each_and_tell_their_order() {
    let mut world = World::new();
    let mut frames = Vec::new();
    for number in 0..4 {
        world.call(number);
        frames.extend(world.client_sends());
    }
    frames.reverse();
    let mut shown = world.server_takes(&frames);
    assert_eq!(shown.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [3, 2, 1, 0]);
    assert_eq!(world.server_takes(&frames), [], "nothing runs twice");
    // The protocol promises a server no order, and gives it the means to see it.
    shown.sort();
    assert_eq!(shown.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn answers_that_the_network_puts_in_another_order_reach_the_calls_they_belong_to() {
    let mut world = World::new();
    let calls: Vec<CallId> = (0..4).map(|number| world.call(number)).collect();
    let frames = world.client_sends();
    let shown = world.server_takes(&frames);
    assert_eq!(shown.len(), 4);
    let mut answers = Vec::new();
    for (msg_id, number) in shown {
        let body = number.to_le_bytes();
        world.server.as_mut().unwrap().respond_bytes(msg_id, &body).unwrap();
        answers.extend(world.server_sends());
    }
    answers.reverse();
    let mut answered = world.client_takes(&answers);
    assert_eq!(world.client_takes(&answers), [], "nothing is answered twice");
    answered.sort();
    let mut calls = calls;
    calls.sort();
    assert_eq!(answered, calls);
}

#[test]
fn what_is_sent_again_is_never_the_same_plaintext() {
    let mut world = World::new();
    world.call(0);
    world.call(1);
    let lost = world.client_sends();
    assert!(!lost.is_empty());
    let kept = world.call(2);
    let frames = world.client_sends();
    // The server knows the session and one call of it; the others never came.
    let shown = world.server_takes(&frames);
    assert_eq!(shown.len(), 1);
    world.server.as_mut().unwrap().respond_bytes(shown[0].0, &[7; 4]).unwrap();
    let unacknowledged = world.server_sends();
    assert!(!unacknowledged.is_empty());
    // Connections are cut again and again; what was not acknowledged goes out once more on each.
    let mut answered = Vec::new();
    for round in 0..6 {
        world.second += 40;
        world.reconnect();
        for _ in 0..3 {
            let frames = world.client_sends();
            if round % 2 == 1 {
                for (msg_id, _) in world.server_takes(&frames) {
                    world.server.as_mut().unwrap().respond_bytes(msg_id, &[7; 4]).unwrap();
                }
            }
            let frames = world.server_sends();
            if round == 5 {
                answered.extend(world.client_takes(&frames));
            }
        }
    }
    world.check();
    assert!(world.client.counters().resent > 0, "something was sent again");
    assert!(answered.contains(&kept), "the answer that was lost has come");
}
