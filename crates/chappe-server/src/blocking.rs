//! A listener over `std::net`: two threads for each connection.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chappe_carrier::{LinkError, Wait, lock};
use chappe_session::Now;

use crate::conversation::{Conversation, WriteAction};
use crate::directory_threads::DirectoryThreads;
use crate::scratch::Scratch;
use crate::shared::{ServerShared, on_accept_error};
use crate::{Engine, ListenOptions, ServerCounters};

/// A running server. Dropping it ends it at once; [`shutdown`](Self::shutdown) ends it in order.
///
/// One thread reads each connection and one writes it. That suits hundreds of connections; for thousands use
/// `chappe_server::tokio::Server`.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    threads: Arc<Threads>,
    accepting: Option<JoinHandle<()>>,
    /// They end with the server.
    _directory: Option<DirectoryThreads>,
}

/// The connections of a server.
struct Threads {
    shared: ServerShared,
    is_stopping: AtomicBool,
    numbers: AtomicU64,
    open: Mutex<HashMap<u64, Arc<ConnThread>>>,
    one_ended: Condvar,
}

/// One connection.
struct ConnThread {
    socket: TcpStream,
    /// A thread has more memory of its own than a scratch is worth, so it keeps one.
    conversation: Mutex<(Conversation, Box<Scratch>)>,
    signal: Arc<Signal>,
    /// The reading thread has ended.
    is_read: AtomicBool,
    /// The writing thread has ended.
    is_written: AtomicBool,
    /// The conversation may want input again.
    resumed: Condvar,
}

/// Wakes the thread that writes.
#[derive(Default)]
struct Signal {
    is_set: Mutex<bool>,
    changed: Condvar,
}

/// How long the reading thread has for what arrived during a long write.
const READ_GRACE: Duration = Duration::from_millis(50);

/// How often a reading thread that waits for a look-up looks whether the connection has ended.
const RECHECK: Duration = Duration::from_millis(500);

/// A conversation, locked.
type Locked<'a> = MutexGuard<'a, (Conversation, Box<Scratch>)>;

/// Bytes that a thread reads at once.
const ONE_READ: usize = 16 * 1024;

impl Server {
    /// Binds a socket and serves its connections.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the operating system has no thread or no randomness.
    pub fn listen(
        address: impl ToSocketAddrs,
        options: ListenOptions,
        engine: Arc<Engine>,
    ) -> io::Result<Self> {
        Self::serve(options.bind_any(address.to_socket_addrs()?)?, options, engine)
    }

    /// Serves the connections of a socket that is already bound.
    ///
    /// # Errors
    ///
    /// The operating system has no thread or no randomness, or the options ask for what only `tokio::Server` does:
    /// [`load_balancers`](ListenOptions::load_balancers) or a [`mask`](ListenOptions::mask).
    pub fn serve(listener: TcpListener, options: ListenOptions, engine: Arc<Engine>) -> io::Result<Self> {
        if options.mask.is_some() || !options.load_balancers.is_empty() {
            let text = "load balancers and a mask need the listener over tokio";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let address = listener.local_addr()?;
        let threads = Arc::new(Threads {
            shared: ServerShared::new(options, engine)?,
            is_stopping: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            open: Mutex::default(),
            one_ended: Condvar::new(),
        });
        let directory = DirectoryThreads::start(&threads.shared.engine)?;
        let accepting = {
            let threads = Arc::clone(&threads);
            spawn("chappe-accept", move || threads.accept(&listener))?
        };
        Ok(Self { address, threads, accepting: Some(accepting), _directory: directory })
    }

    /// Returns the address that was bound; where port 0 was asked for, with the port that was chosen.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the keys and sessions.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.threads.shared.engine
    }

    /// Returns the counters.
    pub fn counters(&self) -> ServerCounters {
        self.threads.shared.limit.counters()
    }

