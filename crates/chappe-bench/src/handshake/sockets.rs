//! Whole handshakes over sockets of this machine: our client against our server.

use std::{net::SocketAddr, thread, time::Instant};

use anyhow::Result;
use chappe_crypto::{
    rng::Drbg,
    rsa::{KeyRing, PrivateKey},
};
use chappe_handshake::{ClientOptions, DcId, ServerOptions};
use chappe_net::{DialOptions, blocking::dial_with_new_key};
use chappe_server::{Context, Engine, EngineOptions, Handler, ListenOptions, QueryResponse, tokio::Server};
use chappe_session::server::ServerConfig;
use chappe_transport::{Connector, Framing};

use crate::harness::Group;

/// Clients at the same time.
const CLIENTS: usize = 4;

/// Handshakes of each.
const EACH: usize = 4;

struct Nobody;

impl Handler for Nobody {
    fn query(&self, _context: &Context<'_>, _body: &[u8]) -> QueryResponse {
        QueryResponse::Error { code: 400, message: "METHOD_INVALID".into() }
    }
}

/// A server in a thread of its own, and how to reach it.
struct Target {
    _runtime: tokio::runtime::Runtime,
    address: SocketAddr,
    options: ClientOptions,
    _server: Server,
}

impl Target {
    fn start() -> Result<Self> {
        let mut rng = Drbg::from_os()?;
        let private = PrivateKey::generate(&mut rng)?;
        let mut keys = KeyRing::empty();
        keys.add(private.public_key().clone());
        let mut handshake = ServerOptions::lenient(vec![private]);
        handshake.rate = None;
        let engine = Engine::new(EngineOptions::new(handshake, ServerConfig::default()), Nobody, &mut rng)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listening = Server::listen("127.0.0.1:0", ListenOptions::datacenter(), engine);
        let server = runtime.block_on(listening)?;
        let options = ClientOptions::new(keys, DcId::production(2));
        Ok(Self { _runtime: runtime, address: server.local_addr(), options, _server: server })
    }

    fn handshakes(&self, count: usize) -> Result<()> {
        let mut rng = Drbg::from_os()?;
        let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
        for _ in 0..count {
            dial_with_new_key(self.address, &dialling, self.options.clone(), &mut rng, |_| {})?;
        }
        Ok(())
    }

    /// Goes through so many handshakes at once, one after the other, and returns the time for one.
    fn time(&self, clients: usize, each: usize) -> Result<f64> {
        let begun = Instant::now();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(|| self.handshakes(each))).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(_) => anyhow::bail!("a client panicked"),
            })
        })?;
        Ok(begun.elapsed().as_nanos() as f64 / (clients * each) as f64)
    }
}

/// Measures `rounds` times.
pub fn group(rounds: usize) -> Result<Group> {
    let target = Target::start()?;
    target.handshakes(2)?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(target.time(1, EACH)?);
        together.push(target.time(CLIENTS, EACH)?);
    }
    let title = "over sockets of this machine, connection included: time for one";
    let cases =
        vec![("one client after the other".into(), alone), (format!("{CLIENTS} clients at once"), together)];
    Ok(Group::of(title, cases))
}
