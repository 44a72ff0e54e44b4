//! The thread between a core and its sockets, and a thread for each connection that reads.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_session::MonoTime;

use super::super::stream::{Reader, Stream, Writer};
use crate::block_on::block_on;
use crate::blocking::dial;
use crate::client::core::{Errand, LinkId};
use crate::client::desk::{Desk, lock};
use crate::client::duty::Duty;
use crate::client::shared::{Shared, until};
use crate::client::{Candidate, ConnectOptions};
use crate::store::StoreError;
use crate::store::handle::Work;
use chappe_carrier::LinkError;

/// How long a thread reads until it asks whether it still should. What matters wakes it before.
const READ_PATIENCE: Duration = Duration::from_secs(3600);

/// Wakes the driver.
#[derive(Debug, Default)]
pub(super) struct Signal {
    is_raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(super) fn raise(&self) {
        *self.is_raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until it is raised, or for as long as `patience` says, and lowers it.
    fn wait(&self, patience: Option<Duration>) {
        let mut is_raised = self.is_raised.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_raised {
            is_raised = match patience {
                None => self.changed.wait(is_raised).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let waited = self.changed.wait_timeout(is_raised, patience);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *is_raised = false;
    }
}

pub(super) struct Driver {
    duty: Duty,
    options: Arc<ConnectOptions>,
    desk: Arc<Mutex<Desk<Writer>>>,
    signal: Arc<Signal>,
}

impl Driver {
    pub(super) const fn new(
        duty: Duty,
        options: Arc<ConnectOptions>,
        desk: Arc<Mutex<Desk<Writer>>>,
        signal: Arc<Signal>,
    ) -> Self {
        Self { duty, options, desk, signal }
    }

    /// Does what the core says until it is over.
    pub(super) fn run(self) {
        loop {
            let errand = lock(&self.desk).poll_errand(&self.duty.shared);
            match errand {
                Errand::Dial { link, candidate } => self.dial(link, candidate),
                Errand::Close { link } => self.close(link),
                Errand::Store(work) => self.store(work),
                Errand::Wait(at) => self.wait(at),
                Errand::Finished => return,
            }
        }
    }

    /// Waits for the time and for a signal. Where something is kept that a peer does not take, trying again is what waits.
    fn wait(&self, at: Option<MonoTime>) {
        let is_clogged = lock(&self.desk).clogged().next().is_some();
        let pause = at.map(|at| until(self.duty.shared.now(), at));
        self.signal.wait(if is_clogged { Some(Duration::ZERO) } else { pause });
    }

    /// Works on the store in a thread: a slow disk delays no ping.
    fn store(&self, work: Work) {
        let Some(store) = self.duty.store.clone() else { return };
        let (shared, signal) = (Arc::clone(&self.duty.shared), Arc::clone(&self.signal));
        let work = move || {
            let run = AssertUnwindSafe(|| block_on(store.run(work)));
            // A store that panics has failed.
            let panicked = |_| Err(StoreError::other("it panicked"));
            let result = catch_unwind(run).unwrap_or_else(panicked);
            shared.with(|core, now| core.handle_stored(now, result));
            signal.raise();
        };
        if let Err(error) = thread::Builder::new().name("chappe-store".into()).spawn(work) {
            self.duty.shared.with(|core, now| core.handle_stored(now, Err(StoreError::other(error))));
        }
    }

    fn dial(&self, link: LinkId, candidate: usize) {
        let Some(candidate) = self.options.candidates.get(candidate).cloned() else {
            return;
        };
        let (shared, signal) = (Arc::clone(&self.duty.shared), Arc::clone(&self.signal));
        let connection = Connection { link, candidate, shared, signal, desk: Arc::clone(&self.desk) };
        let spawned = thread::Builder::new().name("chappe-link".into()).spawn(move || connection.run());
        if let Err(error) = spawned {
            self.duty.shared.with(|core, now| core.handle_dial_failed(now, link, LinkError::Io(error)));
        }
    }

    fn close(&self, link: LinkId) {
        let writer = lock(&self.desk).remove(link);
        if let Some(mut writer) = writer {
            // The thread that reads wakes up and ends. That the connection is closed already is no error.
            let _ = writer.close();
        }
    }
}

/// One connection: dialled, then read from until it ends or is closed.
struct Connection {
    link: LinkId,
    candidate: Candidate,
    shared: Arc<Shared>,
    signal: Arc<Signal>,
    desk: Arc<Mutex<Desk<Writer>>>,
}

impl Connection {
    fn run(self) {
        let link = self.link;
        match self.dial() {
            Err(error) => self.shared.with(|core, now| core.handle_dial_failed(now, link, error)),
            Ok(stream) => {
                let (reader, writer) = stream.split();
                if !lock(&self.desk).admit(&self.shared, link, writer) {
                    return;
                }
                self.signal.raise();
                let error = self.read(reader);
                self.shared.with(|core, now| core.handle_lost(now, link, error));
            }
        }
        self.signal.raise();
    }

    fn dial(&self) -> Result<Stream, LinkError> {
        let mut rng = Drbg::from_os().map_err(|error| LinkError::Io(io::Error::other(error.to_string())))?;
        dial(self.candidate.address, &self.candidate.dialling, &mut rng)
    }

    /// Reads until the connection ends; returns why.
    fn read(&self, mut reader: Reader) -> LinkError {
        loop {
            match self.take_in(&mut reader) {
                Ok(true) => self.shared.prompt(),
                Ok(false) => {}
                Err(error) => return error,
            }
            if let Err(error) = reader.read_more(READ_PATIENCE) {
                return error;
            }
        }
    }

    /// Gives everything that arrived whole to the core; says whether there was anything.
    fn take_in(&self, reader: &mut Reader) -> Result<bool, LinkError> {
        let mut is_any = false;
        while let Some(incoming) = reader.take()? {
            self.shared.with(|core, now| core.handle_incoming(now, self.link, incoming));
            is_any = true;
        }
        Ok(is_any)
    }
}
