//! Client and server sessions against each other, under the direction of a script that knows the key.

use chappe_types::TransportErrorCode;
use core::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, QuickAckToken, Side};
use chappe_framing::{
    ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, Padding, SeqNo,
    ServerSalt, SessionId, TransportTail, UnixTime, open, write_rpc_result_header,
};
use chappe_session::client::{
    CallId, ClientConfig, ClientSession, Event, KeyMaterial, Repeat, SavedState, SendOptions,
};
use chappe_session::server::{Policy, SaltSchedule, ServerConfig, ServerEvent, ServerSession};
use chappe_session::{MonoTime, Now, SessionLimits};
use rand_core::Rng;

use super::envelope::{key, seal};
use super::{Seeded, Target};
use crate::tl_values::Values;

/// Client and server sessions.
pub(super) const PAIR: Target = Target {
    name: "session_pair",
    about: "both halves of a session, with lost, repeated, changed and invented messages",
    run: pair,
    seeds: pair_seeds,
    max_len: 2048,
};

/// What a client read back after a restart.
pub(super) const SAVED_STATE: Target = Target {
    name: "session_saved_state",
    about: "the saved state of a client's session, its digest made right",
    run: saved_state,
    seeds: state_seeds,
    max_len: 2048,
};

const START: u64 = 1_707_425_104;
const QUERY: [u8; 4] = 0x5151_0001_u32.to_le_bytes();
const RESULT: [u8; 4] = 0x5151_0002_u32.to_le_bytes();

/// One thing that happens.
#[derive(Arbitrary, Debug)]
enum Op<'a> {
    Call {
        len: u8,
        repeat: u8,
        after_last: bool,
    },
    Cancel,
    /// Frames under way arrive, in order.
    Deliver,
    ToServer(Damage),
    ToClient(Damage),
    /// The oldest frames are lost, or all are turned round.
    LoseToServer,
    LoseToClient,
    ReverseToClient,
    Pass {
        millis: u16,
        many: bool,
    },
    Reconnect,
    TransportError(i32),
    QuickAck(u32),
    /// The server answers the oldest query it knows.
    Respond {
        len: u16,
        with_error: bool,
    },
    Push {
        len: u8,
    },
    /// The server says an object that it would not say by itself.
    Invent(&'a [u8]),
    /// The same about a message that the client really sent.
    InventAbout {
        kind: u8,
        which: u8,
        number: u32,
    },
    /// A frame made from the ground up, in the name of the server or the client.
    Forge {
        as_client: bool,
        id_step: i32,
        seq_no: i32,
        salt: bool,
        object: &'a [u8],
    },
    /// The same, as a container of two.
    ForgeContainer {
        as_client: bool,
        first: i8,
        second: i8,
        object: &'a [u8],
        other: &'a [u8],
    },
    ServerForgets,
}

/// What happens to the oldest frame under way.
#[derive(Arbitrary, Debug)]
enum Damage {
    Twice,
    Cut(u8),
    Flip(u16),
    /// A word of the plaintext is another; the frame is sealed again.
    Word {
        at: u16,
        value: u32,
    },
    Back,
}

/// Both halves and what is under way.
struct World {
    client: ClientSession,
    server: Option<ServerSession>,
    rng: Drbg,
    millis: u64,
    to_server: Vec<Vec<u8>>,
    to_client: Vec<Vec<u8>>,
    queries: Vec<MsgId>,
    sent: Vec<MsgId>,
    calls: Vec<CallId>,
    ended: usize,
    /// Objects put under way that the server did not send.
    invented: i32,
    /// The two no longer speak: the connection must be made anew.
    broken: bool,
}

fn limits() -> SessionLimits {
    SessionLimits::default().with(|limits| {
        limits.pending_calls = 64;
        limits.events = 4096;
        limits.unpacked_bytes = 1 << 20;
    })
}

impl World {
    fn new() -> Self {
        let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
        let salts = SaltSchedule::new([9; 32]);
        let first = salts.current(key().id(), now.unix).to_raw();
        let material = KeyMaterial::from_handshake(key().clone(), first, 0, START as i64);
        let config = ClientConfig::default().with_limits(limits());
        let mut client = ClientSession::new(config, material, now);
        client.handle_connected(now, TransportTail::None);
        Self {
            client,
            server: None,
            rng: Seeded::rng(1),
            millis: 0,
            to_server: Vec::new(),
            to_client: Vec::new(),
            queries: Vec::new(),
            sent: Vec::new(),
            calls: Vec::new(),
            ended: 0,
            invented: 0,
            broken: false,
        }
    }

