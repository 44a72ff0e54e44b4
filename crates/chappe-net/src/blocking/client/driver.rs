//! The thread between a core and its sockets, and a thread for each connection that reads.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;
use chappe_session::MonoTime;
use chappe_transport::AckRequest;

use super::super::stream::{Reader, Stream, Writer};
use crate::blocking::dial;
use crate::client::core::{LinkId, Output};
use crate::client::shared::{Shared, StoreWork, tail_of, until};
use crate::client::{Candidate, ConnectOptions};
use crate::error::LinkError;

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

/// Connections that were just made, on their way to the driver.
type Arrivals = Arc<Mutex<Vec<(LinkId, Writer)>>>;

pub(super) struct Driver {
    shared: Arc<Shared>,
    options: Arc<ConnectOptions>,
    signal: Arc<Signal>,
    rng: Drbg,
    arrivals: Arrivals,
    writers: Vec<(LinkId, Writer)>,
    frame: FrameBuf,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: Arc<ConnectOptions>,
        signal: Arc<Signal>,
        rng: Drbg,
    ) -> Self {
        let (arrivals, writers, frame) = (Arrivals::default(), Vec::new(), FrameBuf::new());
        Self { shared, options, signal, rng, arrivals, writers, frame }
    }

    /// Does what the core says until it is over.
    pub(super) fn run(mut self) {
        loop {
            let frame = &mut self.frame;
            match self.shared.with(|core, now| core.poll_output(now, frame)) {
                Output::Dial { link, candidate } => self.dial(link, candidate),
                Output::Close { link } => self.close(link),
                Output::Frame { link, ack } => self.write(link, ack),
                Output::Save(state) => StoreWork::Save(state).run(&self.options),
                Output::Forget => StoreWork::Forget.run(&self.options),
                Output::Wait(at) => self.wait(at),
                Output::Finished => return,
            }
        }
    }

    fn wait(&self, at: Option<MonoTime>) {
        self.signal.wait(at.map(|at| until(self.shared.now(), at)));
    }

    fn dial(&self, link: LinkId, candidate: usize) {
        let Some(candidate) = self.options.candidates.get(candidate).cloned() else {
            return;
        };
        let (shared, signal) = (Arc::clone(&self.shared), Arc::clone(&self.signal));
        let connection = Connection { link, candidate, shared, signal, arrivals: Arc::clone(&self.arrivals) };
        let spawned = thread::Builder::new().name("chappe-link".into()).spawn(move || connection.run());
        if let Err(error) = spawned {
            self.shared.with(|core, now| core.handle_dial_failed(now, link, LinkError::Io(error)));
        }
    }

    fn close(&mut self, link: LinkId) {
        self.take_arrivals();
        if let Some(place) = self.writers.iter().position(|(known, _)| *known == link) {
            // The thread that reads wakes up and ends. That the connection is closed already is no error.
            let _ = self.writers.swap_remove(place).1.close();
        }
    }

    fn take_arrivals(&mut self) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        self.writers.append(&mut arrivals);
    }

    /// Writes the frame in the buffer.
    fn write(&mut self, link: LinkId, ack: AckRequest) {
        self.take_arrivals();
        let Some((_, writer)) = self.writers.iter_mut().find(|(known, _)| *known == link) else {
            return;
        };
        if let Err(error) = writer.send(&mut self.frame, ack, &mut self.rng) {
            self.shared.with(|core, now| core.handle_lost(now, link, error));
        }
    }
}

/// One connection: dialled, then read from until it ends or is closed.
struct Connection {
    link: LinkId,
    candidate: Candidate,
    shared: Arc<Shared>,
    signal: Arc<Signal>,
    arrivals: Arrivals,
}

impl Connection {
    fn run(self) {
        let link = self.link;
        match self.dial() {
            Err(error) => self.shared.with(|core, now| core.handle_dial_failed(now, link, error)),
            Ok(stream) => {
                let (reader, writer) = stream.split();
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
                Ok(true) => self.signal.raise(),
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
