//! A datacenter that can be stopped and started, and clients for it.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_handshake::{ClientOptions, DcId};
use chappe_loopback::{FaultScript, Loopback, Options};
use chappe_net::{ConnectOptions, DialOptions};
use chappe_server::KeyState;
use chappe_transport::{Connector, Framing};

/// A datacenter, and what survives when it is stopped.
pub(crate) struct World {
    pub(crate) faults: FaultScript,
    key: PrivateKey,
    address: SocketAddr,
    running: Option<Loopback>,
    /// What was kept of the keys when it was stopped.
    keys: Vec<(chappe_crypto::AuthKey, chappe_server::KeyStatus)>,
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

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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
        ClientOptions::new(keys, DcId::production(2))
    }
}

/// Somebody who accepts connections and says nothing.
pub(crate) struct Hole {
    listener: TcpListener,
}

impl Hole {
    pub(crate) fn open() -> Self {
        // The system accepts for it, as long as its queue has room.
        Self { listener: TcpListener::bind("127.0.0.1:0").expect("a port is free") }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }
}

/// A relay in front of a datacenter that cuts connections.
pub(crate) struct Cutter {
    address: SocketAddr,
    plan: Arc<Plan>,
}

/// Nothing is cut.
const NEVER: usize = usize::MAX;

struct Plan {
    /// Bytes of the datacenter that the next new connection, and no other, lets through.
    once: AtomicUsize,
    /// Bytes of the datacenter that the connections that are open let through from now on.
    open: AtomicUsize,
    swallows: AtomicBool,
    /// Open connections pass nothing on.
    stalls: AtomicBool,
    /// Connections made before this one are read no more.
    deaf_before: AtomicUsize,
    accepted: AtomicUsize,
}

impl Cutter {
    pub(crate) fn before(datacenter: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (once, open) = (AtomicUsize::new(NEVER), AtomicUsize::new(NEVER));
        let plan = Arc::new(Plan {
            once,
            open,
            swallows: AtomicBool::new(false),
            stalls: AtomicBool::new(false),
            deaf_before: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&plan);
        thread::spawn(move || {
            let mut swallowed = Vec::new();
            for client in listener.incoming().map_while(Result::ok) {
                let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
                if shared.swallows.load(Ordering::Relaxed) {
                    swallowed.push(client);
                    continue;
                }
                let Ok(server) = TcpStream::connect(datacenter) else { continue };
                let (up, back) = (client.try_clone(), server.try_clone());
                let (Ok(mut up), Ok(mut back)) = (up, back) else { continue };
                let plan = Arc::clone(&shared);
                thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = up.read(&mut buffer) {
                        if back.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                        while number < plan.deaf_before.load(Ordering::Relaxed) {
                            thread::park_timeout(Duration::from_millis(1));
                        }
                    }
                    let _ = back.shutdown(Shutdown::Both);
                });
                let left = shared.once.swap(NEVER, Ordering::Relaxed);
                let plan = Arc::clone(&shared);
                thread::spawn(move || relay(server, client, left, &plan));
            }
        });
        Self { address, plan }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the next connection after so many bytes of the datacenter.
    pub(crate) fn cut_once_after(&self, count: usize) {
        self.plan.once.store(count, Ordering::Relaxed);
    }

    /// Cuts the connection that is open after so many further bytes of the datacenter.
    pub(crate) fn cut_open_after(&self, count: usize) {
        self.plan.open.store(count, Ordering::Relaxed);
    }

    /// Lets every connection say nothing, or new ones answer again.
    pub(crate) fn stall(&self, stalls: bool) {
        self.plan.stalls.store(stalls, Ordering::Relaxed);
        self.swallow_next(stalls);
    }

    /// Takes nothing more from the connections that are open; new ones are as ever.
    pub(crate) fn deafen(&self) {
        self.plan.deaf_before.store(self.accepted(), Ordering::Relaxed);
    }

    /// Lets those go on, or end.
    pub(crate) fn listen(&self) {
        self.plan.deaf_before.store(0, Ordering::Relaxed);
    }

    /// Returns how many connections were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.plan.accepted.load(Ordering::Relaxed)
    }

    /// Lets new connections say nothing, or no longer.
    pub(crate) fn swallow_next(&self, swallows: bool) {
        self.plan.swallows.store(swallows, Ordering::Relaxed);
    }
}

/// Passes on what the datacenter sends, until the plan says to cut.
fn relay(mut server: TcpStream, mut client: TcpStream, mut left: usize, plan: &Plan) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        if plan.stalls.load(Ordering::Relaxed) {
            continue;
        }
        left = left.min(plan.open.swap(NEVER, Ordering::Relaxed));
        let passed = count.min(left);
        if client.write_all(&buffer[..passed]).is_err() || passed < count || left == passed {
            break;
        }
        left = if left == NEVER { NEVER } else { left - passed };
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
