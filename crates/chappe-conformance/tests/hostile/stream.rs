//! Somebody on the way: he sees bytes go by, adds some, holds some back, and lets them arrive one by one.

use chappe_framing::{FrameBuf, TransportTail};
use chappe_server::{Output, ServerConnection};
use chappe_session::client::{
    CallId, ClientConfig, ClientSession, Event, KeyMaterial, SavedState, SendOptions,
};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, Connection, ConnectionLimits,
    Connector, DcId, Framing, Incoming, ProxySecret, ReadBuf,
};

use crate::pen::ANSWER;
use crate::server::World;
use crate::{QUERY, START, key};

/// Every way to connect, with what a server needs to let it in.
fn kinds() -> Vec<(Connector, AcceptConfig)> {
    let mut kinds: Vec<_> =
        Framing::ALL.iter().map(|framing| (Connector::plain(*framing), AcceptConfig::datacenter())).collect();
    kinds.push((Connector::obfuscated(Framing::Intermediate, None).unwrap(), AcceptConfig::datacenter()));
    let tls = ProxySecret::parse("ee00112233445566778899aabbccddeeff6578616d706c652e636f6d").unwrap();
    for secret in [ProxySecret::padded([5; 16]), tls] {
        kinds.push((Connector::proxy(&secret, DcId::production(2)), AcceptConfig::proxy(vec![secret])));
    }
    kinds
}

/// A client with its whole stack.
struct Client {
    session: ClientSession,
    link: Option<Connection>,
    buf: ReadBuf,
}

/// A server's end of the connection, whole stack too.
struct Served {
    acceptor: Option<Acceptor>,
    link: Option<Connection>,
    buf: ReadBuf,
    connection: ServerConnection,
}

impl Client {
    fn new(world: &World) -> Self {
        let now = world.now();
        let material = KeyMaterial::from_handshake(key(1), 1, 0, START as i64);
        let session = ClientSession::new(ClientConfig::default(), material, now);
        Self { session, link: None, buf: ReadBuf::new(&ConnectionLimits::DEFAULT) }
    }

    /// What the client writes now.
    fn write(&mut self, world: &mut World) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut out = FrameBuf::new();
        let Some(link) = &mut self.link else { return wire };
        while self.session.poll_transmit(world.now(), &mut world.rng, &mut out).is_some() {
            link.sender.encode_into(&mut wire, out.as_slice(), AckRequest::No, &mut world.rng).unwrap();
        }
        wire
    }

    /// Bytes arrive. Returns the calls that ended, and whether the connection is still good.
    fn read(&mut self, world: &World, bytes: &[u8]) -> (Vec<CallId>, bool) {
        let mut ended = Vec::new();
        let Some(link) = &mut self.link else { return (ended, false) };
        if self.buf.extend_from_slice(bytes).is_err() {
            return (ended, false);
        }
        loop {
            match link.receiver.receive(&mut self.buf) {
                Ok(None) => return (ended, true),
                Ok(Some(Incoming::Envelope { payload, .. })) => {
                    let Ok(events) = self.session.handle_frame(world.now(), payload) else {
                        return (ended, false);
                    };
                    for event in events {
                        if let Event::Answer { call, body } = event {
                            assert_eq!(body, ANSWER);
                            ended.push(call);
                        }
                    }
                }
                Ok(Some(Incoming::Error(code))) => {
                    self.session.handle_transport_error(world.now(), code);
                    return (ended, false);
                }
                Ok(Some(Incoming::QuickAck(token))) => self.session.handle_quick_ack(world.now(), token),
                Err(_) => return (ended, false),
            }
        }
    }

    fn check_key(&self, world: &World) {
        let saved = self.session.export(world.now(), b"");
        assert!(SavedState::import(&saved).unwrap().key.auth_key == key(1));
    }
}

impl Served {
    fn new(world: &World) -> Self {
        let (acceptor, buf) = (Some(Acceptor::new()), ReadBuf::new(&ConnectionLimits::DEFAULT));
        Self { acceptor, link: None, buf, connection: world.connect() }
    }

