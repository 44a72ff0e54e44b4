//! A server: every transport on one port, two threads for each connection.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chappe_crypto::rng::Drbg;
use chappe_session::Now;

use crate::ListenOptions;
use crate::conversation::{Conversation, Write};
use crate::gate::Gate;
use crate::kit::Kit;
use crate::{Engine, Faults, NoFaults, ServerCounters};
use chappe_carrier::{LinkError, Wait};

/// A running server. It ends at once when this is dropped, and in order by [`shutdown`](Self::shutdown).
///
/// One thread reads each connection and one writes it, so this is for hundreds of connections; for thousands there
/// is `chappe_server::tokio::Server`.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shop: Arc<Shop>,
    thread: Option<JoinHandle<()>>,
}

/// What connections share.
struct Shop {
    engine: Arc<Engine>,
    gate: Arc<Gate>,
    faults: Arc<dyn Faults>,
    is_stopping: AtomicBool,
    numbers: AtomicU64,
    lines: Mutex<HashMap<u64, Arc<Line>>>,
    one_ended: Condvar,
}

/// One connection.
struct Line {
    socket: TcpStream,
    /// A thread has more memory of its own than its kit is worth, so it keeps that.
    conversation: Mutex<(Conversation, Box<Kit>)>,
    bell: Arc<Bell>,
    /// The reader has nothing more to give.
    is_over: AtomicBool,
}

/// Wakes the thread that writes.
#[derive(Default)]
struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

/// What a thread reads at once.
const ONE_READ: usize = 16 * 1024;

impl Server {
    /// Binds a socket and serves its connections.
    ///
    /// # Errors
    ///
    /// What the operating system says about the address, or if it has no thread to give.
    pub fn listen(
        address: impl ToSocketAddrs,
        options: ListenOptions,
        engine: Arc<Engine>,
    ) -> io::Result<Self> {
        Self::serve(TcpListener::bind(address)?, options, engine, Arc::new(NoFaults))
    }

    /// Serves the connections of a socket that is bound already, with things going wrong on purpose if `faults` says
    /// so.
    ///
    /// # Errors
    ///
    /// If the operating system has no thread to give, or no randomness.
    pub fn serve(
        listener: TcpListener,
        options: ListenOptions,
        engine: Arc<Engine>,
        faults: Arc<dyn Faults>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let seeder = Drbg::from_os().map_err(|error| io::Error::other(error.to_string()))?;
        let shop = Arc::new(Shop {
            engine,
            gate: Arc::new(Gate::new(options, seeder)),
            faults,
            is_stopping: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            lines: Mutex::default(),
            one_ended: Condvar::new(),
        });
        let shared = Arc::clone(&shop);
        let thread = spawn("chappe-accept", move || accept(&listener, &shared))?;
        Ok(Self { address, shop, thread: Some(thread) })
    }

