//! A server of either kind and a client for it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::KeyRing;
use chappe_crypto::rsa::PrivateKey;
use chappe_framing::{FrameBuf, MsgId, RpcResult, UnixTime};
use chappe_handshake::ServerOptions;
use chappe_handshake::{ClientOptions, DcId};
use chappe_net::{DialOptions, LinkError, Stream, blocking};
use chappe_server::directory::Directory;
use chappe_server::{
    Attached, Context, Engine, EngineOptions, Handler, KeyState, KeyStatus, ListenOptions, QueryResponse,
    ServerCounters,
};
use chappe_session::client::KeyMaterial;
use chappe_session::server::ServerConfig;
use chappe_session::{EncryptedSession, TransportTail};
use chappe_tl::{EncodeError, RemoteCall, Serializable, Sink};
use chappe_transport::{AckRequest, Framing, Incoming, TransportErrorCode};
use rand_core::Rng as _;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a client asks for: the first word is the constructor.
#[derive(Clone, Copy)]
pub(crate) enum Query {
    /// The same bytes.
    Echo(u32),
    /// An answer when the test says so.
    Later,
    /// Two updates to the session of the query, then an answer: whether it is connected.
    Push,
    /// An answer of this many bytes that gzip makes no smaller.
    Much(u32),
}

impl Query {
    const fn words(self) -> [u32; 2] {
        match self {
            Self::Echo(value) => [1, value],
            Self::Later => [2, 0],
            Self::Push => [4, 0],
            Self::Much(len) => [3, len],
        }
    }
}

impl Serializable for Query {
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError> {
        self.words().iter().try_for_each(|word| word.serialize(out))
    }
}

impl RemoteCall for Query {
    type Return = i64;
}

/// Queries that wait for the test.
pub(crate) type Waiting = Arc<Mutex<Vec<(Attached, MsgId)>>>;

struct Answers(Waiting);

impl Handler for Answers {
    fn query(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse {
        let word = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes"));
        match word(0) {
            1 => QueryResponse::Answer(body.to_vec()),
            2 => {
                self.0.lock().expect("no panic").push((context.session.clone(), context.msg_id));
                QueryResponse::Later
            }
            3 => {
                let mut bytes = vec![0; word(4) as usize];
                Drbg::from_seed([5; 32]).fill_bytes(&mut bytes);
                QueryResponse::Answer(bytes)
            }
            4 => {
                let session = context.session;
                for update in [b"first...", b"second.."] {
                    session.push(update).expect("the session takes it");
                }
                QueryResponse::Answer(vec![u8::from(session.is_connected()); 4])
            }
            _ => QueryResponse::Error { code: 400, message: "METHOD_INVALID".into() },
        }
    }
}

/// A server of either kind.
pub(crate) enum Server {
    Blocking(chappe_server::blocking::Server),
    Tokio(chappe_server::tokio::Server, tokio::runtime::Runtime),
}

/// A server, and the queries that wait in it.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) waiting: Waiting,
}

fn engine(adapt: impl FnOnce(EngineOptions) -> EngineOptions) -> (Arc<Engine>, Waiting) {
    let private = private_key();
    let mut rng = Drbg::from_os().expect("randomness");
    let waiting = Waiting::default();
    let handler = Answers(Arc::clone(&waiting));
    let options = EngineOptions::new(ServerOptions::lenient(vec![private.clone()]), ServerConfig::default());
    let options = adapt(options);
    let has_directory = options.directory.is_some();
    let engine = Engine::new(options, handler, &mut rng).expect("good options");
    if !has_directory {
        engine.add_key(KeyState::new(auth_key(), KeyStatus::Permanent));
    }
    (engine, waiting)
}

/// The server's RSA key.
pub(crate) fn private_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(&mut Drbg::from_seed([3; 32])).expect("a key"))
}

/// The key that client and server share.
pub(crate) fn auth_key() -> AuthKey {
    AuthKey::from_bytes([9; 256])
}

/// The same for a client of the crate.
pub(crate) fn key_material() -> KeyMaterial {
    let now = UnixTime::now().as_secs() as i64;
    KeyMaterial::from_handshake(auth_key(), 0, 0, now)
}

/// How such a client would make a key, which it need not.
pub(crate) fn handshake() -> ClientOptions {
    ClientOptions::new(KeyRing::empty(), DcId::production(2))
}

/// Starts a server of each kind.
pub(crate) fn both(options: &ListenOptions) -> [Running; 2] {
    [start_blocking(options), start_tokio(options)]
}

pub(crate) fn start_blocking(options: &ListenOptions) -> Running {
    let (engine, waiting) = engine(|engine| engine);
    serve_blocking(options, engine, waiting)
}

fn serve_blocking(options: &ListenOptions, engine: Arc<Engine>, waiting: Waiting) -> Running {
    let server =
        chappe_server::blocking::Server::listen("127.0.0.1:0", options.clone(), engine).expect("a free port");
    Running { server: Server::Blocking(server), waiting }
}

pub(crate) fn start_tokio(options: &ListenOptions) -> Running {
    let (engine, waiting) = engine(|engine| engine);
    serve_tokio(options, engine, waiting)
}

