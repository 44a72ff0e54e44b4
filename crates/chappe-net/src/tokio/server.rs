//! A server: every transport on one port, each connection a task.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_session::{MonoTime, Now};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use super::stream::write;
use crate::error::LinkError;
use crate::gate::Gate;
use crate::options::ListenOptions;
use crate::server::{Conversation, Engine, Faults, NoFaults, ServerCounters, Write};

/// A running server. It ends at once when this is dropped, and in order by [`shutdown`](Self::shutdown).
///
/// ```
/// use chappe_crypto::rng::Drbg;
/// use chappe_crypto::rsa::PrivateKey;
/// use chappe_handshake::ServerOptions;
/// use chappe_net::ListenOptions;
/// use chappe_net::server::{Context, Engine, EngineOptions, Handler, Verdict};
/// use chappe_net::tokio::Server;
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

/// A connection on which nothing happened for this long gives its buffers back.
const CALM: Duration = Duration::from_secs(2);

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
    /// What the operating system says about the socket.
    pub fn serve(
        listener: std::net::TcpListener,
        options: ListenOptions,
        engine: Arc<Engine>,
        faults: Arc<dyn Faults>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let gate = Arc::new(Gate::new(options));
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
    let rng = match Drbg::from_os() {
        Ok(rng) => rng,
        Err(error) => return tracing::error!(%error, "no randomness for a connection"),
    };
    let wake = Arc::new(Notify::new());
    let waker = {
        let wake = Arc::clone(&wake);
        Arc::new(move || wake.notify_one())
    };
    let (engine, faults) = (Arc::clone(&shop.engine), Arc::clone(&shop.faults));
    let conversation = Conversation::new(engine, faults, place, peer, waker, Now::from_system(), rng);
    let span = tracing::info_span!("connection", %peer);
    let task = converse(socket, conversation, wake, shop.stop.clone());
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
    mut stop: watch::Receiver<bool>,
) -> Result<(), LinkError> {
    socket.set_nodelay(true)?;
    let (mut is_draining, mut is_calm) = (false, false);
    loop {
        if !write_all(&mut socket, &mut conversation).await? {
            return farewell(socket).await;
        }
        let left = until(conversation.poll_timeout());
        let pause = if is_calm { left } else { left.min(CALM) };
        tokio::select! {
            ready = socket.readable(), if !is_draining => {
                ready?;
                read(&socket, &mut conversation)?;
                is_calm = false;
            }
            () = wake.notified() => is_calm = false,
            _ = stop.changed(), if !is_draining => {
                is_draining = true;
                conversation.drain();
            }
            () = sleep(pause) => {
                if pause < left {
                    conversation.release();
                    is_calm = true;
                }
                conversation.handle_timeout(Now::from_system())?;
            }
        }
    }
}

/// Reads what is there.
fn read(socket: &TcpStream, conversation: &mut Conversation) -> Result<(), LinkError> {
    match socket.try_read(conversation.space()?) {
        Ok(count) => conversation.handle_read(Now::from_system(), count),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes everything that is to be written; says whether the connection goes on.
async fn write_all(socket: &mut TcpStream, conversation: &mut Conversation) -> Result<bool, LinkError> {
    let patience = conversation.write_timeout();
    loop {
        match conversation.poll_write(Now::from_system())? {
            Write::Nothing => return Ok(true),
            Write::End => return Ok(false),
            Write::Pause(time) => sleep(time).await,
            Write::Bytes(bytes) => {
                let written = write(socket, &bytes, patience).await;
                if matches!(written, Err(LinkError::TimedOut { .. })) {
                    conversation.on_slow_reader();
                }
                written?;
            }
        }
    }
}

/// Says that nothing more will come, and lets the client finish its sentence: closing a socket that holds unread
/// bytes takes the last answers back.
async fn farewell(mut socket: TcpStream) -> Result<(), LinkError> {
    socket.shutdown().await?;
    let mut rest = [0; 512];
    let reading = async { while socket.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
    // Whether it took long does not matter any more.
    let _ = timeout(FAREWELL, reading).await;
    Ok(())
}

/// How long it is until a time.
fn until(at: MonoTime) -> Duration {
    at.since(Now::from_system().mono)
}