    fn now(&self) -> Now {
        let passed = Duration::from_millis(self.millis);
        Now::new(MonoTime::from_duration(passed), UnixTime::from_secs(START).saturating_add(passed))
    }

    fn server(&mut self, session_id: SessionId) -> &mut ServerSession {
        let fits = self.server.as_ref().is_some_and(|server| server.session_id() == session_id);
        if !fits {
            let config = ServerConfig::default().with(|config| {
                config.policy = Policy::Strict;
                config.unacked_messages = 256;
                config.running_queries = 128;
                config.unpacked_bytes = 1 << 20;
            });
            let unique_id = self.rng.next_u64() as i64;
            let salts = SaltSchedule::new([9; 32]);
            self.queries.clear();
            let mut server = ServerSession::new(config, key().clone(), session_id, salts, unique_id);
            server.handle_connected(self.now(), TransportTail::None);
            self.server = Some(server);
        }
        self.server.as_mut().expect("it was put there")
    }

    /// Lets both sides write what they want to.
    fn transmit(&mut self) {
        let now = self.now();
        let mut out = FrameBuf::new();
        for _ in 0..64 {
            if self.client.poll_transmit(now, &mut self.rng, &mut out).is_none() {
                break;
            }
            self.to_server.push(out.as_slice().to_vec());
        }
        for _ in 0..64 {
            let Some(server) = &mut self.server else { break };
            if server.poll_transmit(now, &mut self.rng, &mut out).is_none() {
                break;
            }
            self.to_client.push(out.as_slice().to_vec());
        }
        assert!(self.to_server.len() < 10_000 && self.to_client.len() < 10_000, "somebody talks without end");
    }

    fn serve(&mut self, mut frame: Vec<u8>) {
        let now = self.now();
        let Ok(opened) = open(key(), Side::Client, TransportTail::None, &mut frame) else {
            self.broken = true;
            return;
        };
        if opened.session_id().is_zero() {
            self.broken = true;
            return;
        }
        self.sent.push(opened.msg_id());
        let mut queries = Vec::new();
        let server = self.server(opened.session_id());
        let result = server.handle_opened(now, &opened).map(|events| {
            for event in events {
                if let ServerEvent::Query { msg_id, body, .. } = event {
                    assert!(!body.is_empty());
                    queries.push(msg_id);
                }
            }
        });
        self.broken |= result.is_err();
        self.queries.append(&mut queries);
    }

    fn show(&mut self, mut frame: Vec<u8>) {
        let now = self.now();
        match self.client.handle_frame(now, &mut frame) {
            Ok(events) => self.ended += count(events),
            Err(_) => self.broken = true,
        }
    }

    fn deliver(&mut self) {
        self.transmit();
        for frame in core::mem::take(&mut self.to_server) {
            self.serve(frame);
        }
        self.transmit();
        for frame in core::mem::take(&mut self.to_client) {
            self.show(frame);
        }
    }

    fn pass(&mut self, millis: u64) {
        self.millis += millis;
        let now = self.now();
        self.client.handle_timeout(now);
        let mut reconnect = false;
        let events = self.client.events();
        for event in events {
            reconnect |= matches!(event, Event::Reconnect(_));
            self.ended += usize::from(ends(&event));
        }
        self.broken |= reconnect;
        if let Some(server) = &mut self.server {
            server.handle_timeout(now);
        }
    }

    fn reconnect(&mut self) {
        let now = self.now();
        self.broken = false;
        self.to_server.clear();
        self.to_client.clear();
        self.client.handle_disconnected(now);
        self.client.handle_connected(now, TransportTail::None);
        self.ended += count(self.client.events());
        if let Some(server) = &mut self.server {
            server.handle_disconnected(now);
            server.handle_connected(now, TransportTail::None);
        }
    }

    fn call(&mut self, len: usize, options: SendOptions) {
        let mut body = QUERY.to_vec();
        body.resize(4 + 4 * len, 0x20);
        let now = self.now();
        if let Ok(call) = self.client.send_bytes(now, &body, options) {
            self.calls.push(call);
        }
    }

