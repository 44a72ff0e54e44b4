//! A client, as its callers have it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::Arc;

use chappe_crypto::rng::Drbg;
use chappe_framing::SessionId;
use chappe_session::client::{CallId, ClientSession, KeyMaterial, SavedState, SendError, SendOptions};
use chappe_session::{KeyDestruction, Now};
use chappe_tl::Deserializable;
use chappe_tl::{RemoteCall, Serializable};

use super::pending::Accepted;
use super::updates::UpdateQueue;
use super::{
    Candidate, ClientId, ClientMetrics, ConnectError, ConnectOptions, InvokeError, InvokeOptions,
    PendingCall, Status, Updates,
};
use crate::block_on::block_on;
use crate::driver::{Claiming, Clock, Driver, Shared};
use crate::engine::{Engine, Machine};
use crate::store::handle::StoreHandle;

/// A client of one datacenter: one session, over one connection after the other.
///
/// Both drivers start it: `tokio::connect` and `blocking::connect`. Calls can be awaited or waited for with either.
///
/// Clones are the same client. It reconnects by itself; calls made meanwhile wait. When the last clone is dropped, calls
/// under way may still end, and the connection is closed.
///
/// ```no_run
/// use chappe_net::{ConnectOptions, blocking};
/// use chappe_tl_mtproto::functions::GetFutureSalts;
///
/// let client = blocking::connect(ConnectOptions::production(2))?;
/// let answer = client.invoke_object(&GetFutureSalts { num: 1 }).wait()?; // or `.await`
/// client.close().wait();
/// # let _ = answer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    id: ClientId,
    owner: Arc<Owner>,
    updates: Arc<UpdateQueue>,
}

/// Closes a client when its last handle goes. Calls under way may end first.
#[derive(Debug)]
struct Owner(Arc<Shared<Engine>>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.command(Engine::close);
    }
}

impl Client {
    /// Makes a client and the [`Driver`] that the caller must run.
    ///
    /// `wake` is called, from any thread, when [`Driver::poll_action`] has something new. `clock` must not read another
    /// monotonic clock each time.
    ///
    /// # Errors
    ///
    /// The operating system gives no randomness.
    pub fn with_driver(
        options: ConnectOptions,
        clock: impl Fn() -> Now + Send + Sync + 'static,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Self, Driver), ConnectError> {
        Self::start(options, Box::new(clock), Box::new(wake))
    }

    /// Makes a client and its [`Driver`] as [`with_driver`](Self::with_driver) does, with a random generator of the caller.
    ///
    /// For simulations: with the same randomness, times and bytes a client does the same again. Keys are only as secret
    /// as the seed of `rng`.
    ///
    /// # Errors
    ///
    /// An option cannot work.
    pub fn with_driver_and_rng(
        options: ConnectOptions,
        clock: impl Fn() -> Now + Send + Sync + 'static,
        wake: impl Fn() + Send + Sync + 'static,
        rng: Drbg,
    ) -> Result<(Self, Driver), ConnectError> {
        options.validate().map_err(ConnectError::InvalidOption)?;
        Ok(Self::start_with(options, Box::new(clock), Box::new(wake), rng))
    }

