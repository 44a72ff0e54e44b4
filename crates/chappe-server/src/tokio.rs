//! A server: every transport on one port, each connection a task.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_session::{MonoTime, Now};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use crate::ListenOptions;
use crate::conversation::{Conversation, Write};
use crate::gate::Gate;
use crate::kit::Kit;
use crate::{Engine, Faults, NoFaults, ServerCounters};
use chappe_carrier::{LinkError, Wait};

/// A running server. It ends at once when this is dropped, and in order by [`shutdown`](Self::shutdown).
///
/// ```
/// use chappe_crypto::rng::Drbg;
/// use chappe_crypto::rsa::PrivateKey;
/// use chappe_handshake::ServerOptions;
/// use chappe_server::ListenOptions;
/// use chappe_server::{Context, Engine, EngineOptions, Handler, Verdict};
/// use chappe_server::tokio::Server;
/// use chappe_session::server::ServerConfig;
///
/// struct Nobody;
/// impl Handler for Nobody {
///     fn query(&self, _context: &Context<'_>, _body: &[u8]) -> Verdict {
///         Verdict::Error { code: 400, message: "METHOD_INVALID".into() }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut rng = Drbg::from_os()?;
/// let handshake = ServerOptions::lenient(vec![PrivateKey::generate(&mut rng)?]);
/// let engine = Engine::new(EngineOptions::new(handshake, ServerConfig::default()), Nobody, &mut rng)?;
/// let server = Server::listen("127.0.0.1:0", ListenOptions::data_centre(), engine).await?;
/// println!("serving on {}", server.local_addr());
/// server.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    engine: Arc<Engine>,
    gate: Arc<Gate>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What connections share.
#[derive(Clone)]
struct Shop {
    engine: Arc<Engine>,
    gate: Arc<Gate>,
    faults: Arc<dyn Faults>,
    stop: watch::Receiver<bool>,
}

/// Least time between two looks at the clock, whatever a machine says.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// How long a client that was told to go may go on sending.
const FAREWELL: Duration = Duration::from_millis(500);

impl Server {
    /// Binds a socket and serves its connections, in tasks of the current runtime.
    ///
    /// # Errors
    ///
    /// What the operating system says about the address.
    pub async fn listen(
        address: impl ToSocketAddrs,
        options: ListenOptions,
        engine: Arc<Engine>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?.into_std()?;
        Self::serve(listener, options, engine, Arc::new(NoFaults))
    }

    /// Serves the connections of a socket that is bound already, with things going wrong on purpose if `faults` says
    /// so. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// What the operating system says about the socket, or if it has no randomness.
    pub fn serve(
        listener: std::net::TcpListener,
        options: ListenOptions,
        engine: Arc<Engine>,
        faults: Arc<dyn Faults>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let seeder = Drbg::from_os().map_err(|error| io::Error::other(error.to_string()))?;
        let gate = Arc::new(Gate::new(options, seeder));
        let (stop, stopped) = watch::channel(false);
        let shop = Shop { engine: Arc::clone(&engine), gate: Arc::clone(&gate), faults, stop: stopped };
        let task = tokio::spawn(accept(listener, shop));
        Ok(Self { address, engine, gate, stop, task })
    }

    /// Returns the address that was bound, with its port where 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns keys and sessions.
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns what was counted so far.
    pub fn counters(&self) -> ServerCounters {
        self.gate.counters()
    }

