//! The task between a core and its sockets, and a task for each connection that reads.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant as StdInstant};

use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_session::{MonoTime, Now};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::stream::{Reader, Writer};
use crate::client::core::{LinkId, Output};
use crate::client::desk::{Desk, lock, prompt};
use crate::client::shared::{Shared, StoreWork, Wake, tail_of, until};
use crate::client::{Candidate, ConnectOptions};
use crate::error::LinkError;
use crate::tokio::dial;

/// The clock of the runtime, which tests can stop.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    std_origin: StdInstant,
    /// Nanoseconds from `origin` to the last look at the wall clock, and what that showed then, less those.
    looked_at: AtomicU64,
    wall_origin: AtomicU64,
}

/// How often the wall clock is looked at: each call reads the time, and one clock is cheaper to read than three.
const WALL_PAUSE: u64 = 50_000_000;

impl Clock {
    pub(super) fn new() -> Self {
        let clock = Self {
            origin: Instant::now(),
            std_origin: StdInstant::now(),
            looked_at: AtomicU64::new(0),
            wall_origin: AtomicU64::new(0),
        };
        clock.look_at_wall(Duration::ZERO);
        clock
    }

    pub(super) fn now(&self) -> Now {
        let elapsed = self.origin.elapsed();
        if nanos(elapsed).saturating_sub(self.looked_at.load(Ordering::Relaxed)) >= WALL_PAUSE {
            self.look_at_wall(elapsed);
        }
        let wall_origin = Duration::from_nanos(self.wall_origin.load(Ordering::Relaxed));
        Now::new(MonoTime::from_duration(elapsed), UnixTime::EPOCH.saturating_add(wall_origin + elapsed))
    }

    fn look_at_wall(&self, elapsed: Duration) {
        // Where a test moves the clock of the runtime, the wall clock goes along.
        let ahead = elapsed.saturating_sub(self.std_origin.elapsed());
        let wall = UnixTime::now().saturating_add(ahead).saturating_since(UnixTime::EPOCH);
        self.wall_origin.store(nanos(wall.saturating_sub(elapsed)), Ordering::Relaxed);
        self.looked_at.store(nanos(elapsed), Ordering::Relaxed);
    }
}

/// Five centuries of them fit.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Wakes the driver, or spares it.
pub(super) struct Waker {
    pub(super) desk: Arc<Mutex<Desk<Writer>>>,
    pub(super) wake: Arc<Notify>,
}

impl Wake for Waker {
    fn wake(&self) {
        self.wake.notify_one();
    }

    fn prompt(&self, shared: &Shared) {
        if prompt(&self.desk, shared) {
            self.wake();
        }
    }
}

/// How often a full queue of payloads is looked at again.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

pub(super) struct Driver {
    shared: Arc<Shared>,
    options: Arc<ConnectOptions>,
    desk: Arc<Mutex<Desk<Writer>>>,
    wake: Arc<Notify>,
    readers: HashMap<LinkId, JoinHandle<()>>,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: Arc<ConnectOptions>,
        desk: Arc<Mutex<Desk<Writer>>>,
        wake: Arc<Notify>,
    ) -> Self {
        Self { shared, options, desk, wake, readers: HashMap::new() }
    }

    /// Does what the core says until it is over.
    pub(super) async fn run(mut self) {
        loop {
            let output = lock(&self.desk).poll_output(&self.shared);
            match output {
                Output::Dial { link, candidate } => self.dial(link, candidate),
                Output::Close { link } => self.close(link),
                Output::Save(state) => self.store(StoreWork::Save(state)).await,
                Output::Forget => self.store(StoreWork::Forget).await,
                Output::Wait(at) => self.wait(at).await,
                // The desk has written it.
                Output::Frame { .. } => {}
                Output::Finished => return,
            }
        }
    }

    async fn wait(&self, at: Option<MonoTime>) {
        let mut pause = at.map(|at| until(self.shared.now(), at));
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
            shared: Arc::clone(&self.shared),
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

    async fn store(&self, work: StoreWork) {
        let options = Arc::clone(&self.options);
        // A panic in a store was reported when it happened.
        let _ = tokio::task::spawn_blocking(move || work.run(&options)).await;
    }
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
                if !self.admit(writer) {
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

    /// Gives the writing half to the desk, if the core still wants the connection.
    fn admit(&self, writer: Writer) -> bool {
        let mut desk = lock(&self.desk);
        let tail = tail_of(writer.framing());
        let is_wanted = self.shared.with(|core, now| core.handle_dialled(now, self.link, tail));
        if is_wanted {
            desk.admit(self.link, writer);
        }
        is_wanted
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
