//! A client whose driver is a thread.

mod driver;

use std::io;
use std::sync::Arc;
use std::thread;

use chappe_crypto::rng::Drbg;
use chappe_session::Now;
use chappe_tl::{RemoteCall, Serializable};

use crate::block_on::{block_on, block_on_for};
use crate::client::core::Core;
use crate::client::desk::{Desk, Waker};
use crate::client::duty::Duty;
use crate::client::lanes::beside;
use crate::client::shared::{Owner, Shared};
use crate::client::{ConnectError, ConnectOptions, InvokeError, InvokeOptions, PendingCall, Status, Updates};
use crate::store::StoreError;
use crate::store::handle::{Loaded, StoreHandle};
use driver::{Driver, Signal};

/// A client of one datacenter: one session, over one connection after the other.
///
/// Clones are the same client. It reconnects by itself; calls made meanwhile wait. When the last clone is dropped, calls
/// under way may still end, and the connection is closed.
///
/// ```no_run
/// use chappe_net::{ConnectOptions, blocking::Client};
/// use chappe_tl_mtproto::functions::GetFutureSalts;
///
/// let client = Client::connect(ConnectOptions::production(2))?;
/// let answer = client.start_object(&GetFutureSalts { num: 1 }).wait()?;
/// client.close();
/// # let _ = answer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    owner: Arc<Owner>,
}

impl Client {
    /// Connects, makes a key if the store has none, and returns once the datacenter has answered.
    ///
    /// # Errors
    ///
    /// Says who failed; see [`ConnectError::blame`]. Several attempts were made, as
    /// [`BackOff::first_attempts`](crate::BackOff::first_attempts) says, unless the error shows that they would fail alike.
    pub fn connect(mut options: ConnectOptions) -> Result<Self, Arc<ConnectError>> {
        options.validate().map_err(ConnectError::InvalidOption)?;
        let (store, loaded) = open_store(&mut options).map_err(ConnectError::Store)?.unzip();
        let (kept, schedule) = loaded.map_or((None, None), |loaded| (loaded.key, Some(loaded.schedule)));
        let key = kept.or_else(|| options.key.clone());
        let options = Arc::new(options);
        let rng =
            || Drbg::from_os().map_err(|error| ConnectError::System(io::Error::other(error.to_string())));
        let signal = Arc::new(Signal::default());
        let desk = Desk::new(rng()?);
        let raised = Arc::clone(&signal);
        let waker = Box::new(Waker { desk: Arc::clone(&desk), wake: Box::new(move || raised.raise()) });
        let clock = Box::new(Now::from_system);
        let shared = Shared::new(Arc::clone(&options), key, schedule, rng()?, clock, waker);
        let ready = PendingCall::<Vec<u8>>::signal(shared.ready());
        // Dropped on the way out, it closes what was begun.
        let client = Self { owner: Arc::new(Owner(Arc::clone(&shared))) };
        let driver = Driver::new(Duty { shared, store }, options, desk, signal);
        let spawned = thread::Builder::new().name("chappe-client".into()).spawn(move || driver.run());
        spawned.map_err(ConnectError::System)?;
        let Err(error) = ready.wait() else {
            return Ok(client);
        };
        // The store is free for whoever tries again.
        client.close();
        Err(match error {
            InvokeError::Connection(error) => error,
            _ => Arc::new(ConnectError::Closed),
        })
    }

    /// Calls a function and waits for its result.
    ///
    /// # Errors
    ///
    /// Says who failed; see [`InvokeError::blame`].
    pub fn invoke<C: RemoteCall>(&self, call: &C) -> Result<C::Return, InvokeError> {
        self.start(call).wait()
    }

    /// Calls a function, with options, and waits for its result.
    ///
    /// # Errors
    ///
    /// As for [`invoke`](Self::invoke).
    pub fn invoke_with<C: RemoteCall>(
        &self,
        call: &C,
        options: &InvokeOptions,
    ) -> Result<C::Return, InvokeError> {
        self.start_with(call, options).wait()
    }

    /// Calls a function and does not wait. The handle can be waited for, looked at, awaited, and dropped to give the call up.
    pub fn start<C: RemoteCall>(&self, call: &C) -> PendingCall<C::Return> {
        self.owner.0.invoke(call, &InvokeOptions::default())
    }

    /// Calls a function, with options, and does not wait.
    pub fn start_with<C: RemoteCall>(&self, call: &C, options: &InvokeOptions) -> PendingCall<C::Return> {
        self.owner.0.invoke(call, options)
    }

    /// Sends an object that is encoded elsewhere or has no result type; gives the answer as it came, unpacked.
    pub fn start_object<S: Serializable>(&self, call: &S) -> PendingCall<Vec<u8>> {
        self.owner.0.invoke_object(call, &InvokeOptions::default())
    }

    /// Sends a call that is encoded already, constructor id first; gives the answer as it came, unpacked.
    pub fn start_bytes(&self, call: &[u8], options: &InvokeOptions) -> PendingCall<Vec<u8>> {
        self.owner.0.invoke_bytes(call, options)
    }

    /// Returns the updates.
    pub fn updates(&self) -> Updates {
        self.owner.0.updates()
    }

    /// Returns how the client is doing.
    pub fn status(&self) -> Status {
        self.owner.0.status()
    }

    /// Returns options for another client under the same key.
    pub(super) fn options_beside(&self, options: &ConnectOptions) -> ConnectOptions {
        beside(options, &self.owner.0)
    }

    /// Makes a new connection, which replaces the one in use once it has shown that somebody answers. While there is
    /// none, has the next attempt made at once.
    ///
    /// For applications that are told of a change of networks.
    pub fn refresh(&self) {
        self.owner.0.command(Core::refresh);
    }

    /// Refuses new calls, waits for those under way as long as [`Timing::close`](crate::Timing::close) allows,
    /// acknowledges what came, saves the state, and closes the connection.
    ///
    /// Returns when that is done and the client has let go of its store. Closing again waits for the same.
    pub fn close(&self) {
        let slot = self.owner.0.command(Core::close);
        // It is told that the client has ended, and nothing else.
        let _ = PendingCall::<Vec<u8>>::signal(slot).wait();
    }
}

/// Claims the slot of the options in their store, if they have one, and loads it.
fn open_store(options: &mut ConnectOptions) -> Result<Option<(StoreHandle, Loaded)>, StoreError> {
    let (slot, patience, unreadable) = (options.slot(), options.timing.close, options.unreadable());
    let Some(claim) = StoreHandle::claim(options) else { return Ok(None) };
    let store = block_on_for(claim, patience).ok_or_else(|| StoreHandle::in_use(slot))?;
    let loaded = block_on(store.clone().load(unreadable))?;
    Ok(Some((store, loaded)))
}
