//! Clients that take their time, or send much before they have proved anything: connections without sockets, by a clock of
//! the test.

use alloc::sync::Arc;
use core::net::SocketAddr;

use chappe_carrier::{LinkError, Wait};
use chappe_crypto::rng::Drbg;
use chappe_server::driver::{ConnectionLimit, Conversation, Scratch, WriteAction};
use chappe_server::{ListenOptions, ServerCounters};
use chappe_transport::{AcceptConfig, ConnectStep, Connector, DcId, ProxySecret};

use crate::QUERY;
use crate::pen::ANSWER;
use crate::server::{Hostile, World};

/// A server and its listener.
struct Listener {
    world: World,
    limit: Arc<ConnectionLimit>,
}

/// One connection of it.
struct Socket {
    conversation: Conversation,
    scratch: Scratch,
}

impl Listener {
    fn new(options: ListenOptions) -> Self {
        let limit = Arc::new(ConnectionLimit::new(options, Drbg::from_seed([1; 32])));
        Self { world: World::new(), limit }
    }

    fn accept(&self) -> Result<Socket, LinkError> {
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        let permit = self.limit.admit(peer.ip())?;
        let engine = Arc::clone(&self.world.engine);
        let conversation = Conversation::new(engine, permit, peer, Arc::new(|| ()), self.world.now());
        Ok(Socket { conversation, scratch: Scratch::new(Drbg::from_seed([2; 32])) })
    }

    fn counters(&self) -> ServerCounters {
        self.limit.counters()
    }

    /// Lets time pass until a connection ends. Returns how long it took, in seconds, and what was waited for.
    fn end_of(&mut self, socket: &mut Socket) -> (u64, Option<Wait>) {
        for seconds in 1..2_000 {
            self.world.millis += 1000;
            if let Err(error) = socket.conversation.handle_timeout(self.world.now()) {
                return match error {
                    LinkError::TimedOut { waiting_for, .. } => (seconds, Some(waiting_for)),
                    _ => (seconds, None),
                };
            }
        }
        panic!("the connection stays");
    }
}

impl Socket {
    fn send(&mut self, world: &World, mut bytes: &[u8]) -> Result<(), LinkError> {
        while !bytes.is_empty() {
            let space = self.conversation.space(&mut self.scratch)?;
            let count = bytes.len().min(space.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.conversation.handle_read(world.now(), &mut self.scratch, count)?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Returns what is written, and whether the connection is closed then.
    fn written(&mut self, world: &World) -> Result<(Vec<u8>, bool), LinkError> {
        let mut written = Vec::new();
        loop {
            match self.conversation.poll_write(world.now(), &mut self.scratch)? {
                WriteAction::Wait => break,
                WriteAction::Close => return Ok((written, true)),
                WriteAction::Bytes(bytes) => written.extend_from_slice(bytes),
            }
        }
        self.conversation.release_memory(&mut self.scratch);
        Ok((written, false))
    }

    /// Sends a frame of the intermediate transport; returns what is written in answer.
    fn ask(&mut self, world: &World, frame: &[u8]) -> (Vec<u8>, bool) {
        self.send(world, &framed(frame)).expect("the server reads");
        self.written(world).expect("the server answers")
    }
}

/// The beginning of a connection with the intermediate transport.
const INTERMEDIATE: [u8; 4] = [0xee; 4];

fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u32).to_le_bytes()[..], frame].concat()
}

/// The answer of an intermediate transport with this error.
fn error(code: i32) -> Vec<u8> {
    framed(&code.to_le_bytes())
}

#[test]
fn sec_136_a_client_has_ten_seconds_for_its_first_bytes_whatever_it_may_take_later() {
    let mut listener = Listener::new(ListenOptions::datacenter());
    let mut socket = listener.accept().unwrap();
    assert_eq!(listener.end_of(&mut socket), (10, Some(Wait::FirstBytes)));
    assert_eq!((listener.counters().unknown, listener.counters().idle), (1, 0));
}

#[test]
fn a_client_that_never_proves_that_it_has_a_key_is_given_up() {
    let mut listener = Listener::new(ListenOptions::datacenter());
    let mut recorded = Hostile::new(7);
    let frame = recorded.query(&listener.world, &QUERY);
    let mut owner = listener.world.connect();
    listener.world.show(&mut owner, frame.clone());
    // One says that it speaks the abridged transport, and nothing more; one goes on with a recorded frame, which anybody
    // on the path has.
    let (mut silent, mut replaying) = (listener.accept().unwrap(), listener.accept().unwrap());
    silent.send(&listener.world, &[0xef]).unwrap();
    replaying.send(&listener.world, &INTERMEDIATE).unwrap();
    for _ in 0..59 {
        listener.world.millis += 1000;
        let _ = replaying.ask(&listener.world, &frame);
        silent.conversation.handle_timeout(listener.world.now()).expect("it has a minute");
        replaying.conversation.handle_timeout(listener.world.now()).expect("it has a minute");
    }
    assert_eq!(listener.end_of(&mut silent), (1, Some(Wait::Authentication)));
    listener.world.millis -= 1000;
    assert_eq!(listener.end_of(&mut replaying), (1, Some(Wait::Authentication)));
    assert_eq!(listener.counters().unauthenticated, 2);
}

#[test]
fn a_client_with_a_key_may_be_silent_for_ten_minutes() {
    let mut listener = Listener::new(ListenOptions::datacenter());
    let (mut socket, mut client) = (listener.accept().unwrap(), Hostile::new(7));
    socket.send(&listener.world, &INTERMEDIATE).unwrap();
    listener.world.millis += 5_000;
    let query = client.query(&listener.world, &QUERY);
    assert!(!socket.ask(&listener.world, &query).0.is_empty());
    assert_eq!(listener.end_of(&mut socket), (600, Some(Wait::Anything)));
}