/// Starts a server of each kind whose keys are in a directory.
pub(crate) fn both_with(directory: impl Fn() -> Directory) -> [Running; 2] {
    let options = ListenOptions::datacenter();
    let adapt =
        |engine: EngineOptions| engine.with_directory(Some(directory())).with_salt_secret(Some([4; 32]));
    [serve_blocking, serve_tokio].map(|serve| {
        let (engine, waiting) = engine(adapt);
        serve(&options, engine, waiting)
    })
}

fn serve_tokio(options: &ListenOptions, engine: Arc<Engine>, waiting: Waiting) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let listening = chappe_server::tokio::Server::listen("127.0.0.1:0", options.clone(), engine);
    let server = runtime.block_on(listening).expect("a free port");
    Running { server: Server::Tokio(server, runtime), waiting }
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.server {
            Server::Blocking(server) => server.local_addr(),
            Server::Tokio(server, _) => server.local_addr(),
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        match &self.server {
            Server::Blocking(server) => server.engine(),
            Server::Tokio(server, _) => server.engine(),
        }
    }

    pub(crate) fn counters(&self) -> ServerCounters {
        match &self.server {
            Server::Blocking(server) => server.counters(),
            Server::Tokio(server, _) => server.counters(),
        }
    }

    /// Waits until the counters are as they should be.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&ServerCounters) -> bool) {
        let mut last = self.counters();
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&last) {
            assert!(Instant::now() < deadline, "{what} does not happen: {last:?}");
            thread::park_timeout(Duration::from_millis(1));
            last = self.counters();
        }
    }

    pub(crate) fn shutdown(self, grace: Duration) -> bool {
        match self.server {
            Server::Blocking(server) => server.shutdown(grace),
            Server::Tokio(server, runtime) => runtime.block_on(server.shutdown(grace)),
        }
    }
}

pub(crate) fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// A session over a connection.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    session: EncryptedSession,
    rng: Drbg,
    frame: FrameBuf,
}

impl Client {
    pub(crate) fn dial(address: SocketAddr, options: &DialOptions) -> Self {
        let mut rng = Drbg::from_os().expect("randomness");
        let stream = blocking::dial(address, options, &mut rng).expect("the server listens");
        let mut session = EncryptedSession::with_rng(auth_key(), 0, 0, &mut rng);
        if stream.framing() == Framing::PaddedIntermediate {
            session.set_transport_tail(TransportTail::Padded);
        }
        Self { stream, session, rng, frame: FrameBuf::new() }
    }

    pub(crate) fn send(&mut self, object: &impl Serializable) -> MsgId {
        self.frame.clear();
        let packed = self.session.pack_into(object, UnixTime::now(), &mut self.rng, &mut self.frame);
        let msg_id = packed.expect("it can be sent");
        self.stream.send(&mut self.frame, AckRequest::No).expect("the server reads");
        msg_id
    }

    /// Takes one frame and returns its bodies.
    pub(crate) fn receive(&mut self) -> Result<Vec<Vec<u8>>, LinkError> {
        let session = &mut self.session;
        self.stream.receive(PATIENCE, |incoming| match incoming {
            Incoming::Envelope { payload, .. } => {
                let mut bodies = Vec::new();
                let unpacked = session.unpack_each(UnixTime::now(), payload, |message| {
                    bodies.push(message.body.to_vec());
                });
                unpacked.expect("a frame of the server");
                bodies
            }
            other => panic!("{other:?} instead of a frame"),
        })
    }

    /// Returns how the server ends the connection: with an error, or without a word.
    pub(crate) fn end(&mut self) -> Option<TransportErrorCode> {
        let end = self.stream.receive(PATIENCE, |incoming| match incoming {
            Incoming::Error(code) => code,
            other => panic!("{other:?} instead of the end"),
        });
        match end {
            Ok(code) => Some(code),
            Err(LinkError::TimedOut { .. }) => panic!("the connection does not end"),
            Err(_) => None,
        }
    }

    /// Lets the session learn the server's salt.
    pub(crate) fn learn_salt(&mut self) {
        self.send(&Query::Echo(0));
        self.receive().expect("bad_server_salt");
    }

    pub(crate) fn answer(&mut self, query: MsgId) -> Result<Vec<u8>, LinkError> {
        loop {
            for body in self.receive()? {
                if let Ok(result) = RpcResult::new_checked(&body)
                    && result.req_msg_id() == query
                {
                    return Ok(result.result().to_vec());
                }
            }
        }
    }

    /// Asks for an echo and gets it.
    pub(crate) fn echo(&mut self, value: u32) {
        let query = self.send(&Query::Echo(value));
        let answer = self.answer(query).expect("an answer");
        assert_eq!(answer, [1_u32.to_le_bytes(), value.to_le_bytes()].concat());
    }

    /// Reads until the connection ends.
    pub(crate) fn read_to_end(&mut self) {
        while self.receive().is_ok() {}
    }
}

/// Answers the queries that wait.
pub(crate) fn answer_all(waiting: &Waiting) {
    for (session, msg_id) in waiting.lock().expect("no panic").drain(..) {
        let answer = QueryResponse::Answer(b"done".to_vec());
        session.respond(msg_id, answer).expect("the session takes it");
    }
}