    pub(crate) fn start(
        options: ConnectOptions,
        clock: Clock,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<(Self, Driver), ConnectError> {
        options.validate().map_err(ConnectError::InvalidOption)?;
        let rng =
            Drbg::from_os().map_err(|error| ConnectError::System(io::Error::other(error.to_string())))?;
        Ok(Self::start_with(options, clock, wake, rng))
    }

    fn start_with(
        mut options: ConnectOptions,
        clock: Clock,
        wake: Box<dyn Fn() + Send + Sync>,
        rng: Drbg,
    ) -> (Self, Driver) {
        // The driver alone holds the store, so that it is let go when the client ends.
        let id = ClientId::next();
        let claim = StoreHandle::claim(&mut options, id).map(|claim| Box::pin(claim) as Claiming);
        let unreadable = options.unreadable();
        let updates = Arc::new(UpdateQueue::new(options.updates.clone()));
        let (queue, has_store) = (Arc::clone(&updates), claim.is_some());
        let engine = |now, waker: &Waker| {
            let mut engine = Engine::new(id, options, has_store, queue, now, rng);
            engine.join(waker);
            engine
        };
        let shared = Shared::new(engine, clock, wake);
        let driver = Driver::new(Arc::clone(&shared) as Arc<Shared<dyn Machine>>, claim, unreadable);
        (Self { id, owner: Arc::new(Owner(shared)), updates }, driver)
    }

    /// Waits until the datacenter has answered for the first time.
    pub fn ready(&self) -> Ready {
        Ready(PendingCall::<Vec<u8>>::signal(self.owner.0.with(|engine, _| engine.ready())))
    }

    /// Waits for the first connection; closes the client if there will be none.
    pub(crate) async fn connected(self) -> Result<Self, Arc<ConnectError>> {
        let Err(error) = self.ready().await else { return Ok(self) };
        // The store is free for the next attempt.
        self.close().await;
        Err(error)
    }

    /// Calls a function.
    ///
    /// The call is accepted at once and goes out whether or not it is waited for; dropping it gives the call up.
    pub fn invoke<C: RemoteCall>(&self, call: &C) -> PendingCall<C::Return> {
        self.invoke_with(call, &InvokeOptions::default())
    }

    /// Calls a function, with options.
    pub fn invoke_with<C: RemoteCall>(&self, call: &C, options: &InvokeOptions) -> PendingCall<C::Return> {
        let accepted = self.send(options, |session, now, options| session.send(now, call, options));
        PendingCall::new(accepted, C::Return::from_owned)
    }

    /// Sends an object that is encoded elsewhere or has no result type, and gives the answer as it came, unpacked.
    pub fn invoke_object<S: Serializable>(&self, call: &S) -> PendingCall<Vec<u8>> {
        let options = InvokeOptions::default();
        PendingCall::new(self.send(&options, |session, now, options| session.send(now, call, options)), Ok)
    }

    /// Sends a call that is encoded already, constructor id first, and gives the answer as it came, unpacked.
    pub fn invoke_bytes(&self, call: &[u8], options: &InvokeOptions) -> PendingCall<Vec<u8>> {
        PendingCall::new(
            self.send(options, |session, now, options| session.send_bytes(now, call, options)),
            Ok,
        )
    }

    fn send(
        &self,
        options: &InvokeOptions,
        send: impl FnOnce(&mut ClientSession, Now, SendOptions) -> Result<CallId, SendError>,
    ) -> Result<Accepted, InvokeError> {
        let shared = &self.owner.0;
        let (slot, call) = shared.prompt_if(|engine, now| {
            let accepted = engine.invoke(now, options, send);
            let is_urgent = accepted.is_ok() && engine.count_call();
            (accepted, is_urgent)
        })?;
        Ok(Accepted { slot, shared: Arc::clone(shared), call })
    }

    /// Returns the updates.
    pub fn updates(&self) -> Updates {
        Updates::new(Arc::clone(&self.updates))
    }

    /// Returns how the client is doing.
    pub fn status(&self) -> Status {
        self.owner.0.with(|engine, now| engine.status(now))
    }

    /// Returns the number of this client, which the events of `tracing` carry.
    pub const fn id(&self) -> ClientId {
        self.id
    }

    /// Returns the id of the session; `None` before there is a key. It changes when the session begins anew.
    pub fn session_id(&self) -> Option<SessionId> {
        self.owner.0.with(|engine, _| engine.session_id())
    }

    /// Makes the datacenter forget another session of the same key (`destroy_session`), and gives whether it existed. Such
    /// a session keeps updates and answers for a client that does not come back.
    ///
    /// Waits as long as it takes, also for a connection. Dropping what is returned does not take the request back.
    pub fn destroy_session(&self, session_id: SessionId) -> PendingCall<bool> {
        let slot = self.owner.0.command(|engine, _| engine.destroy_session(session_id));
        PendingCall::answer(slot, |answer| Ok(answer == [1]))
    }

    /// Makes the datacenter forget the key (`destroy_auth_key`), as after `auth.logOut`. If it does, or did not know the
    /// key, the key is removed from the store and the client ends.
    ///
    /// Waits as long as it takes, also for a connection. Dropping what is returned does not take the request back. Not
    /// possible with forward secrecy, where the key in use is a temporary one.
    pub fn destroy_auth_key(&self) -> PendingCall<KeyDestruction> {
        let slot = self.owner.0.command(|engine, _| engine.destroy_auth_key());
        PendingCall::answer(slot, |answer| {
            let known = [KeyDestruction::Destroyed, KeyDestruction::Unknown];
            let found = known.into_iter().find(|known| answer == [*known as u8]);
            Ok(found.unwrap_or(KeyDestruction::Failed))
        })
    }

    /// Returns what the client has counted, for a monitoring system.
    pub fn metrics(&self) -> ClientMetrics {
        self.owner.0.with(|engine, _| engine.metrics())
    }

    /// Returns whether both are the same client.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.owner, &other.owner)
    }