#[test]
fn a_frame_has_the_time_that_its_bytes_need_and_no_more() {
    let mut listener = Listener::new(ListenOptions::datacenter());
    for (rate, expected) in [(1, Some(16)), (4096, None)] {
        let (mut socket, mut client) = (listener.accept().unwrap(), Hostile::new(100 + rate as i64));
        socket.send(&listener.world, &INTERMEDIATE).unwrap();
        let query = client.query(&listener.world, &QUERY);
        let _ = socket.ask(&listener.world, &query);
        let frame = framed(&client.query(&listener.world, &vec![1; 100_000]));
        let mut ended = None;
        for (seconds, part) in (0..).zip(frame.chunks(rate)) {
            if socket.conversation.handle_timeout(listener.world.now()).is_err() {
                ended = Some(seconds);
                break;
            }
            socket.send(&listener.world, part).unwrap();
            listener.world.millis += 1000;
        }
        assert_eq!(ended, expected, "{rate}");
        let is_answered = ended.is_none() && !socket.written(&listener.world).unwrap().0.is_empty();
        assert_eq!(is_answered, expected.is_none());
    }
    assert_eq!(listener.counters().slow_senders, 1);
}

#[test]
fn strangers_send_no_long_frames() {
    let listener = Listener::new(ListenOptions::datacenter());
    let noise = [vec![7; 8], vec![0; 64 << 10]].concat();
    let plain = vec![0; 64 << 10];
    let http = |body: &[u8]| {
        let head = "POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n";
        [head.as_bytes(), body].concat()
    };
    let stream = |body: &[u8]| [&INTERMEDIATE[..], &8_000_000_u32.to_le_bytes(), body].concat();
    let abridged = |body: &[u8]| [&[0xef, 0x7f, 0, 0, 0x10][..], body].concat();
    let full = |body: &[u8]| [&8_000_000_u32.to_le_bytes()[..], &[0; 4], body].concat();
    for payload in [&noise, &plain] {
        for bytes in [stream(payload), abridged(payload), full(payload), http(payload)] {
            let mut strangers: Vec<_> = (0..64).map(|_| listener.accept().unwrap()).collect();
            let cost = allocation_counter::measure(|| {
                for socket in &mut strangers {
                    // It may be told so while it still sends.
                    let _ = bytes.chunks(512).try_for_each(|part| {
                        socket.send(&listener.world, part)?;
                        match socket.written(&listener.world)? {
                            (_, true) => Err(LinkError::Closed),
                            _ => Ok(()),
                        }
                    });
                }
            });
            for socket in &mut strangers {
                assert!(socket.written(&listener.world).unwrap().1, "the connection is closed");
            }
            assert!(cost.bytes_current <= 64 * (16 << 10), "{} bytes stay", cost.bytes_current);
        }
    }
}

#[test]
fn the_first_frame_under_a_known_key_may_be_long_and_strangers_are_told() {
    let listener = Listener::new(ListenOptions::datacenter());
    let (mut socket, mut client) = (listener.accept().unwrap(), Hostile::new(7));
    socket.send(&listener.world, &INTERMEDIATE).unwrap();
    let mut frame = client.query(&listener.world, &vec![1; 100_000]);
    let (answer, is_closed) = socket.ask(&listener.world, &frame);
    assert!(answer.len() > ANSWER.len() && !is_closed);
    frame[0] ^= 1;
    let mut stranger = listener.accept().unwrap();
    stranger.send(&listener.world, &INTERMEDIATE).unwrap();
    stranger.send(&listener.world, &framed(&frame)[..2000]).unwrap();
    assert_eq!(stranger.written(&listener.world).unwrap(), (error(-404), true), "its key is not known");
}

#[test]
fn connections_that_prove_nothing_shut_nobody_out() {
    let mut listener = Listener::new(ListenOptions::datacenter().with_max_connections(4));
    let (mut owner, mut client) = (listener.accept().unwrap(), Hostile::new(7));
    owner.send(&listener.world, &INTERMEDIATE).unwrap();
    let query = client.query(&listener.world, &QUERY);
    let _ = owner.ask(&listener.world, &query);
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let mut socket = listener.accept().expect("there is room again");
        socket.send(&listener.world, &[0xef]).unwrap();
        strangers.push(socket);
    }
    let ended = strangers.iter_mut().filter_map(|socket| socket.written(&listener.world).err()).count();
    assert_eq!((ended, listener.counters().open), (97, 4));
    listener.world.millis += 1000;
    let query = client.query(&listener.world, &QUERY);
    assert!(!owner.ask(&listener.world, &query).0.is_empty(), "who has a key stays");
}

#[test]
fn a_replayed_hello_of_fake_tls_gets_no_answer() {
    let secret = ProxySecret::parse("ee00112233445566778899aabbccddeeff6578616d706c652e636f6d").unwrap();
    let listener =
        Listener::new(ListenOptions::datacenter().with_accept(AcceptConfig::proxy(vec![secret.clone()])));
    let mut hello = Vec::new();
    let connector = Connector::proxy(&secret, DcId::production(2));
    let unix_time = listener.world.now().unix.as_secs() as u32;
    let mut rng = Drbg::from_seed([9; 32]);
    assert!(matches!(connector.start(unix_time, &mut rng, &mut hello), Ok(ConnectStep::FakeTls(_))));
    for round in 0..3 {
        let mut socket = listener.accept().unwrap();
        let sent = socket.send(&listener.world, &hello);
        let answer = socket.written(&listener.world).map_or(0, |(written, _)| written.len());
        assert_eq!((sent.is_ok(), answer > 0), (round == 0, round == 0), "{round}");
    }
}
