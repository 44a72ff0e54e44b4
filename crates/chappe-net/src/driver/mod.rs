//! What lies between an engine and its sockets: one lock, and the two drivers of this crate.
//!
//! A driver does what [`Driver::poll_action`] returns and reports the result. It holds no protocol and no policy.
//! The caller of `invoke` can write a call at once: the engine lends the bytes, and the system call happens outside of the lock.

#[cfg(feature = "blocking")]
pub(crate) mod blocking;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;

use core::fmt;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Duration;

use chappe_carrier::Address;
use chappe_session::{MonoTime, Now};

use crate::block_on::block_on;
use crate::engine::{Action, Logs, Machine, Prompted, ReadBuffer, SocketId, StoreTask, Task, WriteBuffer};
use crate::store::StoreError;
use crate::store::handle::{StoreHandle, Unreadable};

/// A socket that takes what it can take at once.
///
/// It may be written to from any thread that makes a call, by one at a time.
pub trait Socket: Send + Sync {
    /// Writes some of `bytes` and returns how many, without waiting for more than a moment.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it takes nothing at present; any other error ends the connection.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// Reads both clocks.
pub(crate) type Clock = Box<dyn Fn() -> Now + Send + Sync>;

/// A machine behind the one lock of its client, and a way to wake the driver.
pub(crate) struct Shared<M: ?Sized> {
    clock: Clock,
    wake: Waker,
    logs: Option<Arc<Logs>>,
    state: Mutex<State<M>>,
}

/// Wakes a driver by calling a function.
struct WakeDriver(Box<dyn Fn() + Send + Sync>);

impl Wake for WakeDriver {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        (self.0)();
    }
}

struct State<M: ?Sized> {
    /// Sockets that can be written to.
    sockets: Vec<(SocketId, Arc<dyn Socket>)>,
    machine: M,
}

/// A buffer and the socket that it goes to.
type Claim = (SocketId, Arc<dyn Socket>, WriteBuffer);

/// What to do after work on the machine.
enum Next {
    Write(Claim),
    Nothing,
    WakeDriver,
}

/// Frames that one caller writes in a row before it leaves the rest to the driver: others wait for their turn too.
const MOST_WRITES: usize = 8;

impl<M: Machine> Shared<M> {
    pub(crate) fn new(
        machine: impl FnOnce(Now, &Waker) -> M,
        clock: Clock,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Arc<Self> {
        let wake = Waker::from(Arc::new(WakeDriver(wake)));
        let machine = machine(clock(), &wake);
        let logs = machine.logs();
        Arc::new(Self { clock, wake, logs, state: Mutex::new(State { sockets: Vec::new(), machine }) })
    }
}

impl<M: Machine + ?Sized> Shared<M> {
    /// Works on the machine. The driver asks by itself for what is then to be done, or must be woken.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut M, Now) -> T) -> T {
        self.with_state(|state, now| work(&mut state.machine, now))
    }

    /// Works on the machine and wakes the driver.
    pub(crate) fn command<T>(&self, work: impl FnOnce(&mut M, Now) -> T) -> T {
        let result = self.with(work);
        self.wake();
        result
    }

    /// Works on the machine, then writes what can be written at once if the work asks for it, or else wakes the driver.
    pub(crate) fn prompt_if<T>(&self, work: impl FnOnce(&mut M, Now) -> (T, bool)) -> T {
        let (result, next) = self.with_state(|state, now| {
            let (result, is_urgent) = work(&mut state.machine, now);
            (result, if is_urgent { state.prompt(now) } else { Next::WakeDriver })
        });
        self.write_out(next);
        result
    }

    /// Works on the machine, then writes what can be written at once.
    pub(crate) fn prompt<T>(&self, work: impl FnOnce(&mut M, Now) -> T) -> T {
        let (result, next) = self.with_state(|state, now| {
            let result = work(&mut state.machine, now);
            (result, state.prompt(now))
        });
        self.write_out(next);
        result
    }

    /// Shows what was sent and received to a log, if there is one.
    fn drain_logs(&self) {
        if let Some(logs) = &self.logs {
            logs.drain();
        }
    }

