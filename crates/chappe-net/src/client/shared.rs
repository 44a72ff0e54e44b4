//! What the handles of a client share with its driver: the core, the clock, and a way to wake the driver.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_framing::TransportTail;
use chappe_session::Counters;
use chappe_session::MonoTime;
use chappe_session::Now;
use chappe_session::client::{CallId, ClientSession, KeyMaterial, SendError, SendOptions};
use chappe_tl::deserialize::Deserializable;
use chappe_tl::{RemoteCall, Serializable};
use chappe_transport::Framing;

use super::core::Core;
use super::pending::{PendingCall, Slot};
use super::updates::UpdateQueue;
use super::{ConnectError, ConnectOptions, InvokeError, InvokeOptions, Updates};
use crate::store::StoreError;
use crate::store::schedule::StoreSchedule;

/// What is to be seen of a client from outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// A connection works, and calls flow over it.
    pub is_connected: bool,
    /// The client was closed, or cannot go on.
    pub is_over: bool,
    /// Smoothed round trip of pings.
    pub round_trip: Option<Duration>,
    /// Seconds to add to the local clock to get the datacenter's.
    pub time_offset: i32,
    /// Calls under way.
    pub pending_calls: usize,
    /// Connections that were used so far.
    pub connections: u64,
    /// What ended the last connection, until the next one works.
    pub last_error: Option<Arc<ConnectError>>,
    /// Why the state could not be saved, until it is. The client tries again by itself.
    pub store_error: Option<Arc<StoreError>>,
    /// What the session counted.
    pub counters: Counters,
}

/// Reads a driver's clock.
type Clock = Box<dyn Fn() -> Now + Send + Sync>;

pub(crate) struct Shared {
    core: Mutex<Core>,
    updates: Arc<UpdateQueue>,
    clock: Clock,
    waker: Box<dyn Wake>,
}

/// A driver, as the handles see it.
pub(crate) trait Wake: Send + Sync {
    /// Has it ask the core what to do.
    fn wake(&self);

    /// Has what waits written at once if that is possible; otherwise as `wake`.
    fn prompt(&self, shared: &Shared);
}

impl Shared {
    pub(crate) fn new(
        options: Arc<ConnectOptions>,
        key: Option<KeyMaterial>,
        store: Option<StoreSchedule>,
        rng: Drbg,
        clock: Clock,
        waker: Box<dyn Wake>,
    ) -> Arc<Self> {
        let updates = Arc::new(UpdateQueue::new(options.updates.clone()));
        let core = Core::new(options, key, store, Arc::clone(&updates), clock(), rng);
        Arc::new(Self { core: Mutex::new(core), updates, clock, waker })
    }

    /// Works on the core. What it then has to do, the driver asks for by itself or is woken for.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Core, Now) -> T) -> T {
        let mut core = self.lock();
        let result = work(&mut core, (self.clock)());
        let wakers = core.take_wakers();
        drop(core);
        wakers.wake();
        result
    }

    /// Works on the core and wakes the driver.
    pub(crate) fn command<T>(&self, work: impl FnOnce(&mut Core, Now) -> T) -> T {
        let result = self.with(work);
        self.waker.wake();
        result
    }

    /// Something came in: what the core has to say to it is written at once, or is the driver's.
    pub(crate) fn prompt(&self) {
        self.waker.prompt(self);
    }

    pub(crate) fn now(&self) -> Now {
        (self.clock)()
    }

    pub(crate) fn ready(&self) -> Arc<Slot> {
        self.lock().ready()
    }

    pub(crate) fn updates(&self) -> Updates {
        Updates::new(Arc::clone(&self.updates))
    }

    pub(crate) fn status(&self) -> Status {
        self.with(|core, now| core.status(now))
    }

    pub(crate) fn cancel(&self, call: CallId) {
        if self.with(|core, _| core.cancel(call)) {
            self.waker.wake();
        }
    }

    pub(crate) fn invoke<C: RemoteCall>(
        self: &Arc<Self>,
        call: &C,
        options: &InvokeOptions,
    ) -> PendingCall<C::Return> {
        let accepted = self.send(options, |session, now, options| session.send(now, call, options));
        PendingCall::new(accepted, C::Return::from_owned)
    }

    pub(crate) fn invoke_object<S: Serializable>(
        self: &Arc<Self>,
        call: &S,
        options: &InvokeOptions,
    ) -> PendingCall<Vec<u8>> {
        PendingCall::new(self.send(options, |session, now, options| session.send(now, call, options)), Ok)
    }

    pub(crate) fn invoke_bytes(
        self: &Arc<Self>,
        call: &[u8],
        options: &InvokeOptions,
    ) -> PendingCall<Vec<u8>> {
        PendingCall::new(
            self.send(options, |session, now, options| session.send_bytes(now, call, options)),
            Ok,
        )
    }

    fn send(
        self: &Arc<Self>,
        options: &InvokeOptions,
        send: impl FnOnce(&mut ClientSession, Now, SendOptions) -> Result<CallId, SendError>,
    ) -> Result<(Arc<Slot>, Arc<Self>, CallId), InvokeError> {
        let (slot, call, is_urgent) = self.with(|core, now| {
            let (slot, call) = core.invoke(now, options, send)?;
            Ok::<_, InvokeError>((slot, call, core.count_call()))
        })?;
        if is_urgent {
            self.waker.prompt(self);
        } else {
            self.waker.wake();
        }
        Ok((slot, Arc::clone(self), call))
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // The core is whole between any two of its statements that can panic.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Closes a client when its last handle goes. Calls under way may end first.
#[derive(Debug)]
pub(crate) struct Owner(pub(crate) Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.command(Core::close);
    }
}

/// How long it is until a time.
pub(crate) fn until(now: Now, at: MonoTime) -> Duration {
    at.since(now.mono)
}

/// Says whether a transport leaves padding behind frames.
pub(crate) const fn tail_of(framing: Framing) -> TransportTail {
    match framing {
        Framing::PaddedIntermediate => TransportTail::Padded,
        Framing::Abridged | Framing::Intermediate | Framing::Full => TransportTail::None,
    }
}