    /// Stops listening and reading, sends the answers that are due, and closes every connection. Cuts off those that take
    /// longer than `grace`. Returns whether all closed in time.
    pub fn shutdown(mut self, grace: Duration) -> bool {
        self.stop_listening();
        let open: Vec<_> = lock(&self.threads.open).values().cloned().collect();
        for thread in &open {
            thread.signal.set();
        }
        drop(open);
        let open = lock(&self.threads.open);
        let waited = self.threads.one_ended.wait_timeout_while(open, grace, |open| !open.is_empty());
        let (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        open.is_empty()
    }

    fn stop_listening(&mut self) {
        self.threads.is_stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.accepting.take() {
            // The thread is blocked in `accept`: a connection wakes it.
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
        for thread in lock(&self.threads.open).values() {
            // It may be closed already.
            let _ = thread.socket.shutdown(Shutdown::Both);
            thread.is_read.store(true, Ordering::SeqCst);
            thread.signal.set();
        }
    }
}

/// Returns an address at which this machine reaches a socket bound to `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Threads {
    /// Accepts connections until the server stops.
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.is_stopping.load(Ordering::SeqCst) {
                return;
            }
            let started = accepted.map_err(LinkError::Io).and_then(|(socket, peer)| self.start(socket, peer));
            if let Err(error) = started {
                thread::sleep(on_accept_error(&error));
            }
        }
    }

    /// Starts both threads of a connection.
    ///
    /// The guards end the connection also if a thread panics, or cannot be started: its closure is dropped then.
    fn start(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr) -> Result<(), LinkError> {
        let thread = self.admit(socket, peer)?;
        let (open, reading) = (OpenGuard::new(self, &thread), ReadGuard(Arc::clone(&thread)));
        let span = tracing::info_span!("connection", %peer);
        let reading_span = span.clone();
        spawn("chappe-connection", move || span.in_scope(|| open.write_until_end()))?;
        spawn("chappe-reading", move || reading_span.in_scope(|| reading.0.read_until_end()))?;
        Ok(())
    }

    /// Admits a connection, if the limits allow it.
    fn admit(&self, socket: TcpStream, peer: SocketAddr) -> Result<Arc<ConnThread>, LinkError> {
        let signal = Arc::new(Signal::default());
        let waker = {
            let signal = Arc::clone(&signal);
            Arc::new(move || signal.set())
        };
        let conversation = self.shared.admit(peer, waker)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(conversation.write_timeout()))?;
        let conversation = Mutex::new((conversation, self.shared.limit.scratch().take()));
        let [is_read, is_written] = [false; 2].map(AtomicBool::new);
        let resumed = Condvar::new();
        Ok(Arc::new(ConnThread { socket, conversation, signal, is_read, is_written, resumed }))
    }
}

/// The place of a connection among those that are open. Dropping it closes the socket.
struct OpenGuard {
    threads: Arc<Threads>,
    number: u64,
    thread: Arc<ConnThread>,
}

impl OpenGuard {
    fn new(threads: &Arc<Threads>, thread: &Arc<ConnThread>) -> Self {
        let number = threads.numbers.fetch_add(1, Ordering::Relaxed);
        lock(&threads.open).insert(number, Arc::clone(thread));
        Self { threads: Arc::clone(threads), number, thread: Arc::clone(thread) }
    }

    fn write_until_end(&self) {
        if let Err(error) = self.thread.write_until_end(&self.threads.is_stopping) {
            tracing::debug!(%error, "connection ended");
        }
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.thread.socket.shutdown(Shutdown::Both);
        self.thread.is_written.store(true, Ordering::SeqCst);
        self.thread.resumed.notify_all();
        lock(&self.threads.open).remove(&self.number);
        self.threads.one_ended.notify_all();
    }
}

/// The reading half of a connection. Dropping it ends the thread that writes.
struct ReadGuard(Arc<ConnThread>);

impl Drop for ReadGuard {
    fn drop(&mut self) {
        self.0.is_read.store(true, Ordering::SeqCst);
        self.0.signal.set();
    }
}

impl ConnThread {
    /// Hands everything that comes to the conversation, except while bytes are written.
    fn read_until_end(&self) {
        let mut bytes = [0; ONE_READ];
        while let Ok(()) = self.read(&mut bytes) {
            self.signal.set();
        }
    }