    /// Wakes the driver.
    pub(crate) fn wake(&self) {
        self.wake.wake_by_ref();
    }

    pub(crate) fn now(&self) -> Now {
        (self.clock)()
    }

    fn with_state<T>(&self, work: impl FnOnce(&mut State<M>, Now) -> T) -> T {
        let mut state = self.lock();
        let result = work(&mut state, (self.clock)());
        let wakers = state.machine.take_wakers();
        drop(state);
        // Keys are logged before a frame under them, which `work` may have claimed, is written.
        if let Some(logs) = &self.logs
            && logs.flush()
        {
            self.wake();
        }
        // A woken task would only wait for the lock.
        wakers.wake();
        result
    }

    /// Writes until nothing is left that can be written at once.
    fn write_out(&self, mut next: Next) {
        for _ in 0..MOST_WRITES {
            match next {
                Next::Write(claim) => next = self.write(claim).1,
                Next::Nothing => return,
                Next::WakeDriver => break,
            }
        }
        if let Next::Write((socket, _, buffer)) = next {
            // Nothing was written of it: the driver does.
            let again = Err(io::ErrorKind::Interrupted.into());
            self.with(|machine, now| machine.end_write(now, socket, buffer, again));
        }
        self.wake();
    }

    /// Makes one system call; returns whether the socket takes no more at present, and what is to be written next.
    fn write(&self, (socket, handle, buffer): Claim) -> (bool, Next) {
        let written = handle.try_write(buffer.bytes());
        let is_blocked = matches!(&written, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        let next = self.with_state(|state, now| {
            state.machine.end_write(now, socket, buffer, written);
            // What is claimed must be written: a socket that is blocked keeps its bytes unclaimed.
            match if is_blocked { None } else { state.claim(socket) } {
                Some(claim) => Next::Write(claim),
                None => state.prompt(now),
            }
        });
        (is_blocked, next)
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        // The machine is whole between any two of its statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Machine + ?Sized> State<M> {
    /// Claims what waits for a socket.
    fn claim(&mut self, socket: SocketId) -> Option<Claim> {
        let handle =
            self.sockets.iter().find(|(known, _)| *known == socket).map(|(_, handle)| Arc::clone(handle))?;
        Some((socket, handle, self.machine.links().begin_write(socket)?))
    }

    /// Claims what can be written at once.
    fn prompt(&mut self, now: Now) -> Next {
        match self.machine.poll_prompted(now) {
            Prompted::Write(socket) => self.claim(socket).map_or(Next::WakeDriver, Next::Write),
            Prompted::Nothing => Next::Nothing,
            Prompted::NeedsDriver => Next::WakeDriver,
        }
    }
}

impl<M: Machine + ?Sized> fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// The end of a client, or of a [`Stream`](crate::Stream), that is driven.
///
/// It is dropped when the driver has nothing left to do, or is stopped: the store is free then, and those who wait for
/// the end are told.
pub struct Driver {
    sockets: Sockets,
    place: Mutex<Place>,
    unreadable: Unreadable,
}

/// The client's slot in its store.
enum Place {
    /// There is none, or it is given up.
    None,
    /// Nothing was asked of the store yet.
    Unclaimed(Claiming),
    /// Another client of the process may have it.
    Claiming(Claiming),
    Claimed(StoreHandle),
}

/// Waits until no other client of the process has the slot.
pub(crate) type Claiming = Pin<Box<dyn Future<Output = StoreHandle> + Send>>;

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared<dyn Machine>>,
        claim: Option<Claiming>,
        unreadable: Unreadable,
    ) -> Self {
        let place = Mutex::new(claim.map_or(Place::None, Place::Unclaimed));
        Self { sockets: Sockets(shared), place, unreadable }
    }

    /// Returns what to do next. After [`Action::WaitUntil`], ask again at that time, or once the driver was woken.
    pub fn poll_action(&self) -> Action {
        self.sockets.0.drain_logs();
        self.poll_claim();
        loop {
            let action = self.sockets.0.with(Machine::poll_action);
            let Action::Store(StoreTask(Task::Claim)) = action else { return action };
            let mut place = lock(&self.place);
            *place = match mem::replace(&mut *place, Place::None) {
                Place::Unclaimed(claim) => Place::Claiming(claim),
                other => other,
            };
            drop(place);
            self.poll_claim();
        }
    }

