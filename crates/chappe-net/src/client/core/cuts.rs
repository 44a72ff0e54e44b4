//! Connections cut at every byte, in memory: the core of a client against the conversations of a server.
//!
//! Both drivers of either end are thin around these, so what holds here holds for all of them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chappe_carrier::{FrameReader, FrameWriter, LinkError, join};
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_framing::{FrameBuf, TransportTail, UnixTime};
use chappe_handshake::{ClientOptions, DcId, ServerOptions};
use chappe_server::driver::{Conversation, Gate, Kit, Write};
use chappe_server::{Context, Engine, EngineOptions, Handler, ListenOptions, NoFaults, Verdict};
use chappe_session::server::ServerConfig;
use chappe_session::{MonoTime, Now};
use chappe_tl::Identifiable;
use chappe_tl_mtproto::functions::GetFutureSalts;
use chappe_transport::{ConnectStep, ConnectionLimits, Connector, Framing, ReadBuf};

use super::{Core, Errand, LinkId, Output};
use crate::client::pending::{PendingCall, Slot};
use crate::client::updates::UpdateQueue;
use crate::client::{ConnectOptions, InvokeOptions};
use crate::options::DialOptions;

/// What a query is answered with.
const ANSWER: &[u8] = b"answer..";

struct Answers;

impl Handler for Answers {
    fn query(&self, _context: &Context<'_>, _body: &[u8]) -> Verdict {
        Verdict::Answer(ANSWER.to_vec())
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
    link: LinkId,
    outgoing: FrameWriter,
    ingoing: FrameReader,
    conversation: Conversation,
    kit: Kit,
    cut: Cut,
}

/// One client and one server.
struct World {
    core: Core,
    engine: Arc<Engine>,
    gate: Arc<Gate>,
    pipes: Vec<Pipe>,
    /// What the next connections let through.
    cuts: VecDeque<Cut>,
    rng: Drbg,
    now: Now,
    /// Bytes that went over the first connection.
    carried: Cut,
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
        let gate = Arc::new(Gate::new(ListenOptions::data_centre(), Drbg::from_seed([seed; 32])));
        let mut keys = KeyRing::empty();
        keys.add(private_key().public_key().clone());
        let handshake = ClientOptions::new(keys, DcId::production(2));
        let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
        let options = Arc::new(ConnectOptions::at(([127, 0, 0, 1], 443).into(), dialling, handshake));
        let now =
            Now::new(MonoTime::from_duration(Duration::from_secs(1)), UnixTime::from_secs(1_800_000_000));
        let updates = Arc::new(UpdateQueue::new(options.updates.clone()));
        let core = Core::new(options, None, None, updates, now, Drbg::from_seed([seed ^ 1; 32]));
        let carried = Cut { up: 0, down: 0 };
        Self { core, engine, gate, pipes: Vec::new(), cuts: [cut].into(), rng, now, carried }
    }

    /// Goes on until `is_done` says so.
    fn run(&mut self, is_done: impl Fn(&Core) -> bool) {
        let mut frame = FrameBuf::new();
        for _ in 0..10_000 {
            if is_done(&self.core) {
                return;
            }
            let errand = match self.core.poll_output(self.now, &mut frame) {
                Output::Frame { link, ack } => {
                    let Some(pipe) = self.pipes.iter_mut().find(|pipe| pipe.link == link) else { continue };
                    let bytes = pipe.outgoing.encode(&mut frame, ack, &mut self.rng).expect("a good frame");
                    let bytes = bytes.to_vec();
                    self.carry(link, &bytes);
                    continue;
                }
                Output::Errand(errand) => errand,
            };
            match errand {
                Errand::Dial { link, .. } => self.dial(link),
                Errand::Close { link } => self.pipes.retain(|pipe| pipe.link != link),
                Errand::Wait(at) => {
                    let at = at.expect("somebody waits for something");
                    let waited = at.since(self.now.mono);
                    self.now = Now::new(self.now.mono + waited, self.now.unix.saturating_add(waited));
                }
                Errand::Store(_) => panic!("there is no store"),
                Errand::Finished => panic!("it is over: {:?}", self.core.status(self.now)),
            }
        }
        panic!("it does not end: {:?}", self.core.status(self.now));
    }