    /// Returns the address that was bound, with its port where 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns keys and sessions.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shop.engine
    }

    /// Returns what was counted so far.
    pub fn counters(&self) -> ServerCounters {
        self.shop.gate.counters()
    }

    /// Stops listening, reads nothing more, sends the answers that are still due, and closes every connection; those
    /// that take longer than `grace` are cut off. Says whether none had to be.
    pub fn shutdown(mut self, grace: Duration) -> bool {
        self.stop_listening();
        let lines: Vec<_> = lock(&self.shop.lines).values().cloned().collect();
        for line in &lines {
            line.bell.ring();
        }
        drop(lines);
        let open = lock(&self.shop.lines);
        let waited = self.shop.one_ended.wait_timeout_while(open, grace, |open| !open.is_empty());
        let (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        open.is_empty()
    }

    fn stop_listening(&mut self) {
        self.shop.is_stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // The thread waits for a connection: here is one.
            let woken = TcpStream::connect_timeout(&reachable(self.address), Duration::from_secs(1));
            if woken.is_ok() {
                // A panic in it was reported when it happened.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_listening();
        for line in lock(&self.shop.lines).values() {
            // It may be closed already.
            let _ = line.socket.shutdown(Shutdown::Both);
            line.is_over.store(true, Ordering::SeqCst);
            line.bell.ring();
        }
    }
}

/// Returns an address under which a socket bound to `address` can be reached from here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Lets connections in until the server stops.
fn accept(listener: &TcpListener, shop: &Arc<Shop>) {
    loop {
        let accepted = listener.accept();
        if shop.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        let admitted = accepted.map_err(LinkError::Io).and_then(|(socket, peer)| admit(socket, peer, shop));
        if let Err(error) = admitted {
            tracing::warn!(%error, "connection not accepted");
            if matches!(error, LinkError::Io(_)) {
                // Out of sockets or threads, perhaps: trying again at once would only burn the processor.
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn admit(socket: TcpStream, peer: SocketAddr, shop: &Arc<Shop>) -> Result<(), LinkError> {
    if shop.faults.refuses() {
        return Ok(());
    }
    let place = shop.gate.admit(peer.ip())?;
    let bell = Arc::new(Bell::default());
    let waker = {
        let bell = Arc::clone(&bell);
        Arc::new(move || bell.ring())
    };
    let (engine, faults) = (Arc::clone(&shop.engine), Arc::clone(&shop.faults));
    let conversation = Conversation::new(engine, faults, place, peer, waker, Now::from_system());
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(conversation.write_timeout()))?;
    let (conversation, is_over) =
        (Mutex::new((conversation, shop.gate.shelf().take())), AtomicBool::new(false));
    let line = Arc::new(Line { socket, conversation, bell, is_over });
    let number = shop.numbers.fetch_add(1, Ordering::Relaxed);
    let (reader, shared) = (Arc::clone(&line), Arc::clone(shop));
    lock(&shop.lines).insert(number, Arc::clone(&line));
    let span = tracing::info_span!("connection", %peer);
    let reading = span.clone();
    let spawned = spawn("chappe-connection", move || {
        let _entered = span.enter();
        if let Err(error) = line.run(&shared) {
            tracing::debug!(%error, "connection ended");
        }
        let _ = line.socket.shutdown(Shutdown::Both);
        lock(&shared.lines).remove(&number);
        shared.one_ended.notify_all();
    })
    .and_then(|_| spawn("chappe-reading", move || reading.in_scope(|| reader.read_all())));
    if spawned.is_err() {
        lock(&shop.lines).remove(&number);
    }
    spawned.map(drop).map_err(LinkError::Io)
}

impl Line {
    /// Gives everything that comes to the conversation, while nothing is written.
    fn read_all(&self) {
        let mut bytes = [0; ONE_READ];
        let read = |bytes: &mut [u8]| -> Result<(), LinkError> {
            let count = (&self.socket).read(bytes)?;
            let mut talk = lock(&self.conversation);
            let (conversation, kit) = &mut *talk;
            if count == 0 {
                return conversation.handle_read(Now::from_system(), kit, 0);
            }
            let mut rest = &bytes[..count];
            while !rest.is_empty() {
                let space = conversation.space(kit)?;
                let part = rest.len().min(space.len());
                space[..part].copy_from_slice(&rest[..part]);
                conversation.handle_read(Now::from_system(), kit, part)?;
                rest = &rest[part..];
            }
            Ok(())
        };
        while let Ok(()) = read(&mut bytes) {
            self.bell.ring();
        }
        self.is_over.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Writes until the connection ends.
    fn run(&self, shop: &Shop) -> Result<(), LinkError> {
        loop {
            if shop.is_stopping.load(Ordering::SeqCst) {
                lock(&self.conversation).0.drain();
            }
            let Some(deadline) = self.write_all()? else {
                return Ok(());
            };
            if self.is_over.load(Ordering::SeqCst) {
                return Err(LinkError::Closed);
            }
            if !self.bell.wait(deadline) {
                lock(&self.conversation).0.handle_timeout(Now::from_system())?;
            }
        }
    }

    /// Writes everything that is to be written, and says until when to wait; `None` at the end.
    fn write_all(&self) -> Result<Option<Instant>, LinkError> {
        // Nobody reads while this is held: a client that does not read may not ask for more.
        let mut talk = lock(&self.conversation);
        let (conversation, kit) = &mut *talk;
        let patience = conversation.write_timeout();
        loop {
            match conversation.poll_write(Now::from_system(), kit)? {
                Write::Nothing => break,
                Write::End => return Ok(None),
                Write::Pause(time) => thread::sleep(time),
                Write::Bytes(bytes) => {
                    let written = (&self.socket).write_all(bytes);
                    let written = written.map_err(|error| LinkError::from_io(error, Wait::Write, patience));
                    if matches!(written, Err(LinkError::TimedOut { .. })) {
                        conversation.on_slow_reader();
                    }
                    written?;
                }
            }
        }
        conversation.rest(kit);
        Ok(Some(Instant::now() + conversation.poll_timeout().since(Now::from_system().mono)))
    }
}

impl Bell {
    fn ring(&self) {
        *lock(&self.has_rung) = true;
        self.rings.notify_one();
    }

    /// Waits until it rings, and says whether it did before the deadline.
    fn wait(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waiting = self.rings.wait_timeout_while(lock(&self.has_rung), left, |has_rung| !*has_rung);
        let (mut has_rung, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *has_rung)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work)
}

/// A panic elsewhere must not stop every other connection.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shop").field("counters", &self.gate.counters()).finish_non_exhaustive()
    }
}
