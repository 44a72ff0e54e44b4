//! A listener over tokio: a task for each connection.

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use chappe_carrier::{LinkError, Wait};
use chappe_session::{MonoTime, Now};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use crate::conversation::{Conversation, WriteAction};
use crate::directory::DirectoryWorker;
use crate::driver::{ConnectionLimit, Machine};
use crate::front::{hand_on, read_proxy_header};
use crate::scratch::Scratch;
use crate::shared::{ServerShared, on_accept_error};
use crate::{Engine, ListenOptions, ServerCounters};

/// A running server. Dropping it ends it at once; [`shutdown`](Self::shutdown) ends it in order.
///
/// ```
/// use chappe_crypto::rng::Drbg;
/// use chappe_crypto::rsa::PrivateKey;
/// use chappe_handshake::ServerOptions;
/// use chappe_server::tokio::Server;
/// use chappe_server::{Context, Engine, EngineOptions, Handler, ListenOptions, QueryResponse};
/// use chappe_session::server::ServerConfig;
///
/// struct NoMethods;
/// impl Handler for NoMethods {
///     fn query(&self, _context: &Context<'_>, _body: &[u8]) -> QueryResponse {
///         QueryResponse::Error { code: 400, message: "METHOD_INVALID".into() }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut rng = Drbg::from_os()?;
/// let handshake = ServerOptions::lenient(vec![PrivateKey::generate(&mut rng)?]);
/// let engine = Engine::new(EngineOptions::new(handshake, ServerConfig::default()), NoMethods, &mut rng)?;
/// let server = Server::listen("127.0.0.1:0", ListenOptions::datacenter(), engine).await?;
/// println!("serving on {}", server.local_addr());
/// server.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: ServerShared,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    /// Asks the directory. Ends with the server.
    _directory: JoinSet<()>,
}

/// Shortest time between two calls of [`Machine::handle_timeout`]: a deadline in the past must not keep a task busy.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// How long a client may go on sending after the server closed its half of the connection.
const LINGER: Duration = Duration::from_millis(500);

impl Server {
    /// Binds a socket and serves its connections, in tasks of the current runtime.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the operating system has no randomness.
    pub async fn listen(
        address: impl ToSocketAddrs,
        options: ListenOptions,
        engine: Arc<Engine>,
    ) -> io::Result<Self> {
        let addresses = tokio::net::lookup_host(address).await?;
        let listener = options.bind_any(addresses)?;
        Self::serve(listener, options, engine)
    }

    /// Serves the connections of a socket that is already bound. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// The socket cannot be used, or the operating system has no randomness.
    pub fn serve(
        listener: std::net::TcpListener,
        options: ListenOptions,
        engine: Arc<Engine>,
    ) -> io::Result<Self> {
        Self::serve_wrapped(listener, options, engine, Some)
    }