    /// Asks whether the slot is free. Its release wakes the driver, so no thread or task waits for it.
    fn poll_claim(&self) {
        let mut place = lock(&self.place);
        let Place::Claiming(claim) = &mut *place else { return };
        let mut context = Context::from_waker(&self.sockets.0.wake);
        let Poll::Ready(store) = claim.as_mut().poll(&mut context) else { return };
        // It is in its place before the machine asks for work on it.
        *place = Place::Claimed(store);
        drop(place);
        if !self.sockets.0.with(|machine, _| machine.handle_claimed()) {
            self.leave();
        }
    }

    /// Lets go of the slot.
    fn leave(&self) {
        let place = mem::replace(&mut *lock(&self.place), Place::None);
        // Outside of the lock: the next client is woken.
        drop(place);
    }

    /// Returns how long it is until a time that [`Action::WaitUntil`] gave.
    pub fn until(&self, at: MonoTime) -> Duration {
        at.since(self.sockets.0.now().mono)
    }

    /// Returns what reports about sockets; clones go to the threads or tasks that read and write.
    pub fn sockets(&self) -> Sockets {
        self.sockets.clone()
    }

    /// Returns the job of [`Action::Store`], which reports its result by itself. The driver goes on meanwhile.
    pub fn store(&self, task: StoreTask) -> StoreJob {
        let shared = Arc::clone(&self.sockets.0);
        let store = match &*lock(&self.place) {
            Place::Claimed(store) => Some(store.clone()),
            Place::None | Place::Unclaimed(_) | Place::Claiming(_) => None,
        };
        let is_blocking = store.as_ref().is_some_and(StoreHandle::is_blocking);
        let unreadable = self.unreadable;
        let work: Pin<Box<dyn Future<Output = ()> + Send>> = match (task.0, store) {
            (Task::Load, Some(store)) => Box::pin(async move {
                let loaded = caught(store.load(unreadable)).await;
                shared.command(|machine, now| machine.handle_loaded(now, loaded));
            }),
            (Task::Run(work), Some(store)) => Box::pin(async move {
                let result = caught(store.run(work)).await;
                shared.command(|machine, now| machine.handle_stored(now, result));
            }),
            // A claim is the driver's own, and without a slot there is nothing to do.
            (Task::Claim, _) | (_, None) => return StoreJob::nothing(),
        };
        StoreJob { work, is_blocking }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.leave();
        self.sockets.0.lock().sockets.clear();
        // Those who are told of the end find the log complete.
        self.sockets.0.drain_logs();
        self.sockets.0.with(|machine, _| machine.handle_driver_ended());
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// Work on a store of keys: a future that needs no runtime.
#[must_use = "nothing is done unless this is waited for"]
pub struct StoreJob {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_blocking: bool,
}

impl StoreJob {
    fn nothing() -> Self {
        Self { work: Box::pin(async {}), is_blocking: false }
    }

    /// Returns whether the future blocks the thread that polls it, on a disk for instance.
    pub const fn is_blocking(&self) -> bool {
        self.is_blocking
    }

    /// Blocks until the work is done.
    pub fn wait(self) {
        block_on(self);
    }
}

impl Future for StoreJob {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.work.as_mut().poll(context)
    }
}

impl fmt::Debug for StoreJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreJob").field("is_blocking", &self.is_blocking).finish_non_exhaustive()
    }
}

/// Returns how long connecting to each of several addresses may take, so that each is tried in the time there is.
fn share(timeout: Duration, addresses: usize) -> Duration {
    let addresses = u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    (timeout / addresses).max(Duration::from_millis(1))
}

/// Returns the error for a kind of address that this crate does not know.
fn unknown(address: &Address) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("{address} is of an unknown kind"))
}

/// Bytes of a socket that the system may hold besides those on their way. A ping waits behind them: at 20 KiB/s for less than
/// two seconds. The system's own bound is some megabytes.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MOST_UNSENT: u32 = 32 << 10;

