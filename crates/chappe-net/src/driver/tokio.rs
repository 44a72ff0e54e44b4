//! The driver over tokio: a task does what the engine says, and a task for each socket connects it or reads from it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use chappe_carrier::Address;
use chappe_session::{MonoTime, Now};
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::{Clock, Driver, Socket, Sockets, limit_unsent, share};
use crate::engine::{Action, SocketId};

/// A connection on which nothing arrives for this long gives its buffer back.
const CALM: Duration = Duration::from_secs(2);

/// Returns the clock of the runtime, which tests can stop.
pub(crate) fn clock() -> Clock {
    let (origin, system_origin) = (Instant::now(), Now::from_system().mono);
    Box::new(move || {
        let (elapsed, system) = (origin.elapsed(), Now::from_system());
        // Where a test moves the clock of the runtime, the wall clock goes along.
        let ahead = elapsed.saturating_sub(system.mono.since(system_origin));
        Now::new(MonoTime::from_duration(elapsed), system.unix.saturating_add(ahead))
    })
}

/// Returns what wakes a driver, and what its task waits for.
pub(crate) fn waker() -> (Arc<Notify>, Box<dyn Fn() + Send + Sync>) {
    let notify = Arc::new(Notify::new());
    let notified = Arc::clone(&notify);
    (notify, Box::new(move || notified.notify_one()))
}

/// Starts a driver on a runtime.
pub(crate) fn spawn(runtime: &Handle, driver: Driver, notify: Arc<Notify>) {
    let tasks = Tasks {
        sockets: driver.sockets(),
        running: HashMap::new(),
        blocked: Vec::new(),
        jobs: JoinSet::new(),
    };
    runtime.spawn(run(driver, notify, tasks));
}

/// Runs actions until the engine is finished.
async fn run(driver: Driver, notify: Arc<Notify>, mut tasks: Tasks) {
    loop {
        match driver.poll_action() {
            Action::Connect { socket, address, timeout } => tasks.connect(socket, address, timeout),
            Action::Read(socket) => tasks.resume(socket),
            Action::Write(socket) => tasks.write(socket),
            Action::Close(socket) => tasks.close(socket),
            Action::Store(task) => {
                let job = driver.store(task);
                if job.is_blocking() {
                    tokio::task::spawn_blocking(|| job.wait());
                } else {
                    while tasks.jobs.try_join_next().is_some() {}
                    tasks.jobs.spawn(job);
                }
            }
            Action::WaitUntil(at) => {
                let pause = at.map(|at| driver.until(at));
                tokio::select! {
                    // Calls of other threads that are made just now go out together.
                    () = notify.notified() => tokio::task::yield_now().await,
                    () = tasks.writable() => tasks.write_blocked(),
                    () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                }
            }
            Action::Finished => return,
        }
    }
}

/// The sockets and their tasks.
struct Tasks {
    sockets: Sockets,
    running: HashMap<SocketId, (AbortHandle, Arc<Connected>)>,
    /// Sockets that take nothing at present.
    blocked: Vec<SocketId>,
    /// Work on the store, which ends with the driver.
    jobs: JoinSet<()>,
}

/// A socket, once it is connected.
#[derive(Default)]
struct Connected {
    write: OnceLock<OwnedWriteHalf>,
    may_read: Notify,
}

impl Socket for Connected {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write.get().ok_or(io::ErrorKind::NotConnected)?.try_write(bytes)
    }
}

impl Tasks {
    fn connect(&mut self, socket: SocketId, address: Address, timeout: Duration) {
        let (sockets, connected) = (self.sockets.clone(), Arc::<Connected>::default());
        let task = tokio::spawn(serve(sockets, socket, address, timeout, Arc::clone(&connected)));
        self.running.insert(socket, (task.abort_handle(), connected));
    }

    fn resume(&self, socket: SocketId) {
        if let Some((_, connected)) = self.running.get(&socket) {
            connected.may_read.notify_one();
        }
    }

    fn write(&mut self, socket: SocketId) {
        if self.sockets.flush(socket) && !self.blocked.contains(&socket) {
            self.blocked.push(socket);
        }
    }

    fn write_blocked(&mut self) {
        for socket in std::mem::take(&mut self.blocked) {
            self.write(socket);
        }
    }

    /// Waits until a socket takes something again.
    async fn writable(&self) {
        poll_fn(|context| {
            let is_ready = self.blocked.iter().any(|socket| {
                let half = self.running.get(socket).and_then(|(_, connected)| connected.write.get());
                // If it failed, so will writing, and say why.
                half.is_none_or(|half| half.as_ref().poll_write_ready(context).is_ready())
            });
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn close(&mut self, socket: SocketId) {
        self.sockets.close(socket);
        self.blocked.retain(|blocked| *blocked != socket);
        if let Some((task, _)) = self.running.remove(&socket) {
            task.abort();
        }
    }
}

/// Connects a socket and reads from it until it ends or its task is stopped.
async fn serve(
    sockets: Sockets,
    socket: SocketId,
    address: Address,
    patience: Duration,
    connected: Arc<Connected>,
) {
    // In a box, so that its memory goes when it is connected.
    let mut half = match Box::pin(connect(address, patience)).await {
        Err(error) => return sockets.connect_failed(socket, error),
        Ok(stream) => {
            let (read, write) = stream.into_split();
            // Only the driver sets it.
            let _ = connected.write.set(write);
            if !sockets.connected(socket, Arc::clone(&connected) as Arc<dyn Socket>) {
                return;
            }
            read
        }
    };
    loop {
        connected.may_read.notified().await;
        let mut next = sockets.begin_read(socket);
        while let Some(mut buffer) = next {
            if buffer.is_idle() && timeout(CALM, half.readable()).await.is_err() {
                buffer.release();
                // What it reports, reading reports as well.
                let _ = half.readable().await;
            }
            let read = match buffer.space() {
                Ok(space) => half.read(space).await,
                Err(error) => Err(error),
            };
            next = sockets.end_read(socket, buffer, read);
        }
    }
}

/// Connects to the first address that answers.
async fn connect(address: Address, patience: Duration) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = match address {
        Address::Socket(address) => vec![address],
        Address::Name(name) => lookup_host(name).await?.collect(),
        other => return Err(super::unknown(&other)),
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let share = share(patience, addresses.len());
    for address in addresses {
        let connecting = timeout(share, TcpStream::connect(address)).await;
        match connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                limit_unsent(&socket);
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_system_holds_little_that_a_ping_would_wait_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let socket = connect(address.into(), Duration::from_secs(60)).await.expect("it is there");
        let held = socket2::SockRef::from(&socket).tcp_notsent_lowat().expect("the option is known");
        assert_eq!(held, super::super::MOST_UNSENT);
    }
}
