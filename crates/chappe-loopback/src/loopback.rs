//! The datacenter itself: an engine, a listener and the thread they run in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PublicKey};
use chappe_handshake::{ClientOptions, DcId};
use chappe_net::{ConnectOptions, DialOptions};
use chappe_server::tokio::Server;
use chappe_server::{Datacenter, Engine, EngineOptions, ServerCounters, ServerEvent};
use chappe_transport::{Connector, Framing};
use tokio::sync::oneshot;

use crate::api::Api;
use crate::cloud::Cloud;
use crate::error::StartError;
use crate::faults::FaultScript;
use crate::faulty::FaultyConversation;
use crate::handler::FaultyHandler;
use crate::options::Options;

/// A running datacenter. It stops when this is dropped.
#[derive(Debug)]
pub struct Loopback {
    address: SocketAddr,
    dc: DcId,
    cloud: Cloud,
    public_key: PublicKey,
    engine: Arc<Engine>,
    server: Server,
    faults: FaultScript,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Starts datacenter 2 on a free port of 127.0.0.1, with a key of its own.
    ///
    /// # Errors
    ///
    /// No port is free, or a key cannot be made.
    pub fn start() -> Result<Self, StartError> {
        Options::new().start()
    }

    pub(crate) fn start_with(mut options: Options) -> Result<Self, StartError> {
        let mut rng = Drbg::from_os().map_err(|error| std::io::Error::other(error.to_string()))?;
        let handshake = options.handshake_options(&mut rng)?;
        let public_key = match handshake.keys.first() {
            Some(key) => key.public_key().clone(),
            None => return Err(chappe_handshake::ServerOptionsError::NoKeys.into()),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Bound first: the API tells clients its address.
        let listener = options.sockets.bind(options.listen)?;
        let address = listener.local_addr()?;

        let (dc, is_cdn) = (options.dc, options.is_cdn);
        let api = Api { cloud: options.cloud.clone(), dc, address, is_cdn };
        let cloud = options.cloud.clone();
        let dispatcher = api.router().merge(options.router).into_handler();
        let dispatcher = dispatcher.with_limits(options.limits).with_hook(move |event| {
            if let ServerEvent::SessionEnded { session } = event {
                cloud.end_session(session);
            }
        });
        options.session.policy = options.policy;
        let handler = FaultyHandler { inner: dispatcher, faults: options.faults.clone() };
        let mut engine_options = EngineOptions::new(handshake, options.session);
        if let Some((directory, salt_secret)) = options.directory {
            engine_options =
                engine_options.with_directory(Some(directory)).with_salt_secret(Some(salt_secret));
        }
        let engine = Engine::new(engine_options, handler, &mut rng)?;

        let faults = options.faults.clone();
        let server = {
            let _context = runtime.enter();
            let wrap = move |conversation| FaultyConversation::wrap(conversation, &faults);
            Server::serve_wrapped(listener, options.sockets.clone(), Arc::clone(&engine), wrap)?
        };
        let cdn_key = is_cdn.then(|| public_key.to_pem().unwrap_or_default());
        let datacenter = if is_cdn { Datacenter::cdn(dc, address) } else { Datacenter::new(dc, address) };
        options.cloud.add_datacenter(datacenter, cdn_key);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("chappe-loopback".into()).spawn(move || {
            // A dropped sender stops it as well; every connection ends with the runtime.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self {
            address,
            dc,
            cloud: options.cloud,
            public_key,
            engine,
            server,
            faults: options.faults,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns the address it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns which datacenter it is.
    pub const fn dc(&self) -> DcId {
        self.dc
    }

    /// Returns the key that clients must know.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Returns what a client needs to connect: address, number and key, over plain TCP with intermediate frames.
    ///
    /// Every field can be changed for another transport, a store or other time-outs.
    pub fn connect_options(&self) -> ConnectOptions {
        let mut keys = KeyRing::empty();
        keys.add(self.public_key.clone());
        let handshake = ClientOptions::new(keys, self.dc);
        ConnectOptions::at(self.address, DialOptions::new(Connector::plain(Framing::Intermediate)), handshake)
    }

    /// Returns accounts, logins, messages and files, to look into and to change.
    pub const fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Returns its keys and sessions.
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns what its sockets counted so far.
    pub fn counters(&self) -> ServerCounters {
        self.server.counters()
    }

    /// Returns the list of what goes wrong.
    pub const fn faults(&self) -> &FaultScript {
        &self.faults
    }

    /// Sends an update, encoded, constructor id first, to every session that has a connection; says to how many.
    pub fn push(&self, update: &[u8]) -> usize {
        let sessions = self.engine.keys().into_iter().flat_map(|key| key.sessions());
        sessions.filter(|session| session.is_connected() && session.push(update).is_ok()).count()
    }

    /// Makes every temporary key expire.
    pub fn expire_temporary_keys(&self) {
        self.engine.expire_temporary_keys();
    }

    /// Closes all connections and stops listening.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        drop(self.stop.take());
        self.cloud.remove_datacenter(self.dc, self.address);
        if let Some(thread) = self.thread.take() {
            // The thread ends by itself; a panic in it was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.shut_down();
    }
}
