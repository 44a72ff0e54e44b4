//! Datacenters, each with several connections under one key.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Client;
use crate::client::lanes::pick;
use crate::client::{ConnectError, ConnectOptions, Lane, LaneLimits};

/// A datacenter: a main connection, and others for files. They are made when they are first asked for.
///
/// Clones are the same.
#[derive(Clone)]
pub struct DataCenter {
    inner: Arc<Inner>,
}

struct Inner {
    options: ConnectOptions,
    limits: LaneLimits,
    main: Mutex<Vec<Client>>,
    upload: Mutex<Vec<Client>>,
    download: Mutex<Vec<Client>>,
}

impl DataCenter {
    /// Connects to nothing yet.
    pub fn new(options: ConnectOptions) -> Self {
        Self::with_limits(options, LaneLimits::default())
    }

    /// The same, with other numbers of connections.
    pub fn with_limits(options: ConnectOptions, limits: LaneLimits) -> Self {
        let (main, upload, download) = Default::default();
        Self { inner: Arc::new(Inner { options, limits, main, upload, download }) }
    }

    /// Returns the client of a lane that has least to do, and connects if there may be one more.
    ///
    /// Clients that ended are replaced.
    ///
    /// # Errors
    ///
    /// As for [`Client::connect`].
    pub fn client(&self, lane: Lane) -> Result<Client, Arc<ConnectError>> {
        let inner = &*self.inner;
        let clients = match lane {
            Lane::Main => &inner.main,
            Lane::Upload => &inner.upload,
            Lane::Download => &inner.download,
        };
        // The main connection makes the key. Its lock is free again before that of the lane is taken.
        let main = match lane {
            Lane::Main => None,
            Lane::Upload | Lane::Download => Some(self.client(Lane::Main)?),
        };
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        for over in clients.extract_if(.., |client| client.status().is_over) {
            // What the store is to forget must be gone before the next client asks for it.
            over.close();
        }
        let pending = clients.iter().map(|client| client.status().pending_calls);
        if let Some(place) = pick(pending, inner.limits.of(lane)) {
            return Ok(clients[place].clone());
        }
        let options = match &main {
            None => inner.options.clone(),
            Some(main) => main.options_beside(&inner.options),
        };
        let client = Client::connect(options)?;
        clients.push(client.clone());
        Ok(client)
    }

    /// Closes all connections.
    pub fn close(&self) {
        for clients in [&self.inner.upload, &self.inner.download, &self.inner.main] {
            let clients = std::mem::take(&mut *clients.lock().unwrap_or_else(PoisonError::into_inner));
            for client in clients {
                client.close();
            }
        }
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
    options: Arc<dyn Fn(u16) -> ConnectOptions + Send + Sync>,
    known: Arc<Mutex<HashMap<u16, DataCenter>>>,
}

impl DataCenters {
    /// Takes what gives the options of a datacenter by its number, such as [`ConnectOptions::production`].
    pub fn new(options: impl Fn(u16) -> ConnectOptions + Send + Sync + 'static) -> Self {
        Self { options: Arc::new(options), known: Arc::default() }
    }

    /// Returns a datacenter; nothing is connected yet.
    pub fn at(&self, dc: u16) -> DataCenter {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(dc).or_insert_with(|| DataCenter::new((self.options)(dc))).clone()
    }

    /// Closes all connections.
    pub fn close(&self) {
        let known = std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner));
        for datacenter in known.into_values() {
            datacenter.close();
        }
    }
}

impl fmt::Debug for DataCenters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(known.keys()).finish()
    }
}