    /// Bytes arrive. Returns what is written, and whether the connection is still good.
    fn read(&mut self, world: &mut World, config: &AcceptConfig, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut wire = Vec::new();
        if self.buf.extend_from_slice(bytes).is_err() {
            return (wire, false);
        }
        while let Some(acceptor) = self.acceptor.take() {
            let mut context = AcceptContext { config, unix_time: START as u32, replays: None };
            match acceptor.handle(&mut self.buf, &mut context, &mut world.rng) {
                Ok(AcceptStep::Incomplete(next)) => {
                    self.acceptor = Some(next);
                    return (wire, true);
                }
                Ok(AcceptStep::Answer { bytes, next }) => {
                    wire = bytes;
                    self.acceptor = Some(next);
                }
                Ok(AcceptStep::Ready(accepted)) => self.link = Some(accepted.connection),
                _ => return (wire, false),
            }
        }
        let Some(link) = &mut self.link else { return (wire, false) };
        let mut out = FrameBuf::new();
        loop {
            match link.receiver.receive(&mut self.buf) {
                Ok(None) => return (wire, true),
                Ok(Some(Incoming::Envelope { payload, ack })) => {
                    self.connection.handle_payload(world.now(), payload, ack, &mut world.rng);
                }
                Ok(Some(_)) => {}
                Err(_) => return (wire, false),
            }
            while let Some(output) = self.connection.poll_output(world.now(), &mut world.rng, &mut out) {
                match output {
                    Output::Frame => {
                        link.sender
                            .encode_into(&mut wire, out.as_slice(), AckRequest::No, &mut world.rng)
                            .unwrap();
                    }
                    Output::QuickAck(token) => link.sender.quick_ack_into(&mut wire, token, &mut world.rng),
                    Output::Error(code) => {
                        link.sender.error_into(&mut wire, code, &mut world.rng).unwrap();
                        return (wire, false);
                    }
                    Output::Close => return (wire, false),
                }
            }
        }
    }
}

/// What the one on the way does to the bytes, of which `at` went by before: it may add, hold back or change.
type Meddle<'a> = &'a mut dyn FnMut(Way, usize, Vec<u8>) -> Vec<u8>;

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Connects, and lets the client's calls be answered as far as the meddler lets them. Returns the calls that ended.
fn talk(
    world: &mut World,
    client: &mut Client,
    kind: &(Connector, AcceptConfig),
    piece: usize,
    meddle: Meddle<'_>,
) -> Vec<CallId> {
    let now = world.now();
    let mut served = Served::new(world);
    let mut opening = Vec::new();
    client.buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
    let mut ended = Vec::new();
    let (mut there, mut back) = (0, 0);
    let mut waiting = match kind.0.start(START as u32, &mut world.rng, &mut opening).unwrap() {
        ConnectStep::Ready(link) => {
            client.link = Some(link);
            None
        }
        ConnectStep::FakeTls(state) => Some(state),
    };
    client.session.handle_connected(now, TransportTail::None);
    let mut to_server = opening;
    for _ in 0..12 {
        to_server.extend(client.write(world));
        let len = to_server.len();
        let bytes = meddle(Way::ToServer, there, core::mem::take(&mut to_server));
        there += len;
        let mut to_client = Vec::new();
        let mut is_good = true;
        for piece in bytes.chunks(piece) {
            let (wire, good) = served.read(world, &kind.1, piece);
            to_client.extend(wire);
            is_good &= good;
            if !good {
                break;
            }
        }
        let len = to_client.len();
        let bytes = meddle(Way::ToClient, back, to_client);
        back += len;
        for piece in bytes.chunks(piece) {
            if let Some(state) = waiting.take() {
                if client.buf.extend_from_slice(piece).is_err() {
                    break;
                }
                match state.handle(&mut client.buf) {
                    Ok(ConnectStep::Ready(link)) => client.link = Some(link),
                    Ok(ConnectStep::FakeTls(state)) => waiting = Some(state),
                    Err(_) => is_good = false,
                }
                continue;
            }
            let (answered, good) = client.read(world, piece);
            ended.extend(answered);
            is_good &= good;
            if !good {
                break;
            }
        }
        if !is_good {
            break;
        }
    }
    let now = world.now();
    client.link = None;
    client.session.handle_disconnected(now);
    let rest = client.session.events();
    ended.extend(rest.filter_map(|event| match event {
        Event::Answer { call, .. } => Some(call),
        _ => None,
    }));
    ended
}

fn call(world: &World, client: &mut Client) -> CallId {
    client.session.send_bytes(world.now(), &QUERY, SendOptions::default()).unwrap()
}

