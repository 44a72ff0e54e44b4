//! The task between a core and its sockets, and a task for each connection that reads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant as StdInstant;

use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, UnixTime};
use chappe_session::{MonoTime, Now};
use chappe_transport::AckRequest;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::stream::{Reader, Writer};
use crate::client::core::{LinkId, Output};
use crate::client::shared::{Shared, StoreWork, tail_of, until};
use crate::client::{Candidate, ConnectOptions};
use crate::error::LinkError;
use crate::tokio::dial;

/// The clock of the runtime, which tests can stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    std_origin: StdInstant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now(), std_origin: StdInstant::now() }
    }

    pub(super) fn now(&self) -> Now {
        let elapsed = self.origin.elapsed();
        // Where a test moves the clock of the runtime, the wall clock goes along.
        let ahead = elapsed.saturating_sub(self.std_origin.elapsed());
        Now::new(MonoTime::from_duration(elapsed), UnixTime::now().saturating_add(ahead))
    }
}

/// Connections that were just made, on their way to the driver.
type Arrivals = Arc<Mutex<Vec<(LinkId, Writer)>>>;

pub(super) struct Driver {
    shared: Arc<Shared>,
    options: Arc<ConnectOptions>,
    wake: Arc<Notify>,
    rng: Drbg,
    arrivals: Arrivals,
    readers: HashMap<LinkId, JoinHandle<()>>,
    writers: Vec<(LinkId, Writer)>,
    frame: FrameBuf,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: Arc<ConnectOptions>,
        wake: Arc<Notify>,
        rng: Drbg,
    ) -> Self {
        Self {
            shared,
            options,
            wake,
            rng,
            arrivals: Arrivals::default(),
            readers: HashMap::new(),
            writers: Vec::new(),
            frame: FrameBuf::new(),
        }
    }

    /// Does what the core says until it is over.
    pub(super) async fn run(mut self) {
        loop {
            let frame = &mut self.frame;
            match self.shared.with(|core, now| core.poll_output(now, frame)) {
                Output::Dial { link, candidate } => self.dial(link, candidate),
                Output::Close { link } => self.close(link),
                Output::Frame { link, ack } => self.write(link, ack).await,
                Output::Save(state) => self.store(StoreWork::Save(state)).await,
                Output::Forget => self.store(StoreWork::Forget).await,
                Output::Wait(at) => self.wait(at).await,
                Output::Finished => return,
            }
        }
    }

    async fn wait(&self, at: Option<MonoTime>) {
        match at {
            None => self.wake.notified().await,
            Some(at) => tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(until(self.shared.now(), at)) => {}
            },
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
            arrivals: Arc::clone(&self.arrivals),
        };
        self.readers.insert(link, tokio::spawn(connection.run()));
    }

    fn close(&mut self, link: LinkId) {
        if let Some(reader) = self.readers.remove(&link) {
            reader.abort();
        }
        self.take_arrivals();
        self.writers.retain(|(known, _)| *known != link);
    }

    fn take_arrivals(&mut self) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        self.writers.append(&mut arrivals);
    }

    /// Writes the frame in the buffer. Meanwhile the core may give the connection up.
    async fn write(&mut self, link: LinkId, ack: AckRequest) {
        self.take_arrivals();
        let Some((_, writer)) = self.writers.iter_mut().find(|(known, _)| *known == link) else {
            return;
        };
        if let Err(error) = writer.send(&mut self.frame, ack, &mut self.rng).await {
            self.shared.with(|core, now| core.handle_lost(now, link, error));
        }
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
    arrivals: Arrivals,
}

impl Connection {
    async fn run(self) {
        let link = self.link;
        match self.dial().await {
            Err(error) => self.shared.with(|core, now| core.handle_dial_failed(now, link, error)),
            Ok((reader, writer)) => {
                let is_wanted = self.shared.with(|core, now| {
                    let is_wanted = core.handle_dialled(now, link, tail_of(writer.framing()));
                    if is_wanted {
                        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push((link, writer));
                    }
                    is_wanted
                });
                if !is_wanted {
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
                Ok(true) => self.wake.notify_one(),
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