    fn respond(&mut self, len: usize, with_error: bool) {
        let Some(server) = &mut self.server else { return };
        if self.queries.is_empty() {
            return;
        }
        let query = self.queries.remove(0);
        let mut result = RESULT.to_vec();
        result.resize(4 + 4 * len, 0x33);
        let _ = if with_error {
            server.respond_error(query, 400, "BAD_REQUEST")
        } else {
            server.respond_bytes(query, &result)
        };
    }

    /// Nothing may have grown beyond its bound.
    fn check(&self) {
        assert!(self.client.pending_calls() <= limits().pending_calls);
        assert!(self.client.salts().len() <= limits().salts);
        assert!(self.ended <= self.calls.len(), "each call ends once");
        if let Some(server) = &self.server {
            assert!(server.unacked() <= 256 + 1, "{server:?}");
            assert!(server.running_queries() <= 128, "{server:?}");
        }
    }

    fn apply(&mut self, op: Op<'_>) {
        match op {
            Op::Call { len, repeat, after_last } => {
                let repeat = [Repeat::Freely, Repeat::AfterAsking, Repeat::Never][usize::from(repeat % 3)];
                let last =
                    self.calls.last().copied().filter(|call| after_last && self.client.is_pending(*call));
                let after = last.into_iter().collect();
                self.call(usize::from(len), SendOptions::default().with_repeat(repeat).with_after(after));
            }
            Op::Cancel => {
                if let Some(call) = self.calls.last().copied() {
                    self.client.cancel(call);
                }
            }
            Op::Deliver => self.deliver(),
            Op::ToServer(damage) => {
                self.transmit();
                damage.inflict(&mut self.to_server, &mut self.to_client, Side::Client);
            }
            Op::ToClient(damage) => {
                self.transmit();
                damage.inflict(&mut self.to_client, &mut self.to_server, Side::Server);
            }
            Op::LoseToServer => self.to_server.clear(),
            Op::LoseToClient => self.to_client.clear(),
            Op::ReverseToClient => self.to_client.reverse(),
            Op::Pass { millis, many } => self.pass(u64::from(millis) * if many { 100 } else { 1 }),
            Op::Reconnect => self.reconnect(),
            Op::TransportError(code) => {
                let now = self.now();
                self.client.handle_transport_error(now, TransportErrorCode::from_raw(code));
            }
            Op::QuickAck(token) => {
                let now = self.now();
                self.client.handle_quick_ack(now, QuickAckToken::from_raw(token));
            }
            Op::Respond { len, with_error } => self.respond(usize::from(len % 4096), with_error),
            Op::Push { len } => {
                if let Some(server) = &mut self.server {
                    let _ = server.push_bytes(&vec![0x44; 4 + 4 * usize::from(len)]);
                }
            }
            Op::Invent(object) => self.invent(object),
            Op::InventAbout { kind, which, number } => self.invent_about(kind, which, number),
            Op::Forge { as_client, id_step, seq_no, salt, object } => {
                let msg_id = self.forged_id(as_client, id_step);
                self.forge(as_client, msg_id, seq_no, salt, object);
            }
            Op::ForgeContainer { as_client, first, second, object, other } => {
                let outer = self.forged_id(as_client, 1 << 20);
                let mut buf = FrameBuf::new();
                let mut container = ContainerWriter::begin(&mut buf);
                for (step, object) in [(first, object), (second, other)] {
                    let header = MessageHeader {
                        msg_id: self.forged_id(as_client, i32::from(step) * 16),
                        seq_no: SeqNo::from_raw(i32::from(step) * 2 + 1),
                    };
                    let whole = object.len() & !3;
                    let _ = container.push(header, &object[..whole]);
                }
                container.finish();
                let body = buf.as_slice().to_vec();
                self.forge(as_client, outer, 2, true, &body);
            }
            Op::ServerForgets => {
                self.server = None;
                self.queries.clear();
            }
        }
    }

    /// Puts an object under way to the client that the server did not send.
    fn invent(&mut self, object: &[u8]) {
        self.invented += 1;
        let msg_id = self.forged_id(false, 1 << 16 | self.invented);
        if let Some(frame) = self.sealed(false, msg_id, 0, true, object) {
            self.to_client.push(frame);
        }
    }

