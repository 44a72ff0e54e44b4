//! A listener over `std::net`: two threads for each connection.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chappe_carrier::{LinkError, Wait, lock};
use chappe_session::Now;

use crate::blocking_front::{POLL, hand_on, read_proxy_header};
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
    /// Connections of load balancers that have not named their client yet.
    unnamed: AtomicUsize,
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
    /// The reading thread must end, and leave the socket open.
    is_wanted: AtomicBool,
    /// Bytes that were read after the client was refused, for the site.
    late: Mutex<Vec<u8>>,
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
    /// The operating system has no thread or no randomness.
    pub fn serve(listener: TcpListener, options: ListenOptions, engine: Arc<Engine>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let threads = Arc::new(Threads {
            shared: ServerShared::new(options, engine)?,
            is_stopping: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            unnamed: AtomicUsize::new(0),
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
        let options = self.shared.limit.options();
        if !options.is_load_balancer(peer.ip()) {
            let (open, reading) = self.begin(socket, peer, Vec::new())?;
            let span = tracing::info_span!("connection", %peer);
            let writing = span.clone();
            spawn("chappe-connection", move || writing.in_scope(|| open.write_until_end()))?;
            return reading.start(span);
        }
        // Until the header has come, the connection has no place among the others.
        let limit = options.max_connections;
        let unnamed = Unnamed::new(self);
        if self.unnamed.load(Ordering::Relaxed) > limit {
            return Err(LinkError::TooMany { limit });
        }
        let threads = Arc::clone(self);
        spawn("chappe-connection", move || {
            if let Err(error) = threads.serve_named(socket, peer, unnamed) {
                tracing::debug!(%error, "connection ended");
            }
        })?;
        Ok(())
    }

    /// Reads the header of a load balancer and serves the connection, as its writing thread.
    fn serve_named(
        self: &Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        unnamed: Unnamed,
    ) -> Result<(), LinkError> {
        let patience = self.shared.limit.options().first_bytes_timeout;
        let (client, first) = read_proxy_header(&socket, peer, patience)?;
        drop(unnamed);
        let (open, reading) = self.begin(socket, client, first)?;
        let span = tracing::info_span!("connection", peer = %client, load_balancer = %peer.ip());
        reading.start(span.clone())?;
        span.in_scope(|| open.write_until_end());
        Ok(())
    }

    /// Admits a connection that begins with these bytes, and makes both halves of it.
    fn begin(
        self: &Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        first: Vec<u8>,
    ) -> Result<(OpenGuard, ReadGuard), LinkError> {
        let thread = self.admit(socket, peer)?;
        Ok((OpenGuard::new(self, &thread), ReadGuard { thread, first }))
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
        // In front of a site, the reading thread must end without the socket.
        let poll = self.shared.limit.options().mask.is_some().then_some(POLL);
        socket.set_read_timeout(poll)?;
        let conversation = Mutex::new((conversation, self.shared.limit.scratch().take()));
        let [is_read, is_written, is_wanted] = [false; 3].map(AtomicBool::new);
        let (resumed, late) = (Condvar::new(), Mutex::default());
        Ok(Arc::new(ConnThread {
            socket,
            conversation,
            signal,
            is_read,
            is_written,
            resumed,
            is_wanted,
            late,
        }))
    }
}

/// Counts a connection of a load balancer that has not named its client yet.
struct Unnamed(Arc<Threads>);

impl Unnamed {
    fn new(threads: &Arc<Threads>) -> Self {
        threads.unnamed.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(threads))
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        self.0.unnamed.fetch_sub(1, Ordering::Relaxed);
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
        let Err(error) = self.thread.write_until_end(&self.threads.is_stopping) else { return };
        tracing::debug!(%error, "connection ended");
        let options = self.threads.shared.limit.options();
        let Some(site) = &options.mask else { return };
        let Some(sent) = self.thread.take_refused() else { return };
        tracing::debug!("connection handed on");
        let is_over = || {
            self.threads.is_stopping.load(Ordering::SeqCst) || lock(&self.thread.conversation).0.is_evicted()
        };
        // How it ends is between the client and the site. The conversation keeps the place among the others.
        let _ = hand_on(&self.thread.socket, &sent, site, options.mask_timeout, is_over);
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
struct ReadGuard {
    thread: Arc<ConnThread>,
    /// Bytes that were read already.
    first: Vec<u8>,
}

impl ReadGuard {
    fn read_until_end(&self) {
        if self.first.is_empty() || self.thread.handle(&self.first).is_ok() {
            self.thread.read_until_end();
        }
    }

    fn start(self, span: tracing::Span) -> Result<(), LinkError> {
        spawn("chappe-reading", move || span.in_scope(|| self.read_until_end()))?;
        Ok(())
    }
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        self.thread.is_read.store(true, Ordering::SeqCst);
        self.thread.signal.set();
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
        let count = match (&self.socket).read(bytes) {
            Err(error) if is_pause(&error) && !self.is_wanted.load(Ordering::SeqCst) => return Ok(()),
            read => read?,
        };
        if count == 0 {
            let mut locked = lock(&self.conversation);
            let (conversation, scratch) = &mut *locked;
            return conversation.handle_read(Now::from_system(), scratch, 0);
        }
        self.handle(&bytes[..count])
    }

    /// Hands bytes to the conversation. Those that it does not take, because the client is refused, are kept for the site.
    fn handle(&self, bytes: &[u8]) -> Result<(), LinkError> {
        let mut locked = lock(&self.conversation);
        let mut rest = bytes;
        let mut handled = Ok(());
        while !rest.is_empty() && handled.is_ok() && !locked.0.is_refused() {
            locked = self.wait_for_directory(locked)?;
            let (conversation, scratch) = &mut *locked;
            let space = conversation.space(scratch)?;
            let part = rest.len().min(space.len());
            space[..part].copy_from_slice(&rest[..part]);
            handled = conversation.handle_read(Now::from_system(), scratch, part);
            rest = &rest[part..];
            self.signal.set();
        }
        if locked.0.is_refused() {
            lock(&self.late).extend_from_slice(rest);
            handled = handled.and(Err(LinkError::Closed));
        }
        handled
    }

    /// Returns everything that a refused client has sent, once the reading thread has ended.
    fn take_refused(&self) -> Option<Vec<u8>> {
        if !lock(&self.conversation).0.is_refused() {
            return None;
        }
        self.is_wanted.store(true, Ordering::SeqCst);
        while !self.is_read.load(Ordering::SeqCst) {
            self.signal.wait(Instant::now() + POLL);
        }
        let mut sent = lock(&self.conversation).0.take_refused()?;
        sent.append(&mut lock(&self.late));
        Some(sent)
    }

    /// Blocks while the conversation waits for a look-up. The writing thread handles what comes of it.
    fn wait_for_directory<'a>(&self, mut locked: Locked<'a>) -> Result<Locked<'a>, LinkError> {
        while !locked.0.wants_input() && !locked.0.is_refused() {
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

/// Returns whether nothing came while a read waited.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
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
    use crate::{Context, EngineOptions, Handler, QueryResponse};

    struct NoMethods;

    impl Handler for NoMethods {
        fn query(&self, _: &Context<'_>, _: &[u8]) -> QueryResponse {
            QueryResponse::Later
        }
    }

    fn threads() -> Arc<Threads> {
        let mut rng = Drbg::from_seed([1; 32]);
        let handshake = ServerOptions::lenient(vec![PrivateKey::generate(&mut rng).expect("a key")]);
        let options = EngineOptions::new(handshake, ServerConfig::default());
        let engine = Engine::new(options, NoMethods, &mut rng).expect("good options");
        let hour = Duration::from_secs(3600);
        let options = ListenOptions::datacenter().with_first_bytes_timeout(hour);
        let shared = ServerShared::new(options, engine).expect("randomness");
        let (is_stopping, numbers) = (AtomicBool::new(false), AtomicU64::new(0));
        let unnamed = AtomicUsize::new(0);
        Arc::new(Threads {
            shared,
            is_stopping,
            numbers,
            unnamed,
            open: Mutex::default(),
            one_ended: Condvar::new(),
        })
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
        let (open, reading) = (OpenGuard::new(&threads, &thread), ReadGuard { thread, first: Vec::new() });
        let writing = spawn("test", move || open.write_until_end()).expect("a thread");
        drop(reading);
        wait_for_the_end(&threads);
        writing.join().expect("no panic");
        assert_eq!(client.read(&mut [0]).expect("an end in order"), 0);
        // The same of the writing thread.
        let (thread, mut client) = connection(&threads);
        let (open, reading) = (OpenGuard::new(&threads, &thread), ReadGuard { thread, first: Vec::new() });
        let reading = spawn("test", move || reading.read_until_end()).expect("a thread");
        drop(open);
        reading.join().expect("no panic");
        assert_eq!(client.read(&mut [0]).expect("an end in order"), 0);
        assert!(lock(&threads.open).is_empty());
        assert_eq!(threads.shared.limit.counters().open, 0, "and the places are free");
    }
}