    /// Stops listening, reads nothing more, sends the answers that are still due, and closes every connection; those
    /// that take longer than `grace` are cut off. Says whether none had to be.
    pub async fn shutdown(mut self, grace: Duration) -> bool {
        // Nobody listens only if the task has ended already.
        let _ = self.stop.send(true);
        timeout(grace, &mut self.task).await.is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets connections in until the server stops, then waits for those that are left.
async fn accept(listener: TcpListener, mut shop: Shop) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = shop.stop.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => admit(&mut connections, socket, peer, &shop),
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    // Out of sockets, perhaps: trying again at once would only burn the processor.
                    sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

fn admit(connections: &mut JoinSet<()>, socket: TcpStream, peer: SocketAddr, shop: &Shop) {
    if shop.faults.refuses() {
        return;
    }
    let place = match shop.gate.admit(peer.ip()) {
        Ok(place) => place,
        Err(error) => return tracing::warn!(%peer, %error, "connection not accepted"),
    };
    let wake = Arc::new(Notify::new());
    let waker = {
        let wake = Arc::clone(&wake);
        Arc::new(move || wake.notify_one())
    };
    let (engine, faults) = (Arc::clone(&shop.engine), Arc::clone(&shop.faults));
    let conversation = Conversation::new(engine, faults, place, peer, waker, Now::from_system());
    let span = tracing::info_span!("connection", %peer);
    let task = converse(socket, conversation, wake, Arc::clone(&shop.gate), shop.stop.clone());
    connections.spawn(
        async move {
            if let Err(error) = task.await {
                tracing::debug!(%error, "connection ended");
            }
        }
        .instrument(span),
    );
}

/// One connection from its first byte to its last.
async fn converse(
    mut socket: TcpStream,
    mut conversation: Conversation,
    wake: Arc<Notify>,
    gate: Arc<Gate>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), LinkError> {
    socket.set_nodelay(true)?;
    let (mut is_draining, mut is_readable) = (false, false);
    let mut now = Now::from_system();
    let mut rings_at = conversation.poll_timeout();
    let mut alarm = pin!(sleep(rings_at.since(now.mono)));
    loop {
        // Only a connection that works has randomness and buffers; there are as many of these as tasks that run.
        let mut kit = gate.shelf().take();
        if is_readable {
            read(&mut socket, &mut conversation, &mut kit, now).await?;
        }
        if !write_all(&mut socket, &mut conversation, &mut kit, now).await? {
            return farewell(socket).await;
        }
        conversation.rest(&mut kit);
        gate.shelf().give(kit);
        // Most deadlines move into the future with each frame: the alarm rings at the old one, and is set anew then.
        let deadline = conversation.poll_timeout();
        if deadline < rings_at {
            rings_at = deadline;
            alarm.as_mut().reset(Instant::now() + until(deadline));
        }
        is_readable = false;
        tokio::select! {
            ready = socket.readable(), if !is_draining => {
                ready?;
                is_readable = true;
            }
            () = wake.notified() => {}
            _ = stop.changed(), if !is_draining => {
                is_draining = true;
                conversation.drain();
            }
            () = alarm.as_mut() => {
                conversation.handle_timeout(Now::from_system())?;
                rings_at = conversation.poll_timeout();
                alarm.as_mut().reset(Instant::now() + until(rings_at).max(LEAST_WAIT));
            }
        }
        now = Now::from_system();
    }
}

/// Reads what is there. A read that does not fill its buffer has emptied the socket's, and the runtime takes note.
async fn read(
    socket: &mut TcpStream,
    conversation: &mut Conversation,
    kit: &mut Kit,
    now: Now,
) -> Result<(), LinkError> {
    let mut space = ReadBuf::new(conversation.space(kit)?);
    let is_read = poll_fn(|context| {
        Poll::Ready(match Pin::new(&mut *socket).poll_read(context, &mut space) {
            Poll::Ready(read) => read.map(|()| true),
            Poll::Pending => Ok(false),
        })
    });
    if is_read.await? {
        let count = space.filled().len();
        conversation.handle_read(now, kit, count)?;
    }
    Ok(())
}

/// Writes everything that is to be written; says whether the connection goes on.
async fn write_all(
    socket: &mut TcpStream,
    conversation: &mut Conversation,
    kit: &mut Kit,
    mut now: Now,
) -> Result<bool, LinkError> {
    let patience = conversation.write_timeout();
    loop {
        let (bytes, count) = match conversation.poll_write(now, kit)? {
            Write::Nothing => return Ok(true),
            Write::End => return Ok(false),
            Write::Pause(time) => {
                Box::pin(sleep(time)).await;
                now = Now::from_system();
                continue;
            }
            Write::Bytes(bytes) => (bytes, try_write(socket, bytes)?),
        };
        if count < bytes.len() {
            // Few clients read so slowly; those who do not have no room for the timer in their tasks.
            let written = Box::pin(write(socket, &bytes[count..], patience)).await;
            if matches!(written, Err(LinkError::TimedOut { .. })) {
                conversation.on_slow_reader();
            }
            written?;
            now = Now::from_system();
        }
    }
}

/// Writes what the socket takes at once.
fn try_write(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match socket.try_write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        tried => tried,
    }
}

/// Writes everything or gives up, so that a peer that reads nothing cannot hold a task for ever (`SEC-138`).
async fn write(socket: &mut TcpStream, bytes: &[u8], patience: Duration) -> Result<(), LinkError> {
    match timeout(patience, socket.write_all(bytes)).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(LinkError::TimedOut { waiting_for: Wait::Write, after: patience }),
    }
}

/// Says that nothing more will come, and lets the client finish its sentence: closing a socket that holds unread
/// bytes takes the last answers back.
async fn farewell(mut socket: TcpStream) -> Result<(), LinkError> {
    socket.shutdown().await?;
    let mut rest = vec![0; 512];
    let reading = async { while socket.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
    // Whether it took long does not matter any more.
    let _ = timeout(FAREWELL, reading).await;
    Ok(())
}

/// How long it is until a time.
fn until(at: MonoTime) -> Duration {
    at.since(Now::from_system().mono)
}
