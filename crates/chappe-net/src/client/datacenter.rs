//! Datacenters, each with several connections under one key.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lanes::pick;
use super::{Candidate, Client, Closing, ConnectError, ConnectOptions, Lane, LaneLimits};
use crate::block_on::block_on;

/// Starts a client without waiting for it, such as `tokio::start` and `blocking::start`.
type Start = Arc<dyn Fn(ConnectOptions) -> Result<Client, ConnectError> + Send + Sync>;

/// A datacenter: a main connection, and others for files. They are made when they are first asked for.
///
/// Clones are the same.
#[derive(Clone)]
pub struct DataCenter {
    inner: Arc<Inner>,
}

struct Inner {
    start: Start,
    options: Mutex<ConnectOptions>,
    limits: LaneLimits,
    main: Mutex<Vec<Client>>,
    upload: Mutex<Vec<Client>>,
    download: Mutex<Vec<Client>>,
}

impl DataCenter {
    /// Connects to nothing yet; `start` is `tokio::start` or `blocking::start`.
    pub fn new(
        start: impl Fn(ConnectOptions) -> Result<Client, ConnectError> + Send + Sync + 'static,
        options: ConnectOptions,
    ) -> Self {
        Self::make(Arc::new(start), options, LaneLimits::default())
    }

    fn make(start: Start, options: ConnectOptions, limits: LaneLimits) -> Self {
        let (main, upload, download) = Default::default();
        // The datacenter keeps one temporary key for each permanent one.
        let key_share = options.temporary_keys.map(|_| Arc::default());
        let options = Mutex::new(ConnectOptions { key_share, ..options });
        Self { inner: Arc::new(Inner { start, options, limits, main, upload, download }) }
    }

    /// Sets other numbers of connections. Connections that were made before stay with the old value.
    #[must_use]
    pub fn with_limits(self, limits: LaneLimits) -> Self {
        Self::make(Arc::clone(&self.inner.start), self.inner.options(), limits)
    }

    /// Returns the client of a lane that has least to do, and connects if there may be one more.
    ///
    /// Clients that ended are replaced. What is returned can be awaited or waited for, and gives the errors of `connect`.
    pub fn client(&self, lane: Lane) -> Starting {
        let inner = Arc::clone(&self.inner);
        Starting(Box::pin(async move { inner.client(lane).await }))
    }

    /// Dials these candidates from now on, and `media` for files; without the latter the former serve for files too. The
    /// connections in use stay until they are lost.
    ///
    /// # Errors
    ///
    /// As [`Client::replace_candidates`]. The candidates stay as they are then.
    pub fn replace_candidates(
        &self,
        candidates: &[Candidate],
        media: &[Candidate],
    ) -> Result<(), ConnectError> {
        if candidates.is_empty() {
            return Err(ConnectError::NoCandidates);
        }
        let mut options = self.inner.options();
        (options.candidates, options.media_candidates) = (candidates.to_vec(), media.to_vec());
        options.validate().map_err(ConnectError::InvalidOption)?;
        let for_media = if media.is_empty() { candidates } else { media };
        *self.inner.lock_options() = options;
        for (lane, candidates) in
            [(Lane::Main, candidates), (Lane::Upload, for_media), (Lane::Download, for_media)]
        {
            for client in self.inner.clients(lane).iter() {
                client.replace_candidates(candidates)?;
            }
        }
        Ok(())
    }

    /// Closes all connections, as [`Client::close`] does.
    pub fn close(&self) -> Closing {
        let lanes = [Lane::Upload, Lane::Download, Lane::Main];
        let clients = lanes.into_iter().flat_map(|lane| std::mem::take(&mut *self.inner.clients(lane)));
        Closing::all(clients.map(|client| client.close()))
    }
}

impl Inner {
    async fn client(&self, lane: Lane) -> Result<Client, Arc<ConnectError>> {
        // The main connection makes the key.
        let options = match lane {
            Lane::Main => self.options(),
            Lane::Upload | Lane::Download => {
                let main = self.ready(Lane::Main, || self.options()).await?;
                main.options_beside(&self.options()).for_media()
            }
        };
        self.ready(lane, || options.clone()).await
    }

    /// Returns a client of a lane once it is connected.
    async fn ready(
        &self,
        lane: Lane,
        options: impl Fn() -> ConnectOptions,
    ) -> Result<Client, Arc<ConnectError>> {
        loop {
            let over = self.clients(lane).iter().find(|client| client.status().is_over).cloned();
            let Some(over) = over else { break };
            // What the store is to forget must be gone before the next client asks for it.
            over.close().await;
            if let (Lane::Main, Some(share)) = (lane, &self.options().key_share) {
                share.clear();
            }
            self.clients(lane).retain(|client| !client.is(&over));
        }
        let client = {
            let mut clients = self.clients(lane);
            let pending = clients.iter().map(|client| client.status().pending_calls);
            if let Some(place) = pick(pending, self.limits.of(lane)) {
                clients[place].clone()
            } else {
                let client = (self.start)(options())?;
                clients.push(client.clone());
                client
            }
        };
        client.connected().await
    }

    fn options(&self) -> ConnectOptions {
        self.lock_options().clone()
    }

    fn lock_options(&self) -> MutexGuard<'_, ConnectOptions> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients(&self, lane: Lane) -> MutexGuard<'_, Vec<Client>> {
        let clients = match lane {
            Lane::Main => &self.main,
            Lane::Upload => &self.upload,
            Lane::Download => &self.download,
        };
        clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that may have to be connected first; see [`DataCenter::client`].
#[must_use = "nothing is connected unless this is waited for"]
pub struct Starting(Pin<Box<dyn Future<Output = Result<Client, Arc<ConnectError>>> + Send>>);

impl Starting {
    /// Blocks until the client is connected.
    ///
    /// # Errors
    ///
    /// The error states who failed; see [`ConnectError::blame`].
    pub fn wait(self) -> Result<Client, Arc<ConnectError>> {
        block_on(self)
    }
}

impl Future for Starting {
    type Output = Result<Client, Arc<ConnectError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").finish_non_exhaustive()
    }
}

impl fmt::Debug for DataCenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataCenter").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

/// All datacenters of an account. Each has its own connections and locks: a slow one delays no other.
///
/// Clones are the same.
#[derive(Clone)]
pub struct DataCenters {
    start: Start,
    options: Arc<dyn Fn(u16) -> ConnectOptions + Send + Sync>,
    known: Arc<Mutex<HashMap<u16, DataCenter>>>,
}

impl DataCenters {
    /// Takes `tokio::start` or `blocking::start`, and what gives the options of a datacenter by its number, such as
    /// [`ConnectOptions::production`].
    pub fn new(
        start: impl Fn(ConnectOptions) -> Result<Client, ConnectError> + Send + Sync + 'static,
        options: impl Fn(u16) -> ConnectOptions + Send + Sync + 'static,
    ) -> Self {
        Self { start: Arc::new(start), options: Arc::new(options), known: Arc::default() }
    }

    /// Returns a datacenter; nothing is connected yet.
    pub fn at(&self, dc: u16) -> DataCenter {
        let make = || DataCenter::make(Arc::clone(&self.start), (self.options)(dc), LaneLimits::default());
        self.known().entry(dc).or_insert_with(make).clone()
    }

    /// Closes all connections, as [`Client::close`] does.
    pub fn close(&self) -> Closing {
        let known = std::mem::take(&mut *self.known());
        Closing::all(known.into_values().map(|datacenter| datacenter.close()))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u16, DataCenter>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DataCenters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known().keys()).finish()
    }
}