fn honestly(_: Way, _: usize, bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[test]
fn every_transport_works_one_byte_at_a_time() {
    for kind in kinds() {
        for piece in [1, 3, usize::MAX] {
            let mut world = World::new();
            let mut client = Client::new(&world);
            let made = call(&world, &mut client);
            let ended = talk(&mut world, &mut client, &kind, piece, &mut honestly);
            assert_eq!(ended, [made], "{:?} in pieces of {piece}", kind.0);
            assert_eq!(world.executed(), 1);
        }
    }
}

#[test]
fn transport_errors_and_noise_put_in_at_any_byte_cost_a_connection_and_nothing_else() {
    let plain = |code: i32| [&4_u32.to_le_bytes()[..], &code.to_le_bytes()].concat();
    let noise =
        [plain(-404), plain(-429), vec![0; 4], vec![0xff; 8], vec![0x7f, 0xff, 0xff, 0xff], vec![1, 2, 3]];
    for kind in &kinds()[..4] {
        for way in [Way::ToServer, Way::ToClient] {
            let mut world = World::new();
            for at in (0..260).step_by(3) {
                let mut client = Client::new(&world);
                let made = call(&world, &mut client);
                let added = &noise[at % noise.len()];
                let mut is_done = false;
                let mut meddle = |to: Way, before: usize, mut bytes: Vec<u8>| {
                    if to == way && !is_done && (before..=before + bytes.len()).contains(&at) {
                        is_done = true;
                        bytes.splice(at - before..at - before, added.iter().copied());
                    }
                    bytes
                };
                let mut ended = talk(&mut world, &mut client, kind, usize::MAX, &mut meddle);
                client.check_key(&world);
                // The next connection is left alone.
                world.millis += 1_000;
                for _ in 0..4 {
                    if ended.is_empty() {
                        ended = talk(&mut world, &mut client, kind, usize::MAX, &mut honestly);
                        world.millis += 11_000;
                        let now = world.now();
                        client.session.handle_timeout(now);
                    }
                }
                assert_eq!(ended, [made], "{:?} {way:?} {at}", kind.0);
            }
        }
    }
}

#[test]
fn changed_bytes_behind_an_obfuscated_header_cost_a_connection_and_nothing_else() {
    for kind in &kinds()[4..] {
        for way in [Way::ToServer, Way::ToClient] {
            let mut world = World::new();
            for at in (0..2_400_usize).step_by(97) {
                let mut client = Client::new(&world);
                let made = call(&world, &mut client);
                let mut meddle = |to: Way, before: usize, mut bytes: Vec<u8>| {
                    if to == way
                        && let Some(byte) = at.checked_sub(before).and_then(|at| bytes.get_mut(at))
                    {
                        *byte ^= 0x10;
                    }
                    bytes
                };
                let mut ended = talk(&mut world, &mut client, kind, usize::MAX, &mut meddle);
                client.check_key(&world);
                world.millis += 1_000;
                for _ in 0..4 {
                    if ended.is_empty() {
                        ended = talk(&mut world, &mut client, kind, usize::MAX, &mut honestly);
                        world.millis += 11_000;
                        let now = world.now();
                        client.session.handle_timeout(now);
                    }
                }
                assert_eq!(ended, [made], "{:?} {way:?} {at}", kind.0);
            }
        }
    }
}

#[test]
fn half_a_frame_for_ever_is_waited_for_and_takes_no_memory() {
    for kind in kinds() {
        let mut world = World::new();
        let mut client = Client::new(&world);
        let made = call(&world, &mut client);
        // Everything stops in the middle of the first answer, and in the middle of the first question.
        for way in [Way::ToClient, Way::ToServer] {
            let mut meddle = |to: Way, before: usize, mut bytes: Vec<u8>| {
                if to == way && (before > 0 || way == Way::ToClient) {
                    bytes.truncate(bytes.len() / 2);
                }
                bytes
            };
            let cost = allocation_counter::measure(|| {
                let ended = talk(&mut world, &mut client, &kind, 7, &mut meddle);
                assert!(ended.is_empty() || ended == [made]);
            });
            assert!(cost.bytes_max <= 1 << 20, "{:?}: {} bytes", kind.0, cost.bytes_max);
            world.millis += 60_000;
            let now = world.now();
            client.session.handle_timeout(now);
        }
        let fresh = call(&world, &mut client);
        let ended = talk(&mut world, &mut client, &kind, 7, &mut honestly);
        assert!(ended.contains(&fresh), "{:?}: {ended:?}", kind.0);
    }
}

#[test]
fn an_announced_frame_of_the_largest_size_takes_no_memory_before_it_comes() {
    for framing in [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate, Framing::Full] {
        let announced: &[u8] = match framing {
            Framing::Abridged => &[0x7f, 0xff, 0xff, 0x3f],
            // Of a full frame the number is looked at, too.
            Framing::Full => &[0xf0, 0xff, 0xff, 0x00, 0, 0, 0, 0],
            _ => &[0xf0, 0xff, 0xff, 0x00],
        };
        let mut world = World::new();
        let mut client = Client::new(&world);
        client.link =
            Some(Connection::plain(framing, chappe_transport::Side::Client, ConnectionLimits::DEFAULT));
        let cost = allocation_counter::measure(|| {
            assert_eq!(client.read(&world, announced), (vec![], true), "{framing:?}");
            for _ in 0..100 {
                assert_eq!(client.read(&world, &[0x5a; 16]), (vec![], true), "{framing:?}");
            }
        });
        assert!(cost.bytes_max <= 256 << 10, "{framing:?}: {} bytes", cost.bytes_max);
        world.survives("an announcement");
    }
}
