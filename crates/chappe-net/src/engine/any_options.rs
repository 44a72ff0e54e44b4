//! Options of any value, in simulated time: a client connects, calls, idles, calls again and closes, or the option is
//! refused by its name.

use core::fmt;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chappe_carrier::{Credentials, Endpoint, Proxy};
use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_framing::{Padding, UnixTime};
use chappe_handshake::bind::BindTempAuthKey;
use chappe_handshake::{ClientOptions, DcId, ServerOptions};
use chappe_server::driver::{ConnectionLimit, Conversation, Scratch, WriteAction};
use chappe_server::{
    Context, Engine as Server, EngineOptions, Handler, KeyState, KeyStatus, ListenOptions, QueryResponse,
};
use chappe_session::client::{KeyMaterial, Packing, Repeat};
use chappe_session::server::ServerConfig;
use chappe_session::{MonoTime, Now};
use chappe_tl::Deserializable as _;
use chappe_transport::{Connector, Framing};
use rand_core::Rng as _;

use super::{Action, Engine, Machine as _, SocketId};
use crate::client::pending::PendingCall;
use crate::client::updates::UpdateQueue;
use crate::client::{Candidate, ClientId, ConnectOptions, InvokeOptions};
use crate::options::{Carrier, DialOptions};

/// From one end to the other. A time-out of less than [`SHORT`] may be too short for that.
const LATENCY: Duration = Duration::from_millis(20);
const SHORT: Duration = Duration::from_secs(1);
/// Longer than most pauses between pings.
const IDLE: Duration = Duration::from_secs(200);
/// In simulated time: nothing that works takes so long here.
const PATIENCE: Duration = Duration::from_secs(120);
const ANSWER: &[u8] = b"answer..";
const START: u64 = 1_800_000_000;

/// `boolTrue#997275b5 = Bool;`
const TRUE: u32 = 0x9972_75b5;

/// Binds temporary keys, and answers everything else alike.
struct Answers;

impl Handler for Answers {
    fn query(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse {
        match BindTempAuthKey::from_bytes(body) {
            Ok(request) => match context.bind(&request) {
                Ok(()) => QueryResponse::AnswerAlone(TRUE.to_le_bytes().to_vec()),
                Err(error) => QueryResponse::Error { code: 400, message: error.rpc_message().into() },
            },
            Err(_) => QueryResponse::Answer(ANSWER.to_vec()),
        }
    }
}

/// A server's key. Making one takes a while.
fn private_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(&mut Drbg::from_seed([3; 32])).expect("a key"))
}

/// What arrives at one end of a socket.
enum Arrival {
    Connected,
    Up(Vec<u8>),
    /// No bytes mean the end.
    Down(Vec<u8>),
}

struct Pipe {
    socket: SocketId,
    conversation: Conversation,
    scratch: Scratch,
}

/// A client and a server, with some time between them.
struct World {
    client: Engine,
    server: Arc<Server>,
    limit: Arc<ConnectionLimit>,
    pipes: Vec<Pipe>,
    /// In the order of their times, since all take equally long.
    wire: VecDeque<(MonoTime, SocketId, Arrival)>,
    now: Now,
    steps: usize,
}

impl World {
    fn start(options: ConnectOptions, seed: u8) -> Self {
        let rng = Drbg::from_seed([seed; 32]);
        let mut handshake = ServerOptions::lenient(vec![private_key().clone()]);
        handshake.rate = None;
        let server = EngineOptions::new(handshake, ServerConfig::default());
        let server =
            Server::new(server, Answers, &mut Drbg::from_seed([seed ^ 1; 32])).expect("good options");
        server.add_key(KeyState::new(AuthKey::from_bytes(KEY), KeyStatus::Permanent));
        let limit = Arc::new(ConnectionLimit::new(ListenOptions::datacenter(), Drbg::from_seed([seed; 32])));
        let now = Now::new(MonoTime::from_duration(Duration::from_secs(1)), UnixTime::from_secs(START));
        let updates = Arc::new(UpdateQueue::new(options.updates.clone()));
        let client = Engine::new(ClientId::next(), options, false, updates, now, rng);
        let (pipes, wire) = Default::default();
        Self { client, server, limit, pipes, wire, now, steps: 0 }
    }