    fn read(&self, bytes: &mut [u8]) -> Result<(), LinkError> {
        // Read before locking: the wait for bytes must not keep the other thread from writing.
        let count = (&self.socket).read(bytes)?;
        let mut locked = lock(&self.conversation);
        if count == 0 {
            let (conversation, scratch) = &mut *locked;
            return conversation.handle_read(Now::from_system(), scratch, 0);
        }
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            locked = self.wait_for_directory(locked)?;
            let (conversation, scratch) = &mut *locked;
            let space = conversation.space(scratch)?;
            let part = rest.len().min(space.len());
            space[..part].copy_from_slice(&rest[..part]);
            conversation.handle_read(Now::from_system(), scratch, part)?;
            rest = &rest[part..];
            self.signal.set();
        }
        Ok(())
    }

    /// Blocks while the conversation waits for a look-up. The writing thread handles what comes of it.
    fn wait_for_directory<'a>(&self, mut locked: Locked<'a>) -> Result<Locked<'a>, LinkError> {
        while !locked.0.wants_input() {
            if self.is_written.load(Ordering::SeqCst) {
                return Err(LinkError::Closed);
            }
            // A time-out, since the end of the other thread is noted without the lock.
            let waited = self.resumed.wait_timeout(locked, RECHECK);
            locked = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(locked)
    }

    fn write_until_end(&self, is_stopping: &AtomicBool) -> Result<(), LinkError> {
        loop {
            if is_stopping.load(Ordering::SeqCst) {
                lock(&self.conversation).0.drain();
            }
            let Some(deadline) = self.write_all()? else {
                return Ok(());
            };
            if self.is_read.load(Ordering::SeqCst) {
                return Err(LinkError::Closed);
            }
            // While answers were written the other thread could not handle what has arrived, such as a ping: it may do so
            // before the time is judged.
            let is_late = deadline <= Instant::now();
            let deadline = if is_late { Instant::now() + READ_GRACE } else { deadline };
            if !self.signal.wait(deadline) {
                lock(&self.conversation).0.handle_timeout(Now::from_system())?;
            }
        }
    }

    /// Writes everything that there is to write. Returns until when to wait, or `None` at the end.
    fn write_all(&self) -> Result<Option<Instant>, LinkError> {
        // The lock keeps the other thread from handling input: a client that does not read may not queue more answers.
        let mut locked = lock(&self.conversation);
        let (conversation, scratch) = &mut *locked;
        let patience = conversation.write_timeout();
        loop {
            match conversation.poll_write(Now::from_system(), scratch)? {
                WriteAction::Wait => break,
                WriteAction::Close => return Ok(None),
                WriteAction::Bytes(bytes) => {
                    let written = (&self.socket).write_all(bytes);
                    let written = written.map_err(|error| LinkError::from_io(error, Wait::Write, patience));
                    if matches!(written, Err(LinkError::TimedOut { .. })) {
                        conversation.count_slow_reader();
                    }
                    written?;
                }
            }
        }
        conversation.release_memory(scratch);
        self.resumed.notify_all();
        Ok(Some(Instant::now() + conversation.poll_timeout().since(Now::from_system().mono)))
    }
}

impl Signal {
    fn set(&self) {
        *lock(&self.is_set) = true;
        self.changed.notify_one();
    }

    /// Blocks until it is set, and resets it. Returns `false` if the deadline passed first.
    fn wait(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waiting = self.changed.wait_timeout_while(lock(&self.is_set), left, |is_set| !*is_set);
        let (mut is_set, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *is_set)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work)
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("shared", &self.shared).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chappe_crypto::rng::Drbg;
    use chappe_crypto::rsa::PrivateKey;
    use chappe_handshake::ServerOptions;
    use chappe_session::server::ServerConfig;

    use super::*;
    use crate::{Context, EngineOptions, Handler, Verdict};

    struct Nobody;

    impl Handler for Nobody {
        fn query(&self, _: &Context<'_>, _: &[u8]) -> Verdict {
            Verdict::Later
        }
    }

    fn threads() -> Arc<Threads> {
        let mut rng = Drbg::from_seed([1; 32]);
        let handshake = ServerOptions::lenient(vec![PrivateKey::generate(&mut rng).expect("a key")]);
        let options = EngineOptions::new(handshake, ServerConfig::default());
        let engine = Engine::new(options, Nobody, &mut rng).expect("good options");
        let hour = Duration::from_secs(3600);
        let options = ListenOptions::datacenter().with_first_bytes_timeout(hour);
        let shared = ServerShared::new(options, engine).expect("randomness");
        let (is_stopping, numbers) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Threads { shared, is_stopping, numbers, open: Mutex::default(), one_ended: Condvar::new() })
    }

    /// A connection whose threads are not started, and the client's end of it.
    fn connection(threads: &Arc<Threads>) -> (Arc<ConnThread>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (socket, peer) = listener.accept().expect("a connection");
        (threads.admit(socket, peer).expect("there is room"), client)
    }

    fn wait_for_the_end(threads: &Threads) {
        let (open, patience) = (lock(&threads.open), Duration::from_secs(20));
        let waited = threads.one_ended.wait_timeout_while(open, patience, |open| !open.is_empty());
        assert!(!waited.expect("no panic").1.timed_out(), "the connection stays");
    }

    #[test]
    fn a_connection_ends_with_either_of_its_threads() {
        let threads = threads();
        // The reading thread panics, or was never started.
        let (thread, mut client) = connection(&threads);
        let (open, reading) = (OpenGuard::new(&threads, &thread), ReadGuard(thread));
        let writing = spawn("test", move || open.write_until_end()).expect("a thread");
        drop(reading);
        wait_for_the_end(&threads);
        writing.join().expect("no panic");
        assert_eq!(client.read(&mut [0]).expect("an end in order"), 0);
        // The same of the writing thread.
        let (thread, mut client) = connection(&threads);
        let (open, reading) = (OpenGuard::new(&threads, &thread), ReadGuard(thread));
        let reading = spawn("test", move || reading.0.read_until_end()).expect("a thread");
        drop(open);
        reading.join().expect("no panic");
        assert_eq!(client.read(&mut [0]).expect("an end in order"), 0);
        assert!(lock(&threads.open).is_empty());
        assert_eq!(threads.shared.limit.counters().open, 0, "and the places are free");
    }
}
