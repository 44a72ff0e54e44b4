//! Engines against scripted bytes: what they make of peers that are none of ours, and of networks that are away.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chappe_carrier::{Credentials, Interception, LinkError, Proxy, ProxyError};
use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_handshake::ClientOptions;
use chappe_session::client::KeyMaterial;
use chappe_session::{MonoTime, Now};
use chappe_transport::{Connector, Framing};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, subscriber};

use super::{Action, Address, Engine, Machine as _, SocketId};
use crate::client::updates::UpdateQueue;
use crate::client::{
    BackOff, ClientId, ConnectError, ConnectOptions, InvokeError, InvokeOptions, PendingCall,
};
use crate::options::DialOptions;

/// An engine and its clock.
struct Script {
    engine: Engine,
    now: Now,
    /// Where it connected last.
    dialled: Option<Address>,
}

/// What an engine requests of its driver.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Connect(SocketId),
    Nothing,
    Finished,
}

fn options() -> ConnectOptions {
    let address: SocketAddr = ([127, 0, 0, 1], 443).into();
    let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
    let mut options = ConnectOptions::at(address, dialling, ClientOptions::production(2));
    options.key = Some(KeyMaterial::from_handshake([7; 256], 42, 0, 1_800_000_000));
    options
}

impl Script {
    fn new(options: ConnectOptions) -> Self {
        let now =
            Now::new(MonoTime::from_duration(Duration::from_secs(1)), UnixTime::from_secs(1_800_000_000));
        let updates = Arc::new(UpdateQueue::new(options.updates.clone()));
        let engine = Engine::new(ClientId::next(), options, false, updates, now, Drbg::from_seed([1; 32]));
        Self { engine, now, dialled: None }
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now::new(self.now.mono + time, self.now.unix.saturating_add(time));
    }

    /// Does what needs no peer: sockets take all that is written, and close.
    fn run(&mut self) -> Wanted {
        loop {
            match self.engine.poll_action(self.now) {
                Action::Connect { socket, address, .. } => {
                    self.dialled = Some(address);
                    return Wanted::Connect(socket);
                }
                Action::Write(socket) => {
                    while let Some(buffer) = self.engine.links().begin_write(socket) {
                        let count = buffer.bytes().len();
                        self.engine.end_write(self.now, socket, buffer, Ok(count));
                    }
                }
                Action::Read(_) | Action::Close(_) => {}
                Action::WaitUntil(_) => return Wanted::Nothing,
                Action::Finished => return Wanted::Finished,
                Action::Store(task) => panic!("{task:?} without a store"),
            }
        }
    }

    /// Lets time pass as a driver does, and counts how often it wakes up until `duration` has passed.
    fn count_wakes(&mut self, duration: Duration) -> usize {
        let end = self.now.mono + duration;
        for wakes in 0..100_000 {
            let at = loop {
                match self.engine.poll_action(self.now) {
                    Action::WaitUntil(at) => break at.unwrap_or(end).min(end),
                    // No peer connects, reads, or accepts a byte.
                    Action::Connect { .. } | Action::Read(_) | Action::Close(_) => {}
                    Action::Write(socket) => {
                        if let Some(buffer) = self.engine.links().begin_write(socket) {
                            let blocked = Err(io::ErrorKind::WouldBlock.into());
                            self.engine.end_write(self.now, socket, buffer, blocked);
                        }
                    }
                    action => panic!("{action:?}"),
                }
            };
            if at >= end {
                return wakes;
            }
            self.pass(at.since(self.now.mono));
        }
        panic!("it never sleeps");
    }

    /// Connects the next socket, which takes and answers nothing from then on.
    fn connect(&mut self) -> SocketId {
        let (_, socket) = self.wait();
        assert!(self.engine.handle_connected(self.now, socket), "it is wanted");
        socket
    }

    /// Makes a call of this length.
    fn invoke(&mut self, len: usize) {
        let mut call = vec![0x55; len];
        call[..4].copy_from_slice(&0x1234_5678_u32.to_le_bytes());
        let unpacked = InvokeOptions::default().unpacked();
        let invoked = self
            .engine
            .invoke(self.now, &unpacked, |session, now, options| session.send_bytes(now, &call, options));
        assert!(invoked.is_ok());
    }

    /// Waits until the engine connects; returns how long that took and the socket.
    fn wait(&mut self) -> (Duration, SocketId) {
        let begun = self.now.mono;
        for _ in 0..100_000 {
            if let Wanted::Connect(socket) = self.run() {
                return (self.now.mono.since(begun), socket);
            }
            self.pass(Duration::from_millis(10));
        }
        panic!("it does not connect any more: {:?}", self.engine.status(self.now));
    }