/// Limits what the system holds of a socket (`TCP_NOTSENT_LOWAT`), where it can.
#[cfg(all(any(feature = "blocking", feature = "tokio"), any(target_os = "linux", target_os = "android")))]
fn limit_unsent(socket: &impl std::os::fd::AsFd) {
    // Without the option a ping waits longer, as on other systems.
    let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(MOST_UNSENT);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn limit_unsent<S>(_: &S) {}

/// Waits for a store, where a panic is a failure.
async fn caught<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(StoreError::other("it panicked"))))
    })
    .await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a driver reports about its sockets.
#[derive(Clone, Debug)]
pub struct Sockets(Arc<Shared<dyn Machine>>);

impl Sockets {
    /// A socket is connected; calls are written to `handle` from now on. Returns whether it is still wanted.
    pub fn connected(&self, socket: SocketId, handle: Arc<dyn Socket>) -> bool {
        let is_wanted = self.0.with_state(|state, now| {
            let is_wanted = state.machine.handle_connected(now, socket);
            if is_wanted {
                state.sockets.push((socket, handle));
            }
            is_wanted
        });
        self.0.wake();
        is_wanted
    }

    /// A socket could not be connected.
    pub fn connect_failed(&self, socket: SocketId, error: io::Error) {
        self.0.command(|machine, now| machine.handle_connect_failed(now, socket, error));
    }

    /// Lends room to read into; `None` if nothing more is to be read from this socket.
    pub fn begin_read(&self, socket: SocketId) -> Option<ReadBuffer> {
        self.0.with(|machine, _| machine.links().begin_read(socket))
    }

    /// Takes the room back with what was read, writes what that calls for, and lends room again. `Ok(0)` means that the
    /// peer has closed the connection.
    pub fn end_read(
        &self,
        socket: SocketId,
        buffer: ReadBuffer,
        read: io::Result<usize>,
    ) -> Option<ReadBuffer> {
        self.0.prompt(|machine, now| {
            machine.end_read(now, socket, buffer, read);
            machine.links().begin_read(socket)
        })
    }

    /// Writes what the socket takes at once. Returns whether it takes no more at present: then call again once it can be
    /// written to.
    pub fn flush(&self, socket: SocketId) -> bool {
        let mut claim = self.0.with_state(|state, _| {
            let claim = state.claim(socket);
            if claim.is_none() {
                // Somebody else writes. If the socket does not take everything, the driver is told once more.
                state.machine.links().write_later(socket);
            }
            claim
        });
        while let Some(present) = claim {
            let (is_blocked, next) = self.0.write(present);
            match next {
                Next::Write(next) if next.0 == socket && !is_blocked => claim = Some(next),
                next => {
                    self.0.write_out(next);
                    return is_blocked;
                }
            }
        }
        false
    }

    /// Writes the last bytes of a socket that is being closed, if it takes them, and forgets the socket.
    pub fn close(&self, socket: SocketId) {
        self.flush(socket);
        self.0.lock().sockets.retain(|(known, _)| *known != socket);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chappe_crypto::AuthKey;
    use chappe_session::client::KeyMaterial;

    use super::*;
    use crate::client::{Client, ConnectOptions};
    use crate::key_log::KeyLog;
    use crate::store::MemoryStore;

    /// Counts who holds the store at the moment of being told.
    struct Holders {
        store: Arc<MemoryStore>,
        seen: AtomicUsize,
    }

    impl Wake for Holders {
        fn wake(self: Arc<Self>) {
            self.seen.store(Arc::strong_count(&self.store), Ordering::SeqCst);
        }
    }

    #[test]
    fn the_time_to_connect_is_shared_by_the_addresses_of_a_name() {
        let second = Duration::from_secs(1);
        assert_eq!(share(second, 1), second);
        assert_eq!(share(second, 4), second / 4);
        assert_eq!(share(second, 0), second);
        assert!(share(Duration::ZERO, 3) > Duration::ZERO, "a socket refuses to wait no time at all");
    }

    /// A socket that takes nothing at first.
    #[derive(Default)]
    struct Blocked {
        calls: AtomicUsize,
        taken: AtomicUsize,
    }

    impl Socket for Blocked {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.taken.fetch_add(bytes.len(), Ordering::SeqCst);
            Ok(bytes.len())
        }
    }

