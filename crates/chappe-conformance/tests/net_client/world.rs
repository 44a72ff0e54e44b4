//! A datacenter that can be stopped and started, and clients for it.

use core::net::SocketAddr;
use core::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_handshake::{ClientOptions, Dc, KeyKind};
use chappe_loopback::{FaultScript, Loopback, Options};
use chappe_net::server::KeyState;
use chappe_net::{ConnectOptions, DialOptions};
use chappe_transport::{Connector, Framing};

/// A datacenter, and what survives when it is stopped.
pub(crate) struct World {
    pub(crate) faults: FaultScript,
    key: PrivateKey,
    address: SocketAddr,
    running: Option<Loopback>,
    /// What was kept of the keys when it was stopped.
    keys: Vec<(chappe_crypto::AuthKey, chappe_net::server::KeyKind)>,
    setup: fn(Options) -> Options,
}

/// A server's key. Making one takes a while, and tests need no secret.
pub(crate) fn private_key() -> PrivateKey {
    PrivateKey::generate(&mut Drbg::from_seed([5; 32])).expect("a key from good randomness")
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(|options| options)
    }

    pub(crate) fn start_with(setup: fn(Options) -> Options) -> Self {
        let faults = FaultScript::new();
        let key = private_key();
        let options = setup(Options::new().private_key(key.clone()).faults(&faults));
        let running = options.start().expect("a port is free");
        let address = running.address();
        Self { faults, key, address, running: Some(running), keys: Vec::new(), setup }
    }

    pub(crate) fn datacenter(&self) -> &Loopback {
        self.running.as_ref().expect("it is running")
    }

    /// Stops the datacenter: connections are cut and its port is closed.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.keys =
                running.engine().keys().iter().map(|key| (key.auth_key().clone(), key.kind())).collect();
            running.stop();
        }
    }

    /// Starts it again at the same address, with the same keys and without its sessions.
    pub(crate) fn start_again(&mut self) {
        let options = Options::new().private_key(self.key.clone()).faults(&self.faults).listen(self.address);
        let running = (self.setup)(options).start().expect("the port is still free");
        for (key, kind) in self.keys.drain(..) {
            running.engine().add_key(KeyState::new(key, kind));
        }
        self.running = Some(running);
    }

    /// Options of a client that is quick to try again.
    pub(crate) fn options(&self) -> ConnectOptions {
        self.options_at(self.address)
    }

    pub(crate) fn options_at(&self, address: SocketAddr) -> ConnectOptions {
        let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
        let mut options = ConnectOptions::at(address, dialling, self.handshake());
        options.backoff.first = Duration::from_millis(4);
        options.backoff.max = Duration::from_millis(20);
        options.backoff.min_interval = Duration::from_millis(1);
        options.backoff.per_minute = 10_000;
        options.timing.stagger = Duration::from_millis(20);
        options
    }

    pub(crate) fn handshake(&self) -> ClientOptions {
        let mut keys = KeyRing::empty();
        keys.add(self.key.public_key().clone());
        ClientOptions { keys, dc: Dc::production(2), kind: KeyKind::Permanent }
    }
}
