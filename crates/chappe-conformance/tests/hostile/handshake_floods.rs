//! Strangers without number who begin handshakes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::KeyRing;
use chappe_framing::{FrameBuf, MsgIdGenerator, MsgOrigin, PlainMessage, write_plain_bytes};
use chappe_handshake::{ClientHandshake, ClientOptions, DcId, Progress, RateLimit};
use chappe_server::ServerConnection;
use chappe_server::driver::HandshakeWorker;
use chappe_session::server::Policy;
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions};
use rand_core::Rng as _;

use crate::server::{Counting, End, Said, World};
use crate::{key, private_key};

/// The n-th stranger, each from a network of its own.
fn stranger(number: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1).into()
}

const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// An honest client in the middle of an exchange.
struct Honest {
    client: ClientHandshake,
    connection: ServerConnection,
}

impl Honest {
    fn new(world: &mut World) -> Self {
        let mut keys = KeyRing::empty();
        keys.add(private_key().public_key().clone());
        let options = ClientOptions::new(keys, DcId::production(2));
        let client = ClientHandshake::begin(options, world.now(), &mut world.rng).unwrap();
        Self { client, connection: world.connect_from(HONEST) }
    }

    /// Sends the next query; returns what comes back at once.
    fn ask(&mut self, world: &mut World) -> Said {
        let mut out = FrameBuf::new();
        assert!(self.client.poll_transmit(world.now(), &mut out));
        world.show(&mut self.connection, out.as_slice().to_vec())
    }

    /// Takes an answer; returns whether it was the last.
    fn take(&mut self, world: &mut World, said: &Said) -> bool {
        assert_eq!((said.frames.len(), said.end), (1, None), "an honest client was sent away");
        let progress = self.client.handle_frame(world.now(), &said.frames[0], &mut world.rng).unwrap();
        matches!(progress, Progress::Done(_))
    }
}

/// A stranger's frame.
fn framed(world: &World, object: &[u8]) -> Vec<u8> {
    let mut out = FrameBuf::new();
    let msg_id = MsgIdGenerator::new().next(world.now().unix, MsgOrigin::Client);
    write_plain_bytes(&mut out, msg_id, object).unwrap();
    out.as_slice().to_vec()
}

/// Begins an exchange and solves its riddle; returns a second query whose encrypted data is noise.
fn noise(world: &mut World, connection: &mut ServerConnection, number: u16) -> Vec<u8> {
    let mut nonce = [7; 16];
    nonce[..2].copy_from_slice(&number.to_le_bytes());
    let frame = framed(world, &functions::ReqPqMulti { nonce }.to_bytes());
    let said = world.show(connection, frame);
    let answer = PlainMessage::new_checked(&said.frames[0], chappe_crypto::Side::Server).unwrap();
    let enums::ResPq::ResPq(answer) = enums::ResPq::from_bytes(answer.body()).unwrap();
    let (p, q) = chappe_crypto::factorize::from_bytes(&answer.pq).unwrap();
    let bytes = |factor: u64| factor.to_be_bytes()[4..].to_vec();
    let mut encrypted_data = vec![0; 256];
    Drbg::from_seed([number as u8; 32]).fill_bytes(&mut encrypted_data[1..]);
    let query = functions::ReqDhParams {
        nonce,
        server_nonce: answer.server_nonce,
        p: bytes(p),
        q: bytes(q),
        public_key_fingerprint: answer.server_public_key_fingerprints[0],
        encrypted_data,
    };
    framed(world, &query.to_bytes())
}

#[test]
fn a_flood_of_first_queries_leaves_nothing_and_ends_no_exchange_under_way() {
    let mut world = World::new();
    let mut honest = Honest::new(&mut world);
    let said = honest.ask(&mut world);
    assert!(!honest.take(&mut world, &said));
    let cost = allocation_counter::measure(|| {
        for number in 0..10_000_u16 {
            let nonce = core::array::from_fn(|at| number.to_le_bytes()[at % 2]);
            let frame = framed(&world, &functions::ReqPqMulti { nonce }.to_bytes());
            let mut connection = world.connect_from(stranger(number));
            assert_eq!(world.show(&mut connection, frame).frames.len(), 1);
        }
    });
    assert!(cost.bytes_current <= 4096, "{} bytes stay", cost.bytes_current);
    world.millis += 300;
    let said = honest.ask(&mut world);
    assert!(!honest.take(&mut world, &said));
    world.millis += 300;
    let said = honest.ask(&mut world);
    assert!(honest.take(&mut world, &said));
}