    fn refuse(&mut self, socket: SocketId) {
        let refused = io::ErrorKind::ConnectionRefused.into();
        self.engine.handle_connect_failed(self.now, socket, refused);
    }

    /// Gives bytes to a socket, as far as it is read from.
    fn give(&mut self, socket: SocketId, mut bytes: &[u8]) {
        while !bytes.is_empty()
            && let Some(mut room) = self.engine.links().begin_read(socket)
        {
            let space = room.space().expect("there is room");
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.engine.end_read(self.now, socket, room, Ok(count));
        }
    }

    /// Connects, and returns the error with which the first connection ends after it read this.
    fn first_error(options: ConnectOptions, reads: &[&[u8]]) -> Arc<ConnectError> {
        let mut script = Self::new(options);
        let ready = PendingCall::<Vec<u8>>::signal(script.engine.ready());
        let (_, socket) = script.wait();
        assert!(script.engine.handle_connected(script.now, socket), "it is wanted");
        assert_eq!(script.run(), Wanted::Nothing);
        for bytes in reads {
            script.give(socket, bytes);
            script.run();
        }
        script.engine.take_wakers().wake();
        assert_eq!(script.run(), Wanted::Finished, "trying again is of no use");
        match ready.wait().expect_err("nobody is there") {
            InvokeError::Connection(error) => error,
            error => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_login_page_in_the_datacenters_place_is_named_as_such() {
    let mut options = options();
    options.backoff.first_attempts = 1;
    let page: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n";
    let error = Script::first_error(options.clone(), &[page]);
    let ConnectError::Link(LinkError::Intercepted(by)) = error.cause() else { panic!("{error:?}") };
    assert_eq!(*by, Interception::Http { status: 302 });
    let told = error.report().to_string();
    assert!(told.contains("login in a browser") && told.contains("127.0.0.1:443"), "{told}");

    let error = Script::first_error(options, &[&[21, 3, 3, 0, 2, 2, 40]]);
    assert!(matches!(
        error.cause(),
        ConnectError::Link(LinkError::Intercepted(Interception::Tls { alert: 40 }))
    ));
}

#[test]
fn credentials_that_a_proxy_refuses_are_not_tried_again() {
    let mut options = options();
    assert!(options.backoff.first_attempts > 1);
    let proxy = Proxy::socks5("127.0.0.1:1080").with_credentials(Credentials::new("me", "wrong"));
    options = options.with_proxy(&proxy);
    // It takes names and passwords, and refuses this one: RFC 1929.
    let error = Script::first_error(options, &[&[5, 2], &[1, 1]]);
    assert!(
        matches!(error.cause(), ConnectError::Link(LinkError::Proxy(ProxyError::CredentialsRefused))),
        "{error:?}"
    );
}

#[test]
fn a_stream_of_bare_quick_acknowledgements_ends_the_connection() {
    let mut script = Script::new(options());
    let (_, socket) = script.wait();
    assert!(script.engine.handle_connected(script.now, socket), "it is wanted");
    script.run();
    let tokens = 0x8000_0001_u32.to_le_bytes().repeat(100);
    for sent in 0.. {
        assert!(sent < 100, "nobody asked for {} tokens", 100 * sent);
        script.give(socket, &tokens);
        if script.engine.links().begin_write(socket).is_none() && !script.engine.links().is_known(socket) {
            break;
        }
    }
}

#[test]
fn a_call_shortens_the_pause_of_a_client_whose_network_was_away() {
    let mut options = options();
    options.backoff = BackOff { first_attempts: 1000, ..BackOff::default() };
    options.timing.connect = Duration::from_secs(3600);
    let mut script = Script::new(options);
    let mut pause = Duration::ZERO;
    for _ in 0..12 {
        let (waited, socket) = script.wait();
        pause = waited;
        script.refuse(socket);
    }
    assert!(pause >= Duration::from_secs(14), "nobody waits: {pause:?}");

    let call = 0x1234_5678_u32.to_le_bytes();
    let invoked = script.engine.invoke(script.now, &InvokeOptions::default(), |session, now, options| {
        session.send_bytes(now, &call, options)
    });
    assert!(invoked.is_ok());
    let begun = script.now.mono;
    while script.now.mono.since(begun) < Duration::from_secs(30) {
        let (waited, socket) = script.wait();
        assert!(waited <= Duration::from_secs(4), "somebody waits: {waited:?}");
        script.refuse(socket);
    }
}

#[test]
fn candidates_that_are_replaced_are_dialled_at_once_if_nothing_is_in_use_and_later_otherwise() {
    let mut options = options();
    options.backoff = BackOff { first_attempts: 1000, ..BackOff::default() };
    options.timing.connect = Duration::from_secs(3600);
    let mut script = Script::new(options.clone());
    for _ in 0..12 {
        let (_, socket) = script.wait();
        script.refuse(socket);
    }
    let elsewhere: SocketAddr = ([127, 0, 0, 2], 443).into();
    options.candidates[0].address = elsewhere.into();
    script.engine.replace_candidates(&options.candidates).expect("there is one");
    let (waited, socket) = script.wait();
    assert!(waited <= Duration::from_secs(1), "{waited:?}");
    assert_eq!(script.dialled, Some(Address::Socket(elsewhere)));
    assert!(script.engine.handle_connected(script.now, socket), "it is wanted");

    let third: SocketAddr = ([127, 0, 0, 3], 443).into();
    options.candidates[0].address = third.into();
    script.engine.replace_candidates(&options.candidates).expect("there is one");
    assert_eq!(script.run(), Wanted::Nothing, "the connection in use stays");
    let mut room = script.engine.links().begin_read(socket).expect("it reads");
    assert!(!room.space().expect("there is room").is_empty());
    script.engine.end_read(script.now, socket, room, Ok(0));
    script.wait();
    assert_eq!(script.dialled, Some(Address::Socket(third)));
    assert!(matches!(script.engine.replace_candidates(&[]), Err(ConnectError::NoCandidates)));
    options.candidates[0].address = Address::Name("proxy.example".into());
    let refused = script.engine.replace_candidates(&options.candidates);
    assert!(matches!(&refused, Err(ConnectError::InvalidOption(_))), "it has no port: {refused:?}");
}

#[test]
fn a_name_is_looked_up_for_each_connection() {
    let mut options = options();
    let name = Address::Name("proxy.example:443".into());
    options.candidates[0].address = name.clone();
    let mut script = Script::new(options);
    for _ in 0..3 {
        let (_, socket) = script.wait();
        assert_eq!(script.dialled.take(), Some(name.clone()), "the driver gets the name, and no address");
        script.refuse(socket);
    }
    let error = script.engine.status(script.now).last_error.expect("it was refused");
    assert!(error.to_string().contains("proxy.example:443"), "{error}");
}

#[test]
fn a_connection_on_trial_has_time_while_its_bytes_move_but_not_without_bound() {
    let mut options = options();
    options.timing.proof = Duration::from_secs(10);
    options.timing.call = None;
    let mut script = Script::new(options);
    let part = vec![0x55; 512 << 10];
    let unpacked = InvokeOptions::default().unpacked();
    let invoked = script
        .engine
        .invoke(script.now, &unpacked, |session, now, options| session.send_bytes(now, &part, options));
    assert!(invoked.is_ok());
    let (_, socket) = script.wait();
    assert!(script.engine.handle_connected(script.now, socket), "it is wanted");
    let mut seconds = 0;
    while script.engine.links().is_known(socket) {
        assert!(seconds < 100, "nothing was proven for {seconds} s");
        script.engine.poll_action(script.now);
        // A slow link takes 10 KiB in a second.
        if let Some(buffer) = script.engine.links().begin_write(socket) {
            let count = buffer.bytes().len().min(10 << 10);
            script.engine.end_write(script.now, socket, buffer, Ok(count));
        }
        script.pass(Duration::from_secs(1));
        script.engine.poll_action(script.now);
        seconds += 1;
    }
    assert!(seconds >= 45, "given up after {seconds} s although bytes moved");
}

#[test]
fn bytes_that_a_socket_takes_at_once_do_not_prolong_a_connection_on_which_nothing_arrives() {
    let mut options = options();
    options.timing.proof = Duration::from_secs(10);
    options.timing.call = None;
    let mut script = Script::new(options);
    let (_, socket) = script.wait();
    assert!(script.engine.handle_connected(script.now, socket), "it is wanted");
    let mut seconds = 0;
    while script.engine.links().is_known(socket) {
        assert!(seconds < 100, "nothing arrived for {seconds} s");
        let call = 0x1234_5678_u32.to_le_bytes();
        let invoked = script.engine.invoke(script.now, &InvokeOptions::default(), |session, now, options| {
            session.send_bytes(now, &call, options)
        });
        assert!(invoked.is_ok());
        script.run();
        script.pass(Duration::from_secs(1));
        script.engine.poll_action(script.now);
        seconds += 1;
    }
    assert_eq!(seconds, 10);
}

/// Options under which nothing is given up within a minute.
fn patient() -> ConnectOptions {
    let mut options = options();
    options.timing.proof = Duration::from_secs(600);
    options.timing.connect = Duration::from_secs(600);
    options.liveness = options.liveness.with(|policy| policy.dead_after = Duration::from_secs(600));
    options.timing.call = None;
    options.candidates[0].dialling.write_timeout = Duration::from_secs(600);
    options
}

#[test]
fn a_driver_sleeps_while_a_socket_takes_nothing() {
    let mut script = Script::new(patient());
    script.connect();
    script.invoke(1 << 10);
    assert!(script.count_wakes(Duration::from_secs(300)) < 15);
}

#[test]
fn a_driver_sleeps_while_a_key_is_in_doubt() {
    let mut script = Script::new(patient());
    script.connect();
    script.run();
    script.engine.is_key_doubtful = true;
    assert!(script.count_wakes(Duration::from_secs(300)) < 15);
}

#[test]
fn a_driver_sleeps_while_a_client_closes_that_was_to_change_its_connection() {
    let mut options = patient();
    options.timing.close = Duration::from_secs(120);
    let second = options.candidates[0].clone();
    options.candidates.push(second);
    let mut script = Script::new(options);
    script.connect();
    script.invoke(1 << 10);
    script.engine.life = super::Life::Running;
    let now = script.now;
    for known in &mut script.engine.connections {
        known.stage = super::Stage::InUse { deadline: None, latest: now.mono };
    }
    script.engine.race.on_proven();
    script.engine.refresh(now);
    script.engine.close(now);
    assert!(script.count_wakes(Duration::from_secs(100)) < 10);
}

#[test]
fn a_driver_sleeps_while_a_store_loads() {
    let options = options();
    let mut script = Script::new(options.clone());
    let updates = Arc::new(UpdateQueue::new(options.updates.clone()));
    script.engine =
        Engine::new(ClientId::next(), options, true, updates, script.now, Drbg::from_seed([1; 32]));
    assert!(matches!(script.engine.poll_action(script.now), Action::Store(_)), "it claims the slot");
    assert!(script.engine.handle_claimed());
    assert!(matches!(script.engine.poll_action(script.now), Action::Store(_)), "it loads");
    assert!(script.count_wakes(Duration::from_secs(40)) < 4);
}

#[test]
fn a_client_gives_up_although_its_connections_stand() {
    let mut options = options();
    options.timing.give_up = Some(Duration::from_secs(60));
    let mut script = Script::new(options);
    script.run();
    // It was connected once.
    script.engine.life = super::Life::Running;
    let begun = script.now.mono;
    loop {
        match script.run() {
            Wanted::Connect(socket) => assert!(script.engine.handle_connected(script.now, socket)),
            Wanted::Nothing => script.pass(Duration::from_millis(100)),
            Wanted::Finished => break,
        }
        assert!(script.now.mono.since(begun) < Duration::from_secs(120), "it does not give up");
    }
    assert!(script.now.mono.since(begun) >= Duration::from_secs(59));
}

/// Fields of an event of `tracing`, by their names.
type Told = BTreeMap<&'static str, String>;

/// Events of `tracing`.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<(Level, Told)>>>);

struct Fields<'a>(&'a mut Told);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn core::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Events {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Told::new();
        event.record(&mut Fields(&mut fields));
        self.0.lock().expect("nobody panics").push((*event.metadata().level(), fields));
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn every_event_names_the_client_and_the_datacenter_and_those_of_a_connection_its_address() {
    let events = Events::default();
    let mut id = 0;
    subscriber::with_default(events.clone(), || {
        let mut options = options();
        options.candidates[0].dialling.proxy = None;
        options.backoff.first_attempts = 2;
        let mut script = Script::new(options);
        id = script.engine.id.get();
        let (_, socket) = script.wait();
        script.refuse(socket);
        let (_, socket) = script.wait();
        assert!(script.engine.handle_connected(script.now, socket), "it is wanted");
        script.run();
        // A frame that no key opens.
        script.give(socket, &[&[0xee; 4][..], &[88, 0, 0, 0], &[7; 88]].concat()[4..]);
        script.run();
        script.engine.close(script.now);
        while script.run() != Wanted::Finished {}
    });
    let events = events.0.lock().expect("nobody panics").clone();
    let mut told = Vec::new();
    for (level, fields) in &events {
        assert_eq!(fields.get("client"), Some(&id.to_string()), "{fields:?}");
        assert_eq!(fields.get("dc").map(String::as_str), Some("DC 2"), "{fields:?}");
        if fields.contains_key("connection") {
            assert_eq!(fields.get("address").map(String::as_str), Some("127.0.0.1:443"), "{fields:?}");
        }
        if *level <= Level::INFO {
            told.push(fields["message"].as_str());
            assert!(fields.contains_key("connection") || fields.contains_key("error"), "{fields:?}");
        }
    }
    assert_eq!(told[..2], ["connected", "disconnected"], "{events:#?}");
    assert!(events.iter().any(|(_, fields)| fields["message"] == "attempt failed"), "{events:#?}");
}