    /// Runs until `is_done`; fails if that takes too long or the client ends.
    fn run(&mut self, patience: Duration, is_done: impl Fn(&Self) -> bool) -> Result<(), String> {
        let deadline = self.now.mono + patience;
        while !is_done(self) {
            self.steps += 1;
            assert!(self.steps < 200_000, "it does not come to rest");
            match self.client.poll_action(self.now) {
                Action::Connect { socket, .. } => self.send(socket, Arrival::Connected),
                // Bytes are brought as soon as there are any.
                Action::Read(_) => {}
                Action::Write(socket) => {
                    while let Some(buffer) = self.client.links().begin_write(socket) {
                        let bytes = buffer.bytes().to_vec();
                        let written = Ok(bytes.len());
                        self.send(socket, Arrival::Up(bytes));
                        self.client.end_write(self.now, socket, buffer, written);
                    }
                }
                Action::Close(socket) => self.pipes.retain(|pipe| pipe.socket != socket),
                Action::WaitUntil(at) if self.now.mono < deadline => {
                    self.pass(at.unwrap_or(deadline).min(deadline));
                }
                Action::WaitUntil(_) => return Err(format!("no end within {patience:?}")),
                Action::Finished => return Err("the client has ended".into()),
                Action::Store(_) => panic!("there is no store"),
            }
            self.client.take_wakers().wake();
        }
        Ok(())
    }

    fn send(&mut self, socket: SocketId, arrival: Arrival) {
        self.wire.push_back((self.now.mono + LATENCY, socket, arrival));
    }

    /// Lets time pass until something happens, at `until` at the latest.
    fn pass(&mut self, until: MonoTime) {
        let arrival = self.wire.front().map(|(at, ..)| *at);
        let server = self.pipes.iter().map(|pipe| pipe.conversation.poll_timeout()).min();
        let next = [arrival, server].into_iter().flatten().fold(until, MonoTime::min).max(self.now.mono);
        let passed = next.since(self.now.mono);
        self.now = Now::new(next, self.now.unix.saturating_add(passed));
        while self.wire.front().is_some_and(|(at, ..)| *at <= self.now.mono) {
            if let Some((_, socket, arrival)) = self.wire.pop_front() {
                self.arrive(socket, arrival);
            }
        }
        for mut pipe in std::mem::take(&mut self.pipes) {
            let is_due = pipe.conversation.poll_timeout() <= self.now.mono;
            if is_due && pipe.conversation.handle_timeout(self.now).is_err() {
                self.send(pipe.socket, Arrival::Down(Vec::new()));
            } else if is_due {
                self.write_back(pipe);
            } else {
                self.pipes.push(pipe);
            }
        }
    }

