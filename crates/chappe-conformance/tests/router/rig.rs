//! A server of either kind with a router, clients for it, and functions of a private schema.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_handshake::{ClientOptions, DcId, ServerOptions};
use chappe_net::{Client, ConnectOptions, DialOptions, InvokeError};
use chappe_server::{Dispatcher, Engine, EngineOptions, ListenOptions, Router, ServerEvent};
use chappe_session::server::ServerConfig;
use chappe_tl::Deserializable;
use chappe_tl::deserialize::{self, Buffer};
use chappe_tl::{EncodeError, Identifiable, RemoteCall, Serializable, Sink};
use chappe_transport::{Connector, Framing};
use tokio::sync::Notify;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server.
pub(crate) struct Rig {
    pub(crate) engine: Arc<Engine>,
    address: SocketAddr,
    key: PrivateKey,
    pub(crate) server: Server,
    pub(crate) events: Arc<Mutex<Vec<ServerEvent>>>,
}

pub(crate) enum Server {
    Tokio(Option<chappe_server::tokio::Server>, tokio::runtime::Runtime),
    Blocking(Option<chappe_server::blocking::Server>),
}

impl Rig {
    /// Starts a server of each kind with the same handlers.
    pub(crate) fn both(dispatcher: impl Fn() -> Dispatcher) -> [Self; 2] {
        [Self::start(dispatcher()), Self::start_blocking(dispatcher())]
    }

    pub(crate) fn start(dispatcher: Dispatcher) -> Self {
        let (engine, key, events) = engine(dispatcher);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listening = chappe_server::tokio::Server::listen(
            "127.0.0.1:0",
            ListenOptions::datacenter(),
            Arc::clone(&engine),
        );
        let server = runtime.block_on(listening).expect("a free port");
        let address = server.local_addr();
        Self { engine, address, key, server: Server::Tokio(Some(server), runtime), events }
    }

    pub(crate) fn start_blocking(dispatcher: Dispatcher) -> Self {
        let (engine, key, events) = engine(dispatcher);
        let options = ListenOptions::datacenter();
        let server = chappe_server::blocking::Server::listen("127.0.0.1:0", options, Arc::clone(&engine));
        let server = server.expect("a free port");
        let address = server.local_addr();
        Self { engine, address, key, server: Server::Blocking(Some(server)), events }
    }

    pub(crate) fn options(&self, dc: DcId) -> ConnectOptions {
        let mut keys = KeyRing::empty();
        keys.add(self.key.public_key().clone());
        let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
        ConnectOptions::at(self.address, dialling, ClientOptions::new(keys, dc))
    }

    pub(crate) fn client(&self) -> Client {
        chappe_net::blocking::connect(self.options(DcId::production(2))).expect("a connection")
    }

    /// Ends the server in order. Returns whether everything ended in time.
    pub(crate) fn shut_down(&mut self) -> bool {
        match &mut self.server {
            Server::Tokio(server, runtime) => {
                let server = server.take().expect("it was not shut down before");
                runtime.block_on(server.shutdown(PATIENCE))
            }
            Server::Blocking(server) => {
                server.take().expect("it was not shut down before").shutdown(PATIENCE)
            }
        }
    }
}

fn engine(dispatcher: Dispatcher) -> (Arc<Engine>, PrivateKey, Arc<Mutex<Vec<ServerEvent>>>) {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    let key = KEY.get_or_init(|| PrivateKey::generate(&mut Drbg::from_seed([3; 32])).expect("a key")).clone();
    let mut rng = Drbg::from_os().expect("randomness");
    let mut handshake = ServerOptions::lenient(vec![key.clone()]);
    handshake.rate = None;
    let options = EngineOptions::new(handshake, ServerConfig::default());
    let events = Arc::<Mutex<Vec<ServerEvent>>>::default();
    let seen = Arc::clone(&events);
    let dispatcher = dispatcher.with_hook(move |event| seen.lock().expect("no panic").push(event.clone()));
    (Engine::new(options, dispatcher, &mut rng).expect("good options"), key, events)
}

/// A router whose `wait` is answered with its number once `ready` is told.
pub(crate) fn waiting(ready: &Arc<Notify>) -> Router {
    let ready = Arc::clone(ready);
    Router::new().on(move |_, call: Wait| {
        let ready = Arc::clone(&ready);
        async move {
            ready.notified().await;
            Ok(call.0)
        }
    })
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The code and text of the error that a call was answered with.
pub(crate) fn refusal<T: core::fmt::Debug>(answer: Result<T, InvokeError>) -> (i32, String) {
    match answer {
        Err(InvokeError::Call(error)) => (error.code, error.message),
        other => panic!("{other:?} is no error of the server"),
    }
}

/// `add#22222222 a:long b:long = long;`
#[derive(Debug)]
pub(crate) struct Add {
    pub(crate) a: i64,
    pub(crate) b: i64,
}

impl Identifiable for Add {
    const CONSTRUCTOR_ID: u32 = 0x2222_2222;
}

impl Serializable for Add {
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError> {
        Self::CONSTRUCTOR_ID.serialize(out)?;
        self.a.serialize(out)?;
        self.b.serialize(out)
    }
}

impl Deserializable for Add {
    fn deserialize(buf: Buffer<'_, '_>) -> deserialize::Result<Self> {
        buf.expect_id("add", Self::CONSTRUCTOR_ID)?;
        Ok(Self { a: buf.read_i64()?, b: buf.read_i64()? })
    }
}

impl RemoteCall for Add {
    type Return = i64;
}

/// `wait#33333333 number:int = int;`
#[derive(Debug)]
pub(crate) struct Wait(pub(crate) i32);

impl Identifiable for Wait {
    const CONSTRUCTOR_ID: u32 = 0x3333_3333;
}

impl Serializable for Wait {
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError> {
        Self::CONSTRUCTOR_ID.serialize(out)?;
        self.0.serialize(out)
    }
}

impl Deserializable for Wait {
    fn deserialize(buf: Buffer<'_, '_>) -> deserialize::Result<Self> {
        buf.expect_id("wait", Self::CONSTRUCTOR_ID)?;
        Ok(Self(buf.read_i32()?))
    }
}

impl RemoteCall for Wait {
    type Return = i32;
}