    /// Builds a service message about one of the client's messages.
    fn invent_about(&mut self, kind: u8, which: u8, number: u32) {
        if self.sent.is_empty() {
            return;
        }
        let about = self.sent[self.sent.len() - 1 - usize::from(which) % self.sent.len()].to_bytes();
        let number = number.to_le_bytes();
        let codes = [16_u32, 17, 18, 19, 20, 32, 33, 34, 35, 48, 64];
        let code = codes[usize::from(number[0]) % codes.len()].to_le_bytes();
        let id = |id: u32| id.to_le_bytes();
        let object: Vec<u8> = match kind % 9 {
            0 => [&id(0xa7ef_f811)[..], &about, &number, &code].concat(),
            1 => [&id(0xedab_447b)[..], &about, &number, &id(48), &number, &number].concat(),
            2 => [&id(0x9ec2_0908)[..], &about, &number, &number, &number, &number].concat(),
            3 => [&id(0x0493_3cae)[..], &about, &number, &id(1), &number, &number, &number, &number].concat(),
            4 => [&id(0x276d_3ec6)[..], &about, &number, &number, &number, &number].concat(),
            5 => [&id(0x62d6_b459)[..], &id(0x1cb5_c415), &id(1), &about].concat(),
            6 => [&id(0x04de_b57d)[..], &about, &[3], &number[..3]].concat(),
            7 => [&id(0x8cc0_d131)[..], &id(0x1cb5_c415), &id(1), &about, &[1], &number[..3]].concat(),
            _ => {
                let mut body = Vec::new();
                write_rpc_result_header(&mut body, MsgId::from_bytes(about));
                body.extend_from_slice(&number);
                body
            }
        };
        self.invent(&object);
    }

    fn forged_id(&self, as_client: bool, step: i32) -> MsgId {
        let now = ((START + self.millis / 1000) as i64) << 32;
        let low = i64::from(!as_client);
        MsgId::from_raw((now + (i64::from(step) << 4)) & !3 | low)
    }

    fn forge(&mut self, as_client: bool, msg_id: MsgId, seq_no: i32, salt: bool, object: &[u8]) {
        if let Some(frame) = self.sealed(as_client, msg_id, seq_no, salt, object) {
            if as_client { self.serve(frame) } else { self.show(frame) }
        }
    }

    fn sealed(
        &mut self,
        as_client: bool,
        msg_id: MsgId,
        seq_no: i32,
        salt: bool,
        object: &[u8],
    ) -> Option<Vec<u8>> {
        let session_id = self.client.session_id()?;
        let whole = object.len() & !3;
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(&object[..whole]);
        let now = self.now();
        let right = SaltSchedule::new([9; 32]).current(key().id(), now.unix);
        let salt = if salt { right } else { ServerSalt::from_raw(0) };
        let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(seq_no) };
        let header = EncryptedHeader { salt, session_id, message };
        let from = if as_client { Side::Client } else { Side::Server };
        writer.seal(key(), from, header, Padding::Minimum, &mut self.rng).ok()?;
        Some(buf.as_slice().to_vec())
    }
}

impl Damage {
    fn inflict(&self, there: &mut Vec<Vec<u8>>, back: &mut Vec<Vec<u8>>, from: Side) {
        let Some(frame) = there.first_mut() else { return };
        match *self {
            Self::Twice => {
                let copy = frame.clone();
                there.push(copy);
            }
            Self::Cut(len) => frame.truncate(usize::from(len)),
            // What was cut to nothing has no bits.
            Self::Flip(_) if frame.is_empty() => {}
            Self::Flip(at) => {
                let at = usize::from(at) % (frame.len() * 8);
                frame[at / 8] ^= 1 << (at % 8);
            }
            Self::Word { at, value } => {
                let mut opened = frame.clone();
                if open(key(), from, TransportTail::None, &mut opened).is_ok() {
                    let mut plain = opened.split_off(24);
                    // Salt and session stay: what a stranger to them may do is tried by other means.
                    let places = (plain.len() - 16) / 4;
                    let at = 16 + 4 * (usize::from(at) % places);
                    plain[at..at + 4].copy_from_slice(&value.to_le_bytes());
                    *frame = seal(key(), from, &plain);
                }
            }
            Self::Back => {
                let copy = frame.clone();
                back.push(copy);
            }
        }
    }
}

