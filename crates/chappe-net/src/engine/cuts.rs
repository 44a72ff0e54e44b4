//! Connections cut at every byte, in memory: the engine of a client against the conversations of a server.
//!
//! Both drivers of either end are thin around these, so what holds here holds for all of them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_framing::UnixTime;
use chappe_handshake::{ClientOptions, DcId, ServerOptions};
use chappe_server::driver::{ConnectionLimit, Conversation, Scratch, WriteAction};
use chappe_server::{Context, Engine, EngineOptions, Handler, ListenOptions, QueryResponse};
use chappe_session::server::ServerConfig;
use chappe_session::{MonoTime, Now};
use chappe_tl::Identifiable;
use chappe_tl_mtproto::functions::GetFutureSalts;
use chappe_transport::{Connector, Framing};

use super::{Action, Engine as Client, Machine as _, SocketId};
use crate::client::pending::{PendingCall, Slot};
use crate::client::updates::UpdateQueue;
use crate::client::{ClientId, ConnectOptions, InvokeOptions};
use crate::options::DialOptions;

/// What a query is answered with.
const ANSWER: &[u8] = b"answer..";

struct Answers;

impl Handler for Answers {
    fn query(&self, _context: &Context<'_>, _body: &[u8]) -> QueryResponse {
        QueryResponse::Answer(ANSWER.to_vec())
    }
}

/// After how many bytes the first connection ends, in either direction.
#[derive(Clone, Copy)]
struct Cut {
    up: usize,
    down: usize,
}

const NEVER: usize = usize::MAX;

/// A connection in memory.
struct Pipe {
    socket: SocketId,
    conversation: Conversation,
    scratch: Scratch,
    cut: Cut,
    is_first: bool,
}

/// One client and one server.
struct World {
    client: Client,
    engine: Arc<Engine>,
    limit: Arc<ConnectionLimit>,
    pipes: Vec<Pipe>,
    /// What the next connections let through.
    cuts: VecDeque<Cut>,
    now: Now,
    /// Bytes that went over the first connection.
    carried: Cut,
    /// Sockets so far.
    sockets: usize,
}

fn private_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(&mut Drbg::from_seed([3; 32])).expect("a key"))
}

impl World {
    fn new(seed: u8, cut: Cut) -> Self {
        let mut rng = Drbg::from_seed([seed; 32]);
        let mut handshake = ServerOptions::lenient(vec![private_key().clone()]);
        handshake.rate = None;
        let options = EngineOptions::new(handshake, ServerConfig::default());
        let engine = Engine::new(options, Answers, &mut rng).expect("good options");
        let limit = Arc::new(ConnectionLimit::new(ListenOptions::datacenter(), Drbg::from_seed([seed; 32])));
        let mut keys = KeyRing::empty();
        keys.add(private_key().public_key().clone());
        let handshake = ClientOptions::new(keys, DcId::production(2));
        let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
        let options = ConnectOptions::at(([127, 0, 0, 1], 443), dialling, handshake);
        let now =
            Now::new(MonoTime::from_duration(Duration::from_secs(1)), UnixTime::from_secs(1_800_000_000));
        let updates = Arc::new(UpdateQueue::new(options.updates.clone()));
        let client =
            Client::new(ClientId::next(), options, false, updates, now, Drbg::from_seed([seed ^ 1; 32]));
        let carried = Cut { up: 0, down: 0 };
        let sockets = 0;
        Self { client, engine, limit, pipes: Vec::new(), cuts: [cut].into(), now, carried, sockets }
    }

    /// Does what the engine says until `is_done`.
    fn run(&mut self, is_done: impl Fn(&Client) -> bool) {
        for _ in 0..10_000 {
            if is_done(&self.client) {
                return;
            }
            match self.client.poll_action(self.now) {
                Action::Connect { socket, .. } => self.connect(socket),
                // Bytes are brought as soon as there are any.
                Action::Read(_) => {}
                Action::Write(socket) => self.carry(socket),
                Action::Close(socket) => self.pipes.retain(|pipe| pipe.socket != socket),
                Action::WaitUntil(at) => {
                    let at = at.expect("somebody waits for something");
                    let waited = at.since(self.now.mono);
                    self.now = Now::new(self.now.mono + waited, self.now.unix.saturating_add(waited));
                }
                Action::Store(_) => panic!("there is no store"),
                Action::Finished => panic!("it is over: {:?}", self.client.status(self.now)),
            }
            self.client.take_wakers().wake();
        }
        panic!("it does not end: {:?}", self.client.status(self.now));
    }

    fn connect(&mut self, socket: SocketId) {
        let peer: SocketAddr = ([127, 0, 0, 1], 5000).into();
        let place = self.limit.admit(peer.ip()).expect("there is room");
        let (engine, waker) = (Arc::clone(&self.engine), Arc::new(|| {}));
        let conversation = Conversation::new(engine, place, peer, waker, self.now);
        let scratch = Scratch::new(Drbg::from_seed([7; 32]));
        let cut = self.cuts.pop_front().unwrap_or(Cut { up: NEVER, down: NEVER });
        self.sockets += 1;
        self.pipes.push(Pipe { socket, conversation, scratch, cut, is_first: self.sockets == 1 });
        assert!(self.client.handle_connected(self.now, socket), "it is wanted");
    }