    /// Returns options for another client under the same key.
    pub(super) fn options_beside(&self, options: &ConnectOptions) -> ConnectOptions {
        // One client saves the key, or two would overwrite each other's salts.
        let key = |engine: &mut Engine, now| -> Option<KeyMaterial> {
            SavedState::import(&engine.export(now)?).ok().map(|state| state.key)
        };
        ConnectOptions { store: None, key: self.owner.0.with(key), ..options.clone() }
    }

    /// Makes a new connection, which replaces the one in use once it has shown that the datacenter answers. While there is
    /// none, the next attempt is made at once.
    ///
    /// For applications that are told of a change of networks.
    pub fn refresh(&self) {
        self.owner.0.command(Engine::refresh);
    }

    /// Dials these candidates from now on, such as the addresses that the datacenter announces. The connection in use stays
    /// until it is lost; [`refresh`](Self::refresh) replaces it.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NoCandidates`] if there are none, and [`ConnectError::InvalidOption`] if one of them cannot work. The
    /// client keeps its candidates then.
    pub fn replace_candidates(&self, candidates: &[Candidate]) -> Result<(), ConnectError> {
        self.owner.0.command(|engine, _| engine.replace_candidates(candidates))
    }

    /// Refuses new calls, lets those under way end as long as [`Timing::close`](crate::Timing::close) allows,
    /// acknowledges what came, saves the state, and closes the connection.
    ///
    /// That begins at once; what is returned waits until it is done and the client has let go of its store. Closing again
    /// waits for the same.
    pub fn close(&self) -> Closing {
        Closing(vec![PendingCall::<Vec<u8>>::signal(self.owner.0.command(Engine::close))])
    }
}

/// Waits for the first connection of a client; see [`Client::ready`].
#[derive(Debug)]
#[must_use = "nothing is waited for unless this is"]
pub struct Ready(PendingCall<Vec<u8>>);

impl Ready {
    /// Blocks until the datacenter has answered.
    ///
    /// # Errors
    ///
    /// The error states who failed; see [`ConnectError::blame`].
    pub fn wait(self) -> Result<(), Arc<ConnectError>> {
        block_on(self)
    }
}

impl Future for Ready {
    type Output = Result<(), Arc<ConnectError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|outcome| match outcome {
            Ok(_) => Ok(()),
            Err(InvokeError::Connection(error)) => Err(error),
            Err(_) => Err(Arc::new(ConnectError::Closed)),
        })
    }
}

/// Waits for the end of clients; see [`Client::close`]. The end comes whether or not it is waited for.
#[derive(Debug)]
#[must_use = "nothing is waited for unless this is"]
pub struct Closing(Vec<PendingCall<Vec<u8>>>);

impl Closing {
    /// Joins several.
    pub(super) fn all(closing: impl IntoIterator<Item = Self>) -> Self {
        Self(closing.into_iter().flat_map(|closing| closing.0).collect())
    }

    /// Blocks until the clients have ended.
    pub fn wait(self) {
        block_on(self);
    }
}

impl Future for Closing {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // They are told that a client has ended, and nothing else.
        self.0.retain_mut(|closing| Pin::new(closing).poll(context).is_pending());
        if self.0.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}