fn ends(event: &Event<'_>) -> bool {
    matches!(event, Event::Answer { .. } | Event::CallError { .. } | Event::CallFailed { .. })
}

fn count<'a>(events: impl Iterator<Item = Event<'a>>) -> usize {
    events.filter(ends).count()
}

fn pair(input: &[u8]) {
    let mut world = World::new();
    let mut choices = Unstructured::new(input);
    for _ in 0..64 {
        if choices.is_empty() {
            break;
        }
        let Ok(op) = Op::arbitrary(&mut choices) else { break };
        world.apply(op);
        if world.broken {
            world.reconnect();
        }
        world.check();
    }
    heal(&mut world);
}

/// The attacker goes away: a call made now is answered.
fn heal(world: &mut World) {
    world.reconnect();
    world.calls.iter().for_each(|call| {
        world.client.cancel(*call);
    });
    let now = world.now();
    let call = world.client.send_bytes(now, &QUERY, SendOptions::default());
    let call = match call {
        Ok(call) => call,
        Err(error) => {
            assert!(world.client.is_terminated() || world.client.pending_calls() > 0, "{error}");
            return;
        }
    };
    world.calls.push(call);
    for round in 0..400 {
        world.deliver();
        while !world.queries.is_empty() {
            world.respond(1, false);
        }
        if !world.client.is_pending(call) {
            world.check();
            return;
        }
        world.pass(if round < 20 { 500 } else { 5_000 });
        if world.broken {
            world.reconnect();
        }
    }
    panic!("an honest call was not answered: {:?} {:?}", world.client, world.server);
}

/// Scripts at random, with objects of the service schema in them.
fn pair_seeds() -> Vec<Vec<u8>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tl-schema/mtproto.tl");
    let text = std::fs::read_to_string(path).expect("the schema is in the repository");
    let schema = chappe_tl_parser::parse("mtproto.tl", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let mut rng = Seeded::rng(12);
    let mut seeds = Vec::new();
    for (number, definition) in schema.definitions().iter().enumerate() {
        let mut seed = vec![0; 48 + number % 5 * 48];
        rng.fill_bytes(&mut seed);
        let object = Values::new(&schema, Seeded::rng(number as u64)).boxed(definition);
        seed.extend_from_slice(&object[..object.len().min(600)]);
        seeds.push(seed);
    }
    for len in [16, 64, 256, 1024] {
        for _ in 0..8 {
            let mut seed = vec![0; len];
            rng.fill_bytes(&mut seed);
            seeds.push(seed);
        }
    }
    seeds
}

const DIGEST: usize = 32;

/// First byte: 0 leaves the digest as it is.
fn saved_state(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if *mode != 0 && bytes.len() > DIGEST {
        let end = bytes.len() - DIGEST;
        let digest = chappe_crypto::hash::sha256(&[&bytes[..end]]);
        bytes[end..].copy_from_slice(&digest);
    }
    if let Ok(saved) = SavedState::import(&bytes) {
        let id = AuthKey::from_bytes(*saved.key.auth_key.as_bytes()).id();
        assert_eq!(id, saved.key.auth_key.id());
        assert!(saved.key.salts.len() <= 64);
        let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
        let mut client = ClientSession::new(ClientConfig::default(), saved.key, now);
        client.handle_connected(now, TransportTail::None);
        let mut out = FrameBuf::new();
        let _ = client.send_bytes(now, &QUERY, SendOptions::default());
        while client.poll_transmit(now, &mut Seeded::rng(1), &mut out).is_some() {}
        assert!(!client.export(now, &saved.extra).is_empty());
    }
}

fn state_seeds() -> Vec<Vec<u8>> {
    let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
    let material = KeyMaterial::from_handshake(key().clone(), 7, 0, START as i64);
    let client = ClientSession::new(ClientConfig::default(), material, now);
    let export = |extra: &[u8]| client.export(now, extra);
    [&b""[..], b"extra", &[7; 300]]
        .iter()
        .flat_map(|extra| [[&[0][..], &export(extra)].concat(), [&[1][..], &export(extra)].concat()])
        .collect()
}