    /// Carries bytes to the server and what it answers back, as far as the connection lets them through.
    fn carry(&mut self, socket: SocketId) {
        let Some(buffer) = self.client.links().begin_write(socket) else { return };
        let Some(pipe) = self.pipes.iter_mut().find(|pipe| pipe.socket == socket) else { return };
        let bytes = buffer.bytes();
        let passed = bytes.len().min(pipe.cut.up);
        let mut is_cut = passed < bytes.len();
        pipe.cut.up -= if pipe.cut.up == NEVER { 0 } else { passed };
        let answer = pipe.serve(self.now, &bytes[..passed]);
        let brought = answer.len().min(pipe.cut.down);
        is_cut |= brought < answer.len();
        pipe.cut.down -= if pipe.cut.down == NEVER { 0 } else { brought };
        if pipe.is_first {
            self.carried.up += passed;
            self.carried.down += brought;
        }
        let count = bytes.len();
        self.client.end_write(self.now, socket, buffer, Ok(count));
        let mut rest = &answer[..brought];
        while !rest.is_empty()
            && let Some(mut room) = self.client.links().begin_read(socket)
        {
            let space = room.space().expect("there is room");
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            self.client.end_read(self.now, socket, room, Ok(count));
        }
        if is_cut && let Some(room) = self.client.links().begin_read(socket) {
            self.client.end_read(self.now, socket, room, Ok(0));
        }
    }
}

impl Pipe {
    /// Gives bytes to the server, and returns what it writes.
    fn serve(&mut self, now: Now, mut bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        while !bytes.is_empty() {
            let space = self.conversation.space(&mut self.scratch).expect("it reads on");
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.conversation.handle_read(now, &mut self.scratch, count).expect("bytes in order");
            bytes = &bytes[count..];
            loop {
                match self.conversation.poll_write(now, &mut self.scratch).expect("an answer") {
                    WriteAction::Bytes(written) => answer.extend_from_slice(written),
                    WriteAction::Wait => break,
                    WriteAction::Close => panic!("the end instead of an answer"),
                }
            }
            self.conversation.release_memory(&mut self.scratch);
        }
        answer
    }
}

/// Makes a key, makes a call, and returns how many bytes the first connection carried.
fn exchange(seed: u8, cut: Cut) -> Cut {
    let mut world = World::new(seed, cut);
    let ready = PendingCall::<Vec<u8>>::signal(world.client.ready());
    world.run(|_| ready.is_finished());
    let call = GetFutureSalts::CONSTRUCTOR_ID.wrapping_add(1).to_le_bytes();
    let invoked = world.client.invoke(world.now, &InvokeOptions::default(), |session, now, options| {
        session.send_bytes(now, &call, options)
    });
    let (slot, _): (Arc<Slot>, _) = invoked.unwrap_or_else(|error| panic!("{error}"));
    let pending = PendingCall::<Vec<u8>>::signal(slot);
    world.run(|client| client.status(world_now()).pending_calls == 0);
    let answer = pending.wait().unwrap_or_else(|error| panic!("after {} and {}: {error}", cut.up, cut.down));
    assert_eq!(answer, ANSWER);
    assert_eq!(world.engine.keys().len(), 1, "one exchange makes one key, however often it is interrupted");
    world.carried
}

#[test]
fn a_connection_is_asked_for_a_sign_of_life_at_once_after_the_machine_slept() {
    let mut world = World::new(1, Cut { up: NEVER, down: NEVER });
    let ready = PendingCall::<Vec<u8>>::signal(world.client.ready());
    world.run(|_| ready.is_finished());
    world.run(|client| client.status(world_now()).round_trip.is_some());
    let frames = |client: &Client| client.status(world_now()).counters.frames_sent;
    let sent = frames(&world.client);
    // The monotonic clock stood still: the keep-alive is due in a minute.
    let woken = world.now.mono + Duration::from_secs(1);
    world.now = Now::new(woken, world.now.unix.saturating_add(Duration::from_secs(101)));
    world.run(|client| frames(client) > sent);
    assert!(world.now.mono.since(woken) < Duration::from_secs(1));
}

/// Only counters are asked for, which know no time.
fn world_now() -> Now {
    Now::new(MonoTime::ZERO, UnixTime::EPOCH)
}

/// Every so manyth byte, beginning with `first`, so that tests share the processors.
fn every(first: usize, step: usize, cut_at: impl Fn(usize) -> Cut, carried: impl Fn(Cut) -> usize) {
    let whole = carried(exchange(1, Cut { up: NEVER, down: NEVER }));
    assert!((600..3000).contains(&whole), "{whole}");
    for cut in (first..whole).step_by(step) {
        exchange(1, cut_at(cut));
    }
}

#[test]
fn a_connection_cut_at_any_even_byte_of_the_server_still_gives_one_key_and_an_answer() {
    every(0, 2, |down| Cut { up: NEVER, down }, |carried| carried.down);
}

#[test]
fn a_connection_cut_at_any_odd_byte_of_the_server_still_gives_one_key_and_an_answer() {
    every(1, 2, |down| Cut { up: NEVER, down }, |carried| carried.down);
}

#[test]
fn a_connection_cut_at_any_even_byte_of_the_client_still_gives_one_key_and_an_answer() {
    every(0, 2, |up| Cut { up, down: NEVER }, |carried| carried.up);
}

#[test]
fn a_connection_cut_at_any_odd_byte_of_the_client_still_gives_one_key_and_an_answer() {
    every(1, 2, |up| Cut { up, down: NEVER }, |carried| carried.up);
}