    #[test]
    fn what_a_socket_does_not_take_is_written_later() {
        let (_client, driver) =
            Client::with_driver(ConnectOptions::production(2), Now::from_system, || {}).expect("randomness");
        let (sockets, handle) = (driver.sockets(), Arc::<Blocked>::default());
        let mut is_blocked = None;
        while is_blocked.is_none() {
            match driver.poll_action() {
                Action::Connect { socket, .. } if handle.calls.load(Ordering::SeqCst) == 0 => {
                    assert!(sockets.connected(socket, Arc::clone(&handle) as Arc<dyn Socket>));
                }
                Action::Write(socket) => is_blocked = sockets.flush(socket).then_some(socket),
                Action::WaitUntil(_) | Action::Finished => panic!("nothing to write"),
                _ => {}
            }
        }
        let socket = is_blocked.expect("it was blocked");
        assert!(!sockets.flush(socket), "it takes everything now");
        assert!(handle.taken.load(Ordering::SeqCst) > 0, "the bytes are lost");
    }

    #[test]
    fn what_a_caller_could_not_write_is_written_by_the_driver_that_came_too_late() {
        let (_client, driver) =
            Client::with_driver(ConnectOptions::production(2), Now::from_system, || {}).expect("randomness");
        let (sockets, handle) = (driver.sockets(), Arc::<Blocked>::default());
        let mut connected = None;
        let socket = loop {
            match driver.poll_action() {
                Action::Connect { socket, .. } if connected.is_none() => {
                    assert!(sockets.connected(socket, Arc::clone(&handle) as Arc<dyn Socket>));
                    connected = Some(socket);
                }
                Action::Write(socket) => break socket,
                Action::WaitUntil(_) | Action::Finished => panic!("nothing to write"),
                _ => {}
            }
        };
        let claim = sockets.0.with_state(|state, _| state.claim(socket)).expect("something to write");
        assert!(!sockets.flush(socket), "somebody else writes");
        let (is_blocked, next) = sockets.0.write(claim);
        assert!(is_blocked);
        sockets.0.write_out(next);
        loop {
            match driver.poll_action() {
                Action::Write(again) => break assert_eq!(again, socket),
                Action::WaitUntil(_) | Action::Finished => panic!("nobody writes any more"),
                _ => {}
            }
        }
    }