    /// Serves the connections of a socket that is already bound, each as what `wrap` makes of its [`Conversation`]. A
    /// connection for which it returns `None` is closed. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    pub fn serve_wrapped<M: Machine>(
        listener: std::net::TcpListener,
        options: ListenOptions,
        engine: Arc<Engine>,
        wrap: impl Fn(Conversation) -> Option<M> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let shared = ServerShared::new(options, engine)?;
        let mut directory = JoinSet::new();
        if let Some(worker) = DirectoryWorker::new(&shared.engine) {
            directory.spawn(ask_directory(worker));
        }
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, shared.clone(), stopped, Arc::new(wrap)));
        Ok(Self { address, shared, stop, task, _directory: directory })
    }

    /// Returns the address that was bound; where port 0 was asked for, with the port that was chosen.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the keys and sessions.
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Returns the counters.
    pub fn counters(&self) -> ServerCounters {
        self.shared.limit.counters()
    }

    /// Stops listening and reading, sends the answers that are due, and closes every connection. Cuts off those that take
    /// longer than `grace`. Returns whether all closed in time.
    pub async fn shutdown(mut self, grace: Duration) -> bool {
        // The receiver is gone only if the task has ended already.
        let _ = self.stop.send(true);
        timeout(grace, &mut self.task).await.is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs all requests to the directory.
async fn ask_directory(worker: DirectoryWorker) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            task = worker.next_task() => drop(tasks.spawn(task)),
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Accepts connections until the server stops, then waits for those that are left.
async fn accept<M: Machine>(
    listener: TcpListener,
    shared: ServerShared,
    mut stop: watch::Receiver<bool>,
    wrap: Arc<impl Fn(Conversation) -> Option<M> + Send + Sync + 'static>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            accepted = listener.accept() => accepted.map_err(LinkError::Io),
            Some(_) = connections.join_next() => continue,
        };
        let started =
            accepted.and_then(|(socket, peer)| start(&mut connections, socket, peer, &shared, &stop, &wrap));
        if let Err(error) = started {
            sleep(on_accept_error(&error)).await;
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Starts the task of a connection.
fn start<M: Machine>(
    connections: &mut JoinSet<()>,
    mut socket: TcpStream,
    peer: SocketAddr,
    shared: &ServerShared,
    stop: &watch::Receiver<bool>,
    wrap: &Arc<impl Fn(Conversation) -> Option<M> + Send + Sync + 'static>,
) -> Result<(), LinkError> {
    let options = shared.limit.options();
    if !options.is_load_balancer(peer.ip()) {
        let (machine, wake) = admit(shared, peer, &**wrap)?;
        let Some(machine) = machine else { return Ok(()) };
        let span = tracing::info_span!("connection", %peer);
        let task = run(socket, machine, Vec::new(), wake, Arc::clone(&shared.limit), stop.clone());
        connections.spawn(reported(task).instrument(span));
        return Ok(());
    }
    // Until the header has come, the connection has no place among the others.
    let limit = options.max_connections;
    if connections.len() >= limit {
        return Err(LinkError::TooMany { limit });
    }
    let (shared, stop, wrap, patience) =
        (shared.clone(), stop.clone(), Arc::clone(wrap), options.first_bytes_timeout);
    let task = async move {
        let (client, first) = read_proxy_header(&mut socket, peer, patience).await?;
        let (machine, wake) = admit(&shared, client, &*wrap)?;
        let Some(machine) = machine else { return Ok(()) };
        let span = tracing::info_span!("connection", peer = %client, load_balancer = %peer.ip());
        run(socket, machine, first, wake, Arc::clone(&shared.limit), stop).instrument(span).await
    };
    connections.spawn(reported(task));
    Ok(())
}

/// Admits a connection, if the limits allow it.
fn admit<M: Machine>(
    shared: &ServerShared,
    peer: SocketAddr,
    wrap: &impl Fn(Conversation) -> Option<M>,
) -> Result<(Option<M>, Arc<Notify>), LinkError> {
    let wake = Arc::new(Notify::new());
    let waker = {
        let wake = Arc::clone(&wake);
        Arc::new(move || wake.notify_one())
    };
    Ok((wrap(shared.admit(peer, waker)?), wake))
}

async fn reported(task: impl Future<Output = Result<(), LinkError>>) {
    if let Err(error) = task.await {
        tracing::debug!(%error, "connection ended");
    }
}

/// Runs one connection from its first byte to its last. `first` was read already.
async fn run<M: Machine>(
    mut socket: TcpStream,
    mut machine: M,
    first: Vec<u8>,
    wake: Arc<Notify>,
    limit: Arc<ConnectionLimit>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), LinkError> {
    let served = serve(&mut socket, &mut machine, &first, &wake, &limit, &mut stop).await;
    let Err(error) = served else { return close(socket).await };
    let options = limit.options();
    if let Some(site) = &options.mask
        && let Some(sent) = machine.take_refused()
    {
        tracing::debug!(%error, "connection handed on");
        // The machine keeps the place of the connection among the others.
        return tokio::select! {
            handed_on = hand_on(socket, &sent, site, options.mask_timeout) => handed_on,
            // Nothing else wakes it: its place was given to another connection.
            () = wake.notified() => Err(error),
            _ = stop.changed() => Ok(()),
        };
    }
    Err(error)
}

/// Serves a connection until it is to be closed in order.
async fn serve<M: Machine>(
    socket: &mut TcpStream,
    machine: &mut M,
    first: &[u8],
    wake: &Notify,
    limit: &ConnectionLimit,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), LinkError> {
    socket.set_nodelay(true)?;
    if !first.is_empty() {
        let mut scratch = limit.scratch().take();
        feed(machine, &mut scratch, first)?;
        limit.scratch().give(scratch);
    }
    let (mut is_draining, mut is_readable, mut is_due) = (false, false, false);
    let mut now = Now::from_system();
    let mut alarm_at = machine.poll_timeout();
    let mut alarm = pin!(sleep(alarm_at.since(now.mono)));
    loop {
        // Only a connection that works has randomness and buffers; there are as many of these as tasks that run.
        let mut scratch = limit.scratch().take();
        let has_read = is_readable && read(socket, machine, &mut scratch, now).await?;
        // What has arrived is taken before the time is judged: a ping can wait in the socket while an answer is written.
        if is_due && !has_read {
            machine.handle_timeout(now)?;
        }
        if !write_all(socket, machine, &mut scratch, now).await? {
            return Ok(());
        }
        machine.release_memory(&mut scratch);
        limit.scratch().give(scratch);
        // Most deadlines move into the future with each frame. Resetting the timer each time would be slower than
        // letting it fire at the old deadline and setting it anew then.
        let deadline = machine.poll_timeout();
        if mem::take(&mut is_due) {
            alarm_at = deadline;
            alarm.as_mut().reset(Instant::now() + until(deadline).max(LEAST_WAIT));
        } else if deadline < alarm_at {
            alarm_at = deadline;
            alarm.as_mut().reset(Instant::now() + until(deadline));
        }
        is_readable = false;
        tokio::select! {
            ready = socket.readable(), if !is_draining && machine.wants_input() => {
                ready?;
                is_readable = true;
            }
            () = wake.notified() => {}
            _ = stop.changed(), if !is_draining => {
                is_draining = true;
                machine.drain();
            }
            () = alarm.as_mut() => {
                is_due = true;
                is_readable = !is_draining && machine.wants_input();
            }
        }
        now = Now::from_system();
    }
}

/// Hands bytes over that were read already.
fn feed<M: Machine>(machine: &mut M, scratch: &mut Scratch, bytes: &[u8]) -> Result<(), LinkError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = machine.space(scratch)?;
        let part = rest.len().min(space.len());
        space[..part].copy_from_slice(&rest[..part]);
        machine.handle_read(Now::from_system(), scratch, part)?;
        rest = &rest[part..];
    }
    Ok(())
}