    fn arrive(&mut self, socket: SocketId, arrival: Arrival) {
        match arrival {
            Arrival::Connected => {
                if !self.client.handle_connected(self.now, socket) {
                    return;
                }
                let peer = ([127, 0, 0, 1], 5000).into();
                let place = self.limit.admit([127, 0, 0, 1].into()).expect("there is room");
                let (server, waker) = (Arc::clone(&self.server), Arc::new(|| {}));
                let conversation = Conversation::new(server, place, peer, waker, self.now);
                let scratch = Scratch::new(Drbg::from_seed([7; 32]));
                self.pipes.push(Pipe { socket, conversation, scratch });
            }
            Arrival::Up(bytes) => {
                let Some(place) = self.pipes.iter().position(|pipe| pipe.socket == socket) else { return };
                let pipe = self.pipes.swap_remove(place);
                self.serve(pipe, &bytes);
            }
            Arrival::Down(bytes) => {
                let mut rest = &bytes[..];
                loop {
                    let Some(mut room) = self.client.links().begin_read(socket) else { return };
                    let space = room.space().expect("there is room");
                    let count = space.len().min(rest.len());
                    space[..count].copy_from_slice(&rest[..count]);
                    rest = &rest[count..];
                    self.client.end_read(self.now, socket, room, Ok(count));
                    if rest.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Gives bytes to the server and takes its answer along.
    fn serve(&mut self, mut pipe: Pipe, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Ok(space) = pipe.conversation.space(&mut pipe.scratch) else { break };
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if pipe.conversation.handle_read(self.now, &mut pipe.scratch, count).is_err() {
                return self.send(pipe.socket, Arrival::Down(Vec::new()));
            }
        }
        self.write_back(pipe);
    }

    /// Takes along what the server writes; keeps the pipe unless the server closes it.
    fn write_back(&mut self, mut pipe: Pipe) {
        let mut answer = Vec::new();
        let is_open = loop {
            match pipe.conversation.poll_write(self.now, &mut pipe.scratch) {
                Ok(WriteAction::Bytes(written)) => answer.extend_from_slice(written),
                Ok(WriteAction::Wait) => break true,
                Ok(WriteAction::Close) | Err(_) => break false,
            }
        };
        pipe.conversation.release_memory(&mut pipe.scratch);
        if !answer.is_empty() {
            self.send(pipe.socket, Arrival::Down(answer));
        }
        if is_open {
            self.pipes.push(pipe);
        } else {
            self.send(pipe.socket, Arrival::Down(Vec::new()));
        }
    }

    /// Makes a call and waits for its answer.
    fn call(&mut self, options: &InvokeOptions) -> Result<(), String> {
        let body = [0x55; 1024];
        let send = |session: &mut chappe_session::client::ClientSession, now, options| {
            session.send_bytes(now, &body, options)
        };
        let (slot, _) =
            self.client.invoke(self.now, options, send).map_err(|error| error.report().to_string())?;
        let call = PendingCall::<Vec<u8>>::signal(slot);
        self.run(PATIENCE, |_| call.is_finished())?;
        match call.wait() {
            Ok(answer) if answer == ANSWER => Ok(()),
            Ok(answer) => Err(format!("{answer:?}")),
            Err(error) => Err(error.report().to_string()),
        }
    }

    /// Connects, calls, idles, calls again and closes.
    fn live(&mut self, options: &InvokeOptions) -> Result<(), String> {
        let ready = PendingCall::<Vec<u8>>::signal(self.client.ready());
        let connected = self.run(PATIENCE, |_| ready.is_finished());
        match (connected, ready.is_finished().then(|| ready.wait())) {
            (Ok(()), Some(Ok(_))) => {}
            (_, Some(Err(error))) => return Err(error.report().to_string()),
            (connected, _) => return connected,
        }
        self.call(options)?;
        let wakes_at = self.now.mono + IDLE;
        self.run(IDLE + PATIENCE, |world| world.now.mono >= wakes_at)?;
        self.call(options)?;
        let metrics = self.client.metrics();
        if metrics.disconnects > 0 {
            return Err(format!("a healthy connection was lost: {metrics:?}"));
        }
        self.client.close(self.now);
        match self.run(PATIENCE, |_| false) {
            Err(ended) if ended == "the client has ended" => Ok(()),
            other => other,
        }
    }
}

const KEY: [u8; 256] = [7; 256];

fn options() -> ConnectOptions {
    let mut keys = KeyRing::empty();
    keys.add(private_key().public_key().clone());
    let handshake = ClientOptions::new(keys, DcId::production(2));
    let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
    let options = ConnectOptions::at(([127, 0, 0, 1], 443), dialling, handshake);
    options.with_key(KeyMaterial::from_handshake(KEY, 42, 0, START as i64))
}

/// Draws values, and remembers whether one of them is too short to count on.
struct Draw {
    rng: Drbg,
    is_tight: bool,
    drawn: Vec<String>,
}

impl Draw {
    fn one<T: Clone + fmt::Debug>(&mut self, of: &[T]) -> T {
        let one = of[self.rng.next_u32() as usize % of.len()].clone();
        self.drawn.push(format!("{one:?}"));
        one
    }

    fn time(&mut self) -> Duration {
        let time = self.one(&[
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1),
            Duration::from_millis(150),
            Duration::from_millis(999),
            Duration::from_millis(1001),
            Duration::from_secs(5),
            Duration::from_secs(60),
            Duration::from_secs(3 * 3600),
            Duration::from_secs(86_400 * 365),
            Duration::from_secs(u64::from(u32::MAX)),
            Duration::from_secs(u64::MAX),
            Duration::MAX,
        ]);
        self.is_tight |= time < SHORT;
        time
    }

    fn count(&mut self) -> usize {
        self.one(&[0, 1, 2, 16, 64, 1000, 4096, 5000, 1 << 20, u32::MAX as usize, usize::MAX])
    }
}

/// What a change works on: the options of the client and of its calls.
type Given = (ConnectOptions, InvokeOptions);

/// One random change, and the name of the option that it changes.
type Change = (&'static str, fn(&mut Given, &mut Draw));

const CHANGES: &[Change] = &[
    ("timing.connect", |given, draw| given.0.timing.connect = draw.time()),
    ("timing.stagger", |given, draw| given.0.timing.stagger = draw.time()),
    ("timing.proof", |given, draw| given.0.timing.proof = draw.time()),
    ("timing.call", |given, draw| given.0.timing.call = Some(draw.time())),
    ("timing.give_up", |given, draw| given.0.timing.give_up = Some(draw.time())),
    ("timing.close", |given, draw| given.0.timing.close = draw.time()),
    ("backoff.first", |given, draw| given.0.backoff.first = draw.time()),
    ("backoff.max", |given, draw| given.0.backoff.max = draw.time()),
    ("backoff.min_interval", |given, draw| given.0.backoff.min_interval = draw.time()),
    ("backoff.per_minute", |given, draw| given.0.backoff.per_minute = draw.count()),
    ("backoff.first_attempts", |given, draw| given.0.backoff.first_attempts = draw.count() as u32),
    ("backoff.flood_failures", |given, draw| given.0.backoff.flood_failures = draw.count() as u32),
    ("liveness.keep_alive", |given, draw| given.0.liveness.keep_alive = draw.time()),
    ("liveness.busy_ping", |given, draw| given.0.liveness.busy_ping = draw.time()),
    ("liveness.busy_ping_rtts", |given, draw| given.0.liveness.busy_ping_rtts = draw.count() as u32),
    ("liveness.dead_after", |given, draw| given.0.liveness.dead_after = draw.time()),
    ("liveness.dead_after_rtts", |given, draw| given.0.liveness.dead_after_rtts = draw.count() as u32),
    ("liveness.disconnect_delay", |given, draw| given.0.liveness.disconnect_delay = draw.time()),
    ("liveness", |given, draw| {
        let keep_alive = draw.time();
        let more = draw.one(&[Duration::from_nanos(1), Duration::from_millis(10), Duration::from_secs(1)]);
        given.0.liveness.keep_alive = keep_alive;
        given.0.liveness.disconnect_delay = keep_alive.saturating_add(more);
    }),
    ("limits.received_ids", |given, draw| given.0.limits.received_ids = draw.count()),
    ("limits.age", |given, draw| given.0.limits.age.past = draw.time()),
    ("limits.age", |given, draw| given.0.limits.age.future = draw.time()),
    ("limits.pending_calls", |given, draw| given.0.limits.pending_calls = draw.count()),
    ("limits.pending_bytes", |given, draw| given.0.limits.pending_bytes = draw.count()),
    ("limits.container_messages", |given, draw| given.0.limits.container_messages = draw.count()),
    ("limits.container_bytes", |given, draw| given.0.limits.container_bytes = draw.count()),
    ("limits.body_bytes", |given, draw| given.0.limits.body_bytes = draw.count()),
    ("limits.received_bytes", |given, draw| given.0.limits.received_bytes = draw.count()),
    ("limits.unpacked_bytes", |given, draw| given.0.limits.unpacked_bytes = draw.count()),
    ("limits.gzip_from", |given, draw| given.0.limits.gzip_from = draw.count()),
    ("limits.acks", |given, draw| given.0.limits.acks = draw.count()),
    ("limits.acks_at_once", |given, draw| given.0.limits.acks_at_once = draw.count()),
    ("limits.ack_delay", |given, draw| given.0.limits.ack_delay = draw.time()),
    ("limits.sent_service_ids", |given, draw| given.0.limits.sent_service_ids = draw.count()),
    ("limits.sent_memory", |given, draw| given.0.limits.sent_memory = draw.time()),
    ("limits.salts", |given, draw| given.0.limits.salts = draw.count()),
    ("limits.attempts", |given, draw| given.0.limits.attempts = draw.count() as u8),
    ("limits.session_resets", |given, draw| given.0.limits.session_resets = draw.count() as u8),
    ("limits.ask_state_after", |given, draw| given.0.limits.ask_state_after = draw.time()),
    ("limits.events", |given, draw| given.0.limits.events = draw.count()),
    ("updates", |given, draw| {
        (given.0.updates.count, given.0.updates.bytes) = (draw.count(), draw.count());
    }),
    ("padding", |given, draw| {
        given.0.padding = draw.one(&[Padding::Minimum, Padding::Random, Padding::Buckets]);
    }),
    ("key", |given, _| given.0.key = None),
    ("temporary_keys", |given, draw| given.0.temporary_keys = Some(draw.time())),
    ("fresh_start", |given, _| given.0.fresh_start = true),
    ("candidates", |given, draw| {
        // The same address under other options: candidates are raced.
        let further = draw.one(&[Framing::Abridged, Framing::Full, Framing::PaddedIntermediate]);
        let dialling = DialOptions::new(Connector::plain(further));
        given.0.candidates.push(Candidate { address: ([127, 0, 0, 1], 80).into(), dialling });
    }),
    ("candidates[0].address", |given, draw| {
        let names = ["127.0.0.1", ":443", "host.example:0", "https://host.example:443", "host.example:443"];
        given.0.candidates[0].address = chappe_carrier::Address::Name(draw.one(&names).into());
    }),
    ("candidates[0].dialling.connector", |given, draw| {
        let framing = draw.one(&[Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate]);
        let hidden = Connector::obfuscated(framing, None).expect("it can be hidden");
        given.0.candidates[0].dialling.connector = draw.one(&[Connector::plain(framing), hidden]);
    }),
    ("candidates[0].dialling.carrier", |given, draw| {
        let hosts = ["127.0.0.1", "host.example:80", "", "a b", "http://host.example"];
        given.0.candidates[0].dialling.carrier = Carrier::Http(Endpoint::http(draw.one(&hosts)));
    }),
    ("candidates[0].dialling.proxy", |given, draw| {
        let addresses = ["127.0.0.1", ":1080", "proxy.example:0", "socks5://127.0.0.1:1080", "::1:1080", ""];
        given.0.candidates[0].dialling.proxy = Some(Proxy::socks5(draw.one(&addresses)));
    }),
    ("candidates[0].dialling.proxy.credentials", |given, draw| {
        let names = ["", "a:b"];
        let (name, proxy) = match draw.one(&names) {
            "" => ("", Proxy::socks5("127.0.0.1:1080")),
            name => (name, Proxy::http_connect("127.0.0.1:1080")),
        };
        given.0.candidates[0].dialling.proxy = Some(proxy.with_credentials(Credentials::new(name, "x")));
    }),
    ("candidates[0].dialling.connect_timeout", |given, draw| {
        given.0.candidates[0].dialling.connect_timeout = draw.time();
    }),
    ("candidates[0].dialling.proxy_timeout", |given, draw| {
        given.0.candidates[0].dialling.proxy_timeout = draw.time();
    }),
    ("candidates[0].dialling.carrier_timeout", |given, draw| {
        given.0.candidates[0].dialling.carrier_timeout = draw.time();
    }),
    ("candidates[0].dialling.hello_timeout", |given, draw| {
        given.0.candidates[0].dialling.hello_timeout = draw.time();
    }),
    ("candidates[0].dialling.write_timeout", |given, draw| {
        given.0.candidates[0].dialling.write_timeout = draw.time();
    }),
    ("call", |given, draw| given.1.timeout = Some(draw.time())),
    ("call", |given, draw| given.1.repeat = draw.one(&[Repeat::Freely, Repeat::Never])),
    ("call", |given, draw| given.1.packing = draw.one(&[Packing::Auto, Packing::Never])),
    ("call", |given, _| given.1.quick_ack = true),
];

/// Lives with options that differ from the defaults in what the seed says.
fn try_seed(seed: u32) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let mut draw = Draw { rng: Drbg::from_seed(bytes), is_tight: false, drawn: Vec::new() };
    let mut given = (options(), InvokeOptions::default());
    // Each option alone first, then several at once.
    let changes: Vec<Change> = match seed as usize / 16 {
        alone if alone < CHANGES.len() => vec![CHANGES[alone]],
        _ => {
            (0..draw.one(&[1, 2, 3])).map(|_| CHANGES[draw.rng.next_u32() as usize % CHANGES.len()]).collect()
        }
    };
    let mut changed = Vec::new();
    for (name, change) in changes {
        change(&mut given, &mut draw);
        changed.push(name);
    }
    let (options, invoke) = given;
    let context = format!("seed {seed}: {changed:?} by {:?}", draw.drawn);
    if let Err(error) = options.validate() {
        let part = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let is_named =
            changed.iter().any(|name| error.option.starts_with(name) || part(name) == part(&error.option));
        return if is_named { Ok(()) } else { Err(format!("{error}; {context}")) };
    }
    if let Err(error) = World::start(options, seed as u8).live(&invoke) {
        return if draw.is_tight { Ok(()) } else { Err(format!("{error}; {context}")) };
    }
    Ok(())
}

#[test]
fn any_option_works_or_is_refused_by_its_name() {
    let failures: Vec<String> = (0..3_000).filter_map(|seed| try_seed(seed).err()).collect();
    assert!(
        failures.is_empty(),
        "{} failures, the first: {:#?}",
        failures.len(),
        &failures[..failures.len().min(20)]
    );
}
