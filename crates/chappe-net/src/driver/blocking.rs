//! The driver over threads: one does what the engine says, and one for each socket connects it or reads from it.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use chappe_carrier::Address;

use super::{Driver, Socket, Sockets, StoreJob, limit_unsent, share};
use crate::engine::{Action, SocketId};

/// How long one attempt to write takes at most, since a socket that blocks for reading blocks for writing too. Only the
/// thread that tries waits for it.
const ONE_TRY: Duration = Duration::from_millis(20);

/// Wakes the driver.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(crate) fn raise(&self) {
        *self.is_raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Blocks until it is raised, for at most `pause`, and lowers it.
    fn wait(&self, pause: Option<Duration>) {
        let mut is_raised = self.is_raised.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_raised {
            is_raised = match pause {
                None => self.changed.wait(is_raised).unwrap_or_else(PoisonError::into_inner),
                Some(pause) => {
                    self.changed.wait_timeout(is_raised, pause).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *is_raised = false;
    }
}

/// Returns what wakes a driver, and what its thread waits for.
pub(crate) fn waker() -> (Arc<Signal>, Box<dyn Fn() + Send + Sync>) {
    let signal = Arc::new(Signal::default());
    let raised = Arc::clone(&signal);
    (signal, Box::new(move || raised.raise()))
}

/// Starts a driver on a thread of its own.
pub(crate) fn spawn(driver: Driver, signal: Arc<Signal>) -> io::Result<()> {
    let threads = Threads { sockets: driver.sockets(), running: HashMap::new(), blocked: Vec::new() };
    thread::Builder::new()
        .name("chappe-client".into())
        .spawn(move || run(&driver, &signal, threads))
        .map(drop)
}

/// Runs actions until the engine is finished.
fn run(driver: &Driver, signal: &Signal, mut threads: Threads) {
    loop {
        match driver.poll_action() {
            Action::Connect { socket, address, timeout } => threads.connect(socket, address, timeout),
            Action::Read(socket) => threads.read(socket),
            Action::Write(socket) => threads.write(socket),
            Action::Close(socket) => threads.close(socket),
            Action::Store(task) => Threads::store(driver.store(task)),
            // Where a socket takes nothing, trying again is what waits.
            Action::WaitUntil(_) if !threads.blocked.is_empty() => threads.write_blocked(),
            Action::WaitUntil(at) => signal.wait(at.map(|at| driver.until(at))),
            Action::Finished => return,
        }
    }
}

/// The sockets and their threads.
struct Threads {
    sockets: Sockets,
    running: HashMap<SocketId, Running>,
    /// Sockets that take nothing at present.
    blocked: Vec<SocketId>,
}

/// The thread of one socket.
struct Running {
    /// Lets it read. It ends when this is dropped and the socket is shut down.
    may_read: Sender<()>,
    stream: Arc<OnceLock<TcpStream>>,
}

/// A socket, once it is connected.
struct Connected(Arc<OnceLock<TcpStream>>);

impl Socket for Connected {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.get().ok_or(ErrorKind::NotConnected)?;
        socket.write(bytes).map_err(|error| match error.kind() {
            // That is how a time-out is reported on some systems.
            ErrorKind::TimedOut => ErrorKind::WouldBlock.into(),
            _ => error,
        })
    }
}

impl Threads {
    fn connect(&mut self, socket: SocketId, address: Address, timeout: Duration) {
        let (sockets, stream) = (self.sockets.clone(), Arc::<OnceLock<TcpStream>>::default());
        let (may_read, reading) = mpsc::channel();
        self.running.insert(socket, Running { may_read, stream: Arc::clone(&stream) });
        let work = move || serve(&sockets, socket, &address, timeout, &stream, &reading);
        if let Err(error) = thread::Builder::new().name("chappe-socket".into()).spawn(work) {
            self.sockets.connect_failed(socket, error);
        }
    }

    fn read(&self, socket: SocketId) {
        if let Some(running) = self.running.get(&socket) {
            // A thread that has ended reported why.
            let _ = running.may_read.send(());
        }
    }

    /// Works on the store in a thread: a slow disk delays no ping.
    fn store(job: StoreJob) {
        let job = Arc::new(Mutex::new(Some(job)));
        let given = Arc::clone(&job);
        let work = move |job: &Mutex<Option<StoreJob>>| {
            let job = job.lock().unwrap_or_else(PoisonError::into_inner).take();
            job.into_iter().for_each(StoreJob::wait);
        };
        if thread::Builder::new().name("chappe-store".into()).spawn(move || work(&given)).is_err() {
            // Without threads this one has to wait.
            work(&job);
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

    fn close(&mut self, socket: SocketId) {
        self.sockets.close(socket);
        self.blocked.retain(|blocked| *blocked != socket);
        if let Some(running) = self.running.remove(&socket)
            && let Some(stream) = running.stream.get()
        {
            // A thread that reads wakes up and ends. That the socket is closed already is no error.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Connects a socket and reads from it until it ends or is closed.
fn serve(
    sockets: &Sockets,
    socket: SocketId,
    address: &Address,
    timeout: Duration,
    place: &Arc<OnceLock<TcpStream>>,
    reading: &Receiver<()>,
) {
    let stream = match connect(address, timeout) {
        Ok(stream) => place.get_or_init(|| stream),
        Err(error) => return sockets.connect_failed(socket, error),
    };
    if !sockets.connected(socket, Arc::new(Connected(Arc::clone(place)))) {
        return;
    }
    while reading.recv().is_ok() {
        let mut next = sockets.begin_read(socket);
        while let Some(mut buffer) = next {
            let mut stream = stream;
            let read = buffer.space().and_then(|space| stream.read(space));
            next = sockets.end_read(socket, buffer, read);
        }
    }
}

/// Connects to the first address that answers.
fn connect(address: &Address, timeout: Duration) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = match address {
        Address::Socket(address) => vec![*address],
        Address::Name(name) => name.to_socket_addrs()?.collect(),
        other => return Err(super::unknown(other)),
    };
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    let share = share(timeout, addresses.len());
    for address in addresses {
        match TcpStream::connect_timeout(&address, share) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                limit_unsent(&socket);
                socket.set_write_timeout(Some(ONE_TRY))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_system_holds_little_that_a_ping_would_wait_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let socket = connect(&address.into(), Duration::from_secs(60)).expect("it is there");
        let held = socket2::SockRef::from(&socket).tcp_notsent_lowat().expect("the option is known");
        assert_eq!(held, super::super::MOST_UNSENT);
    }
}