/// Reads once. A read that does not fill its buffer has emptied the socket's, and the runtime takes note. Returns whether
/// there was something.
async fn read<M: Machine>(
    socket: &mut TcpStream,
    machine: &mut M,
    scratch: &mut Scratch,
    now: Now,
) -> Result<bool, LinkError> {
    let mut space = ReadBuf::new(machine.space(scratch)?);
    let is_read = poll_fn(|context| {
        Poll::Ready(match Pin::new(&mut *socket).poll_read(context, &mut space) {
            Poll::Ready(read) => read.map(|()| true),
            Poll::Pending => Ok(false),
        })
    });
    let is_read = is_read.await?;
    if is_read {
        let count = space.filled().len();
        machine.handle_read(now, scratch, count)?;
    }
    Ok(is_read)
}

/// Writes everything that there is to write. Returns whether the connection goes on.
async fn write_all<M: Machine>(
    socket: &mut TcpStream,
    machine: &mut M,
    scratch: &mut Scratch,
    mut now: Now,
) -> Result<bool, LinkError> {
    let patience = machine.write_timeout();
    loop {
        let (bytes, count) = match machine.poll_write(now, scratch)? {
            WriteAction::Wait => return Ok(true),
            WriteAction::Close => return Ok(false),
            WriteAction::Bytes(bytes) => (bytes, try_write(socket, bytes)?),
        };
        if count < bytes.len() {
            // Boxed, because few clients read so slowly: the tasks of all others need no room for the timer.
            let written = Box::pin(write(socket, &bytes[count..], patience)).await;
            if matches!(written, Err(LinkError::TimedOut { .. })) {
                machine.count_slow_reader();
            }
            written?;
            now = Now::from_system();
        }
    }
}

/// Writes what the socket accepts at once.
fn try_write(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match socket.try_write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        tried => tried,
    }
}

/// Writes all bytes. Fails if the client reads nothing for `patience`: it must not hold a task indefinitely (`SEC-138`).
async fn write(
    socket: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    patience: Duration,
) -> Result<(), LinkError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match timeout(patience, socket.write(rest)).await {
            Ok(Ok(0)) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(count) => rest = &rest[count?..],
            Err(_) => return Err(LinkError::TimedOut { waiting_for: Wait::Write, after: patience }),
        }
    }
    Ok(())
}