    #[test]
    fn the_store_is_let_go_before_anybody_is_told_of_the_end() {
        let holders = Arc::new(Holders { store: Arc::new(MemoryStore::new()), seen: AtomicUsize::new(0) });
        let options = ConnectOptions::production(2).with_store(holders.store.clone());
        let (client, driver) = Client::with_driver(options, Now::from_system, || {}).expect("randomness");
        let mut closing = client.close();
        let waker = Waker::from(Arc::clone(&holders));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut closing).poll(&mut context).is_pending(), "the driver has not ended");
        drop(driver);
        assert!(Pin::new(&mut closing).poll(&mut context).is_ready());
        assert_eq!(holders.seen.load(Ordering::SeqCst), 1, "the test alone");
        client.close().wait();
    }

    /// Notes whether it is woken under the lock of a client.
    struct Unlocked {
        shared: Arc<Shared<dyn Machine>>,
        woken: AtomicUsize,
        was_locked: AtomicUsize,
    }

    impl Wake for Unlocked {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::SeqCst);
            self.was_locked.fetch_add(usize::from(self.shared.state.try_lock().is_err()), Ordering::SeqCst);
        }
    }

    #[test]
    fn nobody_is_woken_under_the_lock() {
        let (client, driver) =
            Client::with_driver(ConnectOptions::production(2), Now::from_system, || {}).expect("randomness");
        let shared = Arc::clone(&driver.sockets.0);
        let unlocked =
            Arc::new(Unlocked { shared, woken: AtomicUsize::new(0), was_locked: AtomicUsize::new(0) });
        let waker = Waker::from(Arc::clone(&unlocked));
        let mut context = Context::from_waker(&waker);
        let (mut ready, mut updates) = (client.ready(), client.updates());
        assert!(Pin::new(&mut ready).poll(&mut context).is_pending());
        let mut update = updates.recv();
        assert!(Pin::new(&mut update).poll(&mut context).is_pending());
        let mut closing = client.close();
        assert!(Pin::new(&mut closing).poll(&mut context).is_pending());
        drop(driver);
        assert_eq!(unlocked.woken.load(Ordering::SeqCst), 3, "the first connection, updates, the end");
        assert_eq!(unlocked.was_locked.load(Ordering::SeqCst), 0);
    }

    /// A log that notes whether it is called under the lock of a client.
    #[derive(Debug, Default)]
    struct UnlockedLog {
        shared: OnceLock<Arc<Shared<dyn Machine>>>,
        called: AtomicUsize,
        was_free: AtomicUsize,
    }

    impl UnlockedLog {
        fn look(&self) {
            let is_free = self.shared.get().is_some_and(|shared| shared.state.try_lock().is_ok());
            self.called.fetch_add(1, Ordering::SeqCst);
            self.was_free.fetch_add(usize::from(is_free), Ordering::SeqCst);
        }

        /// Returns how often it was called, and how often of that without the lock.
        fn seen(&self) -> (usize, usize) {
            (self.called.load(Ordering::SeqCst), self.was_free.load(Ordering::SeqCst))
        }
    }

    impl KeyLog for UnlockedLog {
        fn log(&self, _: &AuthKey) {
            self.look();
        }
    }

    #[test]
    fn no_log_is_written_under_the_lock() {
        let [keys, wire] = [(); 2].map(|()| Arc::<UnlockedLog>::default());
        let mut options = ConnectOptions::production(2).with_key_log(Arc::clone(&keys) as Arc<dyn KeyLog>);
        options.key = Some(KeyMaterial::from_handshake([7; 256], 42, 0, 1_800_000_000));
        #[cfg(feature = "wire-log")]
        let options = {
            let wire = Arc::clone(&wire);
            options.with_wire_log(crate::WireLog::new(move |_| wire.look()))
        };
        let (_client, driver) = Client::with_driver(options, Now::from_system, || {}).expect("randomness");
        for log in [&keys, &wire] {
            log.shared.set(Arc::clone(&driver.sockets.0)).expect("it was not set");
        }
        let (sockets, handle) = (driver.sockets(), Arc::<Blocked>::default());
        loop {
            match driver.poll_action() {
                Action::Connect { socket, .. } => {
                    sockets.connected(socket, Arc::clone(&handle) as Arc<dyn Socket>);
                }
                Action::Write(socket) => while sockets.flush(socket) {},
                Action::WaitUntil(_) => break,
                Action::Finished => panic!("nothing to write"),
                _ => {}
            }
        }
        assert!(handle.taken.load(Ordering::SeqCst) > 0, "nothing was written");
        // The driver was woken to show what the client sent.
        driver.poll_action();
        assert_eq!(keys.seen(), (1, 1));
        let (called, was_free) = wire.seen();
        assert_eq!((called > 0, was_free), (cfg!(feature = "wire-log"), called));
    }

    #[cfg(feature = "blocking")]
    #[test]
    fn a_client_that_gives_its_claim_up_leaves_nothing_that_waits_for_the_store() {
        let store = Arc::new(MemoryStore::new());
        let mut options = ConnectOptions::production(2).with_store(store.clone());
        options.timing.close = Duration::from_millis(20);
        let (_first, driver) =
            Client::with_driver(options.clone(), Now::from_system, || {}).expect("randomness");
        loop {
            match driver.poll_action() {
                Action::Store(task) => driver.store(task).wait(),
                Action::Connect { .. } => break,
                action => panic!("{action:?} before it has the store"),
            }
        }
        let holders = Arc::strong_count(&store);
        let second = crate::blocking::start(options.clone()).expect("a thread");
        let error = second.ready().wait().expect_err("the first has the store");
        assert!(matches!(error.cause(), crate::client::ConnectError::Store(StoreError::InUse { .. })));
        second.close().wait();
        assert_eq!(Arc::strong_count(&store), holders, "something waits for the store still");
    }
}
