//! The task between a core and its sockets, and a task for each connection that reads.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_session::{MonoTime, Now};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::stream::{Reader, Writer};
use crate::block_on::block_on;
use crate::client::core::{Errand, LinkId};
use crate::client::desk::{Desk, lock};
use crate::client::duty::Duty;
use crate::client::shared::{Shared, until};
use crate::client::{Candidate, ConnectOptions};
use crate::store::StoreError;
use crate::store::handle::{StoreHandle, Work};
use crate::tokio::dial;
use chappe_carrier::LinkError;

/// The clock of the runtime, which tests can stop.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    system_origin: MonoTime,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now(), system_origin: Now::from_system().mono }
    }

    pub(super) fn now(&self) -> Now {
        let (elapsed, system) = (self.origin.elapsed(), Now::from_system());
        // Where a test moves the clock of the runtime, the wall clock goes along.
        let ahead = elapsed.saturating_sub(system.mono.since(self.system_origin));
        Now::new(MonoTime::from_duration(elapsed), system.unix.saturating_add(ahead))
    }
}

/// How often a full queue of payloads is looked at again.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

pub(super) struct Driver {
    duty: Duty,
    options: Arc<ConnectOptions>,
    desk: Arc<Mutex<Desk<Writer>>>,
    wake: Arc<Notify>,
    readers: HashMap<LinkId, JoinHandle<()>>,
}

impl Driver {
    pub(super) fn new(
        duty: Duty,
        options: Arc<ConnectOptions>,
        desk: Arc<Mutex<Desk<Writer>>>,
        wake: Arc<Notify>,
    ) -> Self {
        Self { duty, options, desk, wake, readers: HashMap::new() }
    }

    /// Does what the core says until it is over.
    pub(super) async fn run(mut self) {
        loop {
            let errand = lock(&self.desk).poll_errand(&self.duty.shared);
            match errand {
                Errand::Dial { link, candidate } => self.dial(link, candidate),
                Errand::Close { link } => self.close(link),
                Errand::Store(work) => self.store(work),
                Errand::Wait(at) => self.wait(at).await,
                Errand::Finished => return,
            }
        }
    }

    async fn wait(&self, at: Option<MonoTime>) {
        let mut pause = at.map(|at| until(self.duty.shared.now(), at));
        if lock(&self.desk).clogged().any(Writer::is_queue) {
            pause = Some(pause.unwrap_or(QUEUE_PAUSE).min(QUEUE_PAUSE));
        }
        // A connection that was clogged takes something again.
        let relieved = poll_fn(|context| {
            let is_ready = lock(&self.desk).clogged().any(|writer| writer.poll_ready(context).is_ready());
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            () = self.wake.notified() => {}
            () = relieved => {}
            () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }

    fn dial(&mut self, link: LinkId, candidate: usize) {
        let Some(candidate) = self.options.candidates.get(candidate).cloned() else {
            return;
        };
        let connection = Connection {
            link,
            candidate,
            shared: Arc::clone(&self.duty.shared),
            wake: Arc::clone(&self.wake),
            desk: Arc::clone(&self.desk),
        };
        self.readers.insert(link, tokio::spawn(connection.run()));
    }

    fn close(&mut self, link: LinkId) {
        if let Some(reader) = self.readers.remove(&link) {
            reader.abort();
        }
        drop(lock(&self.desk).remove(link));
    }

    /// Works on the store in a task: a slow disk delays no ping.
    fn store(&self, work: Work) {
        let Some(store) = self.duty.store.clone() else { return };
        let (shared, wake) = (Arc::clone(&self.duty.shared), Arc::clone(&self.wake));
        tokio::spawn(async move {
            let result = on_store(store, move |store| store.run(work)).await;
            shared.with(|core, now| core.handle_stored(now, result));
            wake.notify_one();
        });
    }
}

/// Works on a store: on a blocking thread if that is what it needs.
pub(super) async fn on_store<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send>(
    store: StoreHandle,
    work: impl FnOnce(StoreHandle) -> F + Send + 'static,
) -> Result<T, StoreError> {
    if !store.is_blocking() {
        return work(store).await;
    }
    let done = tokio::task::spawn_blocking(move || block_on(work(store))).await;
    // A store that panics has failed.
    done.unwrap_or_else(|error| Err(StoreError::other(error)))
}

/// One connection: dialled, then read from until it ends or its task is stopped.
struct Connection {
    link: LinkId,
    candidate: Candidate,
    shared: Arc<Shared>,
    wake: Arc<Notify>,
    desk: Arc<Mutex<Desk<Writer>>>,
}

impl Connection {
    async fn run(self) {
        let link = self.link;
        match self.dial().await {
            Err(error) => self.shared.with(|core, now| core.handle_dial_failed(now, link, error)),
            Ok((reader, writer)) => {
                if !lock(&self.desk).admit(&self.shared, link, writer) {
                    return;
                }
                self.wake.notify_one();
                let error = self.read(reader).await;
                self.shared.with(|core, now| core.handle_lost(now, link, error));
            }
        }
        self.wake.notify_one();
    }

    async fn dial(&self) -> Result<(Reader, Writer), LinkError> {
        let mut rng =
            Drbg::from_os().map_err(|error| LinkError::Io(std::io::Error::other(error.to_string())))?;
        dial(self.candidate.address, &self.candidate.dialling, &mut rng).await
    }

    /// Reads until the connection ends; returns why.
    async fn read(&self, mut reader: Reader) -> LinkError {
        loop {
            match self.take_in(&mut reader) {
                Ok(true) => self.shared.prompt(),
                Ok(false) => {}
                Err(error) => return error,
            }
            if let Err(error) = reader.read_more().await {
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