/// Closes the sending half and reads what the client still sends. Closing a socket that holds unread bytes resets the
/// connection, and the client could lose the last answers.
async fn close(mut socket: TcpStream) -> Result<(), LinkError> {
    socket.shutdown().await?;
    let mut rest = vec![0; 512];
    let reading = async { while socket.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
    // The connection ends either way.
    let _ = timeout(LINGER, reading).await;
    Ok(())
}

/// Returns the time left until `at`.
fn until(at: MonoTime) -> Duration {
    at.since(Now::from_system().mono)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_served_as_long_as_it_reads() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        let reading = tokio::spawn(async move {
            let mut received = Vec::new();
            while received.len() < 1000 {
                sleep(Duration::from_secs(29)).await;
                let mut part = [0; 50];
                let count = theirs.read(&mut part).await.expect("it is open");
                received.extend_from_slice(&part[..count]);
            }
            received
        });
        let bytes: Vec<u8> = (0..1000_u32).map(|number| number as u8).collect();
        assert!(write(&mut ours, &bytes, PATIENCE).await.is_ok());
        assert_eq!(reading.await.expect("no panic"), bytes);
    }

    /// A connection whose time is up unless it gets a ping.
    struct Impatient {
        space: [u8; 16],
        /// More than the system holds unsent.
        answer: Vec<u8>,
        is_written: bool,
        is_alive: bool,
        ended: Arc<AtomicBool>,
    }

    impl Machine for Impatient {
        fn write_timeout(&self) -> Duration {
            PATIENCE
        }

        fn space<'a>(&'a mut self, _: &mut Scratch) -> Result<&'a mut [u8], LinkError> {
            Ok(&mut self.space)
        }

        fn handle_read(&mut self, _: Now, _: &mut Scratch, count: usize) -> Result<(), LinkError> {
            self.is_alive |= count > 0;
            Ok(())
        }

        fn handle_timeout(&mut self, _: Now) -> Result<(), LinkError> {
            self.ended.store(!self.is_alive, Ordering::SeqCst);
            Err(LinkError::Closed)
        }

        fn count_slow_reader(&self) {}

        fn drain(&mut self) {}

        fn release_memory(&mut self, _: &mut Scratch) {}

        fn poll_write<'a>(&'a mut self, _: Now, _: &'a mut Scratch) -> Result<WriteAction<'a>, LinkError> {
            let is_written = mem::replace(&mut self.is_written, true);
            Ok(if is_written { WriteAction::Wait } else { WriteAction::Bytes(&self.answer) })
        }

        fn poll_timeout(&self) -> MonoTime {
            MonoTime::ZERO
        }
    }

    #[tokio::test]
    async fn what_has_arrived_is_read_before_the_time_is_judged() {
        let seeder = chappe_crypto::rng::Drbg::from_seed([1; 32]);
        let limit = Arc::new(ConnectionLimit::new(ListenOptions::datacenter(), seeder));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (_stop, stopped) = watch::channel(false);
        // The runtime chooses at random between what is ready.
        for round in 0..16 {
            let mut client = TcpStream::connect(address).await.expect("it listens");
            client.write_all(b"ping").await.expect("it is open");
            let (socket, _) = listener.accept().await.expect("a connection");
            socket.readable().await.expect("the ping has arrived");
            let ended = Arc::new(AtomicBool::new(false));
            let machine = Impatient {
                space: [0; 16],
                answer: vec![7; 8 << 20],
                is_written: false,
                is_alive: false,
                ended: Arc::clone(&ended),
            };
            let serving =
                run(socket, machine, Vec::new(), Arc::default(), Arc::clone(&limit), stopped.clone());
            let mut answer = Vec::new();
            // The client takes the answer while the server writes it.
            let (served, _) = tokio::join!(serving, client.read_to_end(&mut answer));
            assert!(served.is_err() && !ended.load(Ordering::SeqCst), "round {round}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sec_138_a_reader_that_stops_is_given_up() {
        let (mut ours, _theirs) = tokio::io::duplex(64);
        let start = Instant::now();
        let written = write(&mut ours, &[7; 100], PATIENCE).await;
        assert!(matches!(written, Err(LinkError::TimedOut { waiting_for: Wait::Write, .. })));
        assert_eq!(start.elapsed().as_secs(), PATIENCE.as_secs());
    }
}
