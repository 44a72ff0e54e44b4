//! Each connection of a server has a span of its own, in which everything about it is told.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

use std::fmt;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::PrivateKey;
use chappe_handshake::ServerOptions;
use chappe_server::ListenOptions;
use chappe_server::{Context, Engine, EngineOptions, Handler, QueryResponse};
use chappe_server::{blocking, tokio as server_tokio};
use chappe_session::server::ServerConfig;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

/// What was told: the peer in the span of a connection, and a message within it.
type Told = Vec<(Option<String>, String)>;

#[derive(Default)]
struct Ledger {
    /// The peer of each span, by its number.
    peers: Mutex<Vec<String>>,
    told: Mutex<Told>,
}

thread_local! {
    static CURRENT: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Reads one field of a span or an event.
struct Reading {
    name: &'static str,
    value: Option<String>,
}

impl Visit for Reading {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == self.name {
            self.value = Some(format!("{value:?}"));
        }
    }
}

struct Watcher(Arc<Ledger>);

impl Subscriber for Watcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("chappe_server")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        assert_eq!(span.metadata().name(), "connection");
        let mut reading = Reading { name: "peer", value: None };
        span.record(&mut reading);
        let mut peers = self.0.peers.lock().expect("no panic");
        peers.push(reading.value.expect("a connection has a peer"));
        Id::from_u64(peers.len() as u64)
    }

    fn event(&self, event: &Event<'_>) {
        let mut reading = Reading { name: "message", value: None };
        event.record(&mut reading);
        let span = CURRENT.with(|current| current.borrow().last().copied());
        let peer = span.map(|span| self.0.peers.lock().expect("no panic")[span as usize - 1].clone());
        self.0.told.lock().expect("no panic").push((peer, reading.value.unwrap_or_default()));
    }

    fn enter(&self, span: &Id) {
        CURRENT.with(|current| current.borrow_mut().push(span.into_u64()));
    }

    fn exit(&self, _span: &Id) {
        CURRENT.with(|current| current.borrow_mut().pop());
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
}

struct Nobody;

impl Handler for Nobody {
    fn query(&self, _context: &Context<'_>, _body: &[u8]) -> QueryResponse {
        QueryResponse::Error { code: 400, message: "METHOD_INVALID".into() }
    }
}

fn engine() -> Arc<Engine> {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    let key = KEY.get_or_init(|| PrivateKey::generate(&mut Drbg::from_seed([3; 32])).expect("a key"));
    let options = EngineOptions::new(ServerOptions::lenient(vec![key.clone()]), ServerConfig::default());
    Engine::new(options, Nobody, &mut Drbg::from_seed([4; 32])).expect("good options")
}

/// Opens two connections to a server and looks for what was told of each.
fn watch(server: SocketAddr, ledger: &Ledger) {
    let sockets = [(); 2].map(|()| {
        let mut socket = TcpStream::connect(server).expect("the server listens");
        socket.write_all(&[0xef]).expect("the server reads");
        socket
    });
    for socket in sockets {
        let peer = socket.local_addr().expect("a bound socket").to_string();
        drop(socket);
        for message in ["connection detected", "connection ended"] {
            let wanted = (Some(peer.clone()), message.to_owned());
            let deadline = Instant::now() + Duration::from_secs(20);
            while !ledger.told.lock().expect("no panic").contains(&wanted) {
                assert!(
                    Instant::now() < deadline,
                    "{wanted:?} is not told: {:?}",
                    ledger.told.lock().expect("no panic")
                );
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    }
}

#[test]
fn what_happens_on_a_connection_is_told_in_its_span() {
    let ledger = Arc::new(Ledger::default());
    subscriber::set_global_default(Watcher(Arc::clone(&ledger))).expect("nobody watches yet");
    let options = ListenOptions::datacenter();

    let server = blocking::Server::listen("127.0.0.1:0", options.clone(), engine()).expect("a free port");
    watch(server.local_addr(), &ledger);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let server = runtime.block_on(server_tokio::Server::listen("127.0.0.1:0", options, engine()));
    watch(server.expect("a free port").local_addr(), &ledger);

    // On one thread the spans of tasks take turns: a span that is left out would show here.
    let told = ledger.told.lock().expect("no panic");
    assert!(
        told.iter().all(|(peer, message)| peer.is_some() || !message.starts_with("connection ")),
        "{told:?}"
    );
}