    fn dial(&mut self, link: LinkId) {
        let mut prefix = Vec::new();
        let connector = Connector::plain(Framing::Intermediate);
        let started = connector.start(0, &mut self.rng, &mut prefix);
        let Ok(ConnectStep::Ready(connection)) = started else { panic!("it hides nothing") };
        let (outgoing, ingoing) = join(connection, ReadBuf::new(&ConnectionLimits::DEFAULT));
        let peer: SocketAddr = ([127, 0, 0, 1], 5000).into();
        let place = self.gate.admit(peer.ip()).expect("there is room");
        let (engine, waker) = (Arc::clone(&self.engine), Arc::new(|| {}));
        let conversation = Conversation::new(engine, Arc::new(NoFaults), place, peer, waker, self.now);
        let kit = Kit::new(Drbg::from_seed([7; 32]));
        let cut = self.cuts.pop_front().unwrap_or(Cut { up: NEVER, down: NEVER });
        self.pipes.push(Pipe { link, outgoing, ingoing, conversation, kit, cut });
        assert!(self.core.handle_dialled(self.now, link, TransportTail::None));
        self.carry(link, &prefix);
    }

    /// Carries bytes to the server and what it answers back, as far as the connection lets them through.
    fn carry(&mut self, link: LinkId, bytes: &[u8]) {
        let Some(pipe) = self.pipes.iter_mut().find(|pipe| pipe.link == link) else { return };
        let passed = bytes.len().min(pipe.cut.up);
        let mut is_cut = passed < bytes.len();
        pipe.cut.up -= if pipe.cut.up == NEVER { 0 } else { passed };
        let answer = pipe.serve(self.now, &bytes[..passed]);
        let brought = answer.len().min(pipe.cut.down);
        is_cut |= brought < answer.len();
        pipe.cut.down -= if pipe.cut.down == NEVER { 0 } else { brought };
        if link == LinkId(1) {
            self.carried.up += passed;
            self.carried.down += brought;
        }
        let mut rest = &answer[..brought];
        while !rest.is_empty() {
            let space = pipe.ingoing.space().expect("there is room");
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            pipe.ingoing.commit(count).expect("nothing stands in between");
            rest = &rest[count..];
            while let Some(incoming) = pipe.ingoing.take().expect("frames in order") {
                self.core.handle_incoming(self.now, link, incoming);
            }
        }
        if is_cut {
            self.core.handle_lost(self.now, link, LinkError::Closed);
        }
        self.core.take_wakers().wake();
    }
}

impl Pipe {
    /// Gives bytes to the server, and returns what it writes.
    fn serve(&mut self, now: Now, mut bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        while !bytes.is_empty() {
            let space = self.conversation.space(&mut self.kit).expect("it reads on");
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.conversation.handle_read(now, &mut self.kit, count).expect("bytes in order");
            bytes = &bytes[count..];
            loop {
                match self.conversation.poll_write(now, &mut self.kit).expect("an answer") {
                    Write::Bytes(written) => answer.extend_from_slice(written),
                    Write::Nothing => break,
                    other => panic!("{other:?} instead of an answer"),
                }
            }
            self.conversation.rest(&mut self.kit);
        }
        answer
    }
}

/// Makes a key, makes a call, and returns how many bytes the first connection carried.
fn exchange(seed: u8, cut: Cut) -> Cut {
    let mut world = World::new(seed, cut);
    let ready = PendingCall::<Vec<u8>>::signal(world.core.ready());
    world.run(|_| ready.is_finished());
    let call = GetFutureSalts::CONSTRUCTOR_ID.wrapping_add(1).to_le_bytes();
    let invoked = world.core.invoke(world.now, &InvokeOptions::default(), |session, now, options| {
        session.send_bytes(now, &call, options)
    });
    let (slot, _): (Arc<Slot>, _) = invoked.unwrap_or_else(|error| panic!("{error}"));
    let pending = PendingCall::<Vec<u8>>::signal(slot);
    world.run(|core| core.status(world_now()).pending_calls == 0);
    let answer = pending.wait().unwrap_or_else(|error| panic!("after {} and {}: {error}", cut.up, cut.down));
    assert_eq!(answer, ANSWER);
    assert_eq!(world.engine.keys().len(), 1, "one exchange makes one key, however often it is interrupted");
    world.carried
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
