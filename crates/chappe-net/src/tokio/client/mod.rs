//! A client whose driver is a task.

mod driver;

use std::net::{Ipv4Addr, UdpSocket};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_tl::{RemoteCall, Serializable};
use tokio::sync::Notify;

use crate::client::core::Core;
use crate::client::desk::{Desk, Waker};
use crate::client::duty::Duty;
use crate::client::lanes::beside;
use crate::client::shared::{Owner, Shared};
use crate::client::{ConnectError, ConnectOptions, InvokeError, InvokeOptions, PendingCall, Status, Updates};
use crate::store::StoreError;
use crate::store::handle::{Loaded, StoreHandle};
use crate::validate::InvalidOption;
use driver::{Clock, Driver, on_store};

/// A client of one datacenter: one session, over one connection after the other.
///
/// Clones are the same client. It reconnects by itself; calls made meanwhile wait. When the last clone is dropped, calls
/// under way may still end, and the connection is closed.
///
/// ```no_run
/// use chappe_net::{ConnectOptions, tokio::Client};
/// use chappe_tl_mtproto::functions::GetFutureSalts;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect(ConnectOptions::production(2)).await?;
/// let answer = client.invoke_object(&GetFutureSalts { num: 1 }).await?;
/// client.close().await;
/// # let _ = answer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    owner: Arc<Owner>,
}

impl Client {
    /// Connects, makes a key if the store has none, and returns once the datacenter has answered.
    ///
    /// May be cancelled.
    ///
    /// # Errors
    ///
    /// Says who failed; see [`ConnectError::blame`]. Several attempts were made, as
    /// [`BackOff::first_attempts`](crate::BackOff::first_attempts) says, unless the error shows that they would fail alike.
    pub async fn connect(mut options: ConnectOptions) -> Result<Self, Arc<ConnectError>> {
        options.validate().map_err(ConnectError::InvalidOption)?;
        check_runtime().map_err(ConnectError::InvalidOption)?;
        let (store, loaded) = open_store(&mut options).await.map_err(ConnectError::Store)?.unzip();
        let (kept, schedule) = loaded.map_or((None, None), |loaded| (loaded.key, Some(loaded.schedule)));
        let key = kept.or_else(|| options.key.clone());
        let options = Arc::new(options);
        let rng = || {
            Drbg::from_os().map_err(|error| ConnectError::System(std::io::Error::other(error.to_string())))
        };
        let wake = Arc::new(Notify::new());
        let desk = Desk::new(rng()?);
        let notified = Arc::clone(&wake);
        let waker =
            Box::new(Waker { desk: Arc::clone(&desk), wake: Box::new(move || notified.notify_one()) });
        let clock = Clock::new();
        let clock = Box::new(move || clock.now());
        let shared = Shared::new(Arc::clone(&options), key, schedule, rng()?, clock, waker);
        let ready = PendingCall::<Vec<u8>>::signal(shared.ready());
        // Dropped on the way out, it closes what was begun.
        let client = Self { owner: Arc::new(Owner(Arc::clone(&shared))) };
        tokio::spawn(Driver::new(Duty { shared, store }, options, desk, wake).run());
        let Err(error) = ready.await else {
            return Ok(client);
        };
        // The store is free for whoever tries again.
        client.close().await;
        Err(match error {
            InvokeError::Connection(error) => error,
            _ => Arc::new(ConnectError::Closed),
        })
    }

    /// Calls a function and waits for its result.
    ///
    /// The call is accepted at once and goes out whether or not the future is polled; dropping the future gives the
    /// call up.
    pub fn invoke<C: RemoteCall>(&self, call: &C) -> PendingCall<C::Return> {
        self.owner.0.invoke(call, &InvokeOptions::default())
    }

    /// Calls a function, with options.
    pub fn invoke_with<C: RemoteCall>(&self, call: &C, options: &InvokeOptions) -> PendingCall<C::Return> {
        self.owner.0.invoke(call, options)
    }

    /// Sends an object that is encoded elsewhere or has no result type, and returns the answer as it came, unpacked.
    pub fn invoke_object<S: Serializable>(&self, call: &S) -> PendingCall<Vec<u8>> {
        self.owner.0.invoke_object(call, &InvokeOptions::default())
    }

    /// Sends a call that is encoded already, constructor id first, and returns the answer as it came, unpacked.
    pub fn invoke_bytes(&self, call: &[u8], options: &InvokeOptions) -> PendingCall<Vec<u8>> {
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
    /// Returns when that is done and the client has let go of its store. Closing again waits for the same. May be cancelled:
    /// the client ends all the same, as long as its runtime goes on.
    pub async fn close(&self) {
        let slot = self.owner.0.command(Core::close);
        // It is told that the client has ended, and nothing else.
        let _ = PendingCall::<Vec<u8>>::signal(slot).await;
    }
}

/// Claims the slot of the options in their store, if they have one, and loads it.
async fn open_store(options: &mut ConnectOptions) -> Result<Option<(StoreHandle, Loaded)>, StoreError> {
    let (slot, patience, unreadable) = (options.slot(), options.timing.close, options.unreadable());
    let Some(claim) = StoreHandle::claim(options) else { return Ok(None) };
    let claimed = tokio::time::timeout(patience, claim).await;
    let store = claimed.map_err(|_| StoreHandle::in_use(slot))?;
    let loaded = on_store(store.clone(), move |store| store.load(unreadable)).await?;
    Ok(Some((store, loaded)))
}

/// Checks that there is a runtime, with time and I/O. Tokio has no question for that: it panics where one of them is missing.
fn check_runtime() -> Result<(), InvalidOption> {
    let missing = |what: &str| {
        let reason = format!("tokio has no {what} here: call `connect` in a runtime built with `enable_all`");
        InvalidOption::new("runtime", reason)
    };
    tokio::runtime::Handle::try_current().map_err(|_| missing("runtime"))?;
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| missing("time"))?;
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else {
        // Without a socket nothing can be tried; dialling will say why there is none.
        return Ok(());
    };
    let tried = catch_unwind(move || {
        socket.set_nonblocking(true).and_then(|()| tokio::net::UdpSocket::from_std(socket)).map(drop)
    });
    tried.map_or_else(|_| Err(missing("I/O")), |_| Ok(()))
}