#[test]
fn a_second_query_is_taken_from_the_network_that_began_only() {
    let mut world = World::new();
    let mut connection = world.connect_from(stranger(1));
    let query = noise(&mut world, &mut connection, 1);
    let mut elsewhere = world.connect_from(stranger(2));
    assert_eq!(world.show(&mut elsewhere, query.clone()).end, Some(End::Error(-404)));
    let worker = HandshakeWorker::new(world.engine.clone());
    let mut neighbour = world.connect_from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9).into());
    assert_eq!(world.show(&mut neighbour, query).end, None, "a client may come from another address of it");
    assert!(worker.try_work(world.now(), &mut world.rng));
}

#[test]
fn calls_do_not_wait_for_the_handshakes_of_strangers() {
    let mut world = World::new();
    let worker = HandshakeWorker::new(world.engine.clone());
    let mut strangers = Vec::new();
    for number in 0..64 {
        let mut connection = world.connect_from(stranger(number));
        let query = noise(&mut world, &mut connection, number);
        let said = world.show(&mut connection, query);
        assert_eq!((said.frames.len(), said.end), (0, None), "nobody has worked yet");
        assert!(connection.is_busy() && connection.awaits_handshake());
        strangers.push(connection);
    }
    world.honest_call(&key(1), "while 64 handshakes wait");
    drop(strangers.split_off(60));
    let (mut rng, now) = (Drbg::from_seed([3; 32]), world.now());
    let worked = core::iter::from_fn(|| worker.try_work(now, &mut rng).then_some(())).count();
    assert_eq!(worked, 60, "nothing is done for connections that are gone");
    for connection in &mut strangers {
        assert_eq!(world.drain(connection).end, Some(End::Error(-404)));
        assert!(!connection.is_busy());
    }
}

#[test]
fn an_honest_handshake_waits_for_one_of_each_network_at_most() {
    let mut world = World::new();
    let worker = HandshakeWorker::new(world.engine.clone());
    let mut strangers = Vec::new();
    for number in 0..100 {
        // Many addresses in one network.
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number);
        let mut connection = world.connect_from(address.into());
        let query = noise(&mut world, &mut connection, number);
        world.show(&mut connection, query);
        strangers.push(connection);
    }
    let mut honest = Honest::new(&mut world);
    let said = honest.ask(&mut world);
    assert!(!honest.take(&mut world, &said), "the first answer needs no worker");
    for is_last in [false, true] {
        let said = honest.ask(&mut world);
        assert!(said.frames.is_empty());
        for _ in 0..2 {
            assert!(worker.try_work(world.now(), &mut world.rng));
        }
        let said = world.drain(&mut honest.connection);
        assert_eq!(honest.take(&mut world, &said), is_last);
    }
}

#[test]
fn handshakes_beyond_the_budget_are_refused_and_not_those_of_others() {
    let mut world = World::configured(Policy::Strict, Counting::default(), |options| {
        options.budgets.handshakes_queued = 8;
        options.budgets.handshakes_queued_per_network = 4;
    });
    let worker = HandshakeWorker::new(world.engine.clone());
    let mut ends = Vec::new();
    let mut strangers = Vec::new();
    for number in 0..12 {
        let mut connection = world.connect_from(stranger(number / 6));
        let query = noise(&mut world, &mut connection, number);
        ends.push(world.show(&mut connection, query).end);
        strangers.push(connection);
    }
    let refused = Some(End::Error(-429));
    let of_one = [None, None, None, None, refused, refused];
    assert_eq!(ends, [of_one, of_one].concat());
    let mut honest = Honest::new(&mut world);
    let said = honest.ask(&mut world);
    honest.take(&mut world, &said);
    assert_eq!(honest.ask(&mut world).end, None, "the queue is full of others");
    let displaced = strangers.iter_mut().map(|connection| world.drain(connection).end);
    assert_eq!(displaced.filter(|end| *end == refused).count(), 1);
    drop(worker);
    assert_eq!(world.drain(&mut honest.connection).end, refused, "nobody is left to do it");
    world.make_key(HONEST);
}

#[test]
fn addresses_of_one_network_share_one_limit() {
    let rate = RateLimit::default().with(|rate| rate.burst = 20);
    let mut world = World::configured(Policy::Strict, Counting::default(), |options| {
        options.handshake.rate = Some(rate);
    });
    let mut ends = Vec::new();
    for number in 0..100 {
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number);
        let mut connection = world.connect_from(address.into());
        let query = noise(&mut world, &mut connection, number);
        ends.push(world.show(&mut connection, query).end);
    }
    assert_eq!(ends.iter().filter(|end| **end == Some(End::Error(-404))).count(), 20);
    assert_eq!(ends.iter().filter(|end| **end == Some(End::Error(-429))).count(), 80);
    world.make_key(HONEST);
}
