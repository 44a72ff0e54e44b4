//! A server's loop: every connection of a listener given to an engine, each in a task of its own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, TransportTail};
use chappe_session::{MonoTime, Now};
use chappe_transport::{AckRequest, ErrorCode, Framing, Incoming};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use super::listen::{Accepted, Listener, NewConnection};
use super::stream::{Reader, Writer};
use crate::error::{LinkError, Wait};
use crate::server::{Engine, Output, ServerConnection};

/// What goes wrong with an envelope that a server is about to send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It comes late, and everything after it too.
    Delay(Duration),
    /// It comes twice.
    Duplicate,
    /// It comes after the next one.
    Swap,
    /// Its first bytes come, this many of them, and then the connection ends.
    CloseAfter(usize),
    /// A transport error comes instead, and the connection ends.
    Error(ErrorCode),
}

/// Decides about faults. [`NoFaults`] has none.
pub trait Faults: Send + Sync + 'static {
    /// Says what goes wrong with the envelope that connection number `connection` is about to be sent, if
    /// anything does.
    fn outgoing(&self, connection: u64) -> Option<Fault>;

    /// Says whether a new connection is to be closed at once.
    fn refuses(&self) -> bool {
        false
    }
}

/// A server that works.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn outgoing(&self, _connection: u64) -> Option<Fault> {
        None
    }
}

/// Serves connections until `stop` is done; then all of them are closed.
///
/// # Errors
///
/// Fails if the operating system has no randomness to give.
pub async fn serve(
    listener: Listener,
    engine: Arc<Engine>,
    faults: Arc<dyn Faults>,
    stop: impl Future<Output = ()>,
) -> Result<(), LinkError> {
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok(connection) if faults.refuses() => drop(connection),
                Ok(connection) => {
                    let span = tracing::info_span!("connection", peer = %connection.peer());
                    let task = run(connection, Arc::clone(&engine), Arc::clone(&faults), os_rng()?);
                    connections.spawn(async move {
                        if let Err(error) = task.await {
                            tracing::debug!(%error, "connection ended");
                        }
                    }.instrument(span));
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    // Out of sockets, perhaps: trying again at once would only burn the processor.
                    if matches!(error, LinkError::Io(_)) {
                        sleep(Duration::from_millis(20)).await;
                    }
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

fn os_rng() -> Result<Drbg, LinkError> {
    Drbg::from_os().map_err(|error| LinkError::Io(std::io::Error::other(error.to_string())))
}

/// One connection from its first byte to its last.
async fn run(
    connection: NewConnection,
    engine: Arc<Engine>,
    faults: Arc<dyn Faults>,
    mut rng: Drbg,
) -> Result<(), LinkError> {
    let Accepted { mut reader, writer, peer, place, .. } = connection.detect(&mut rng).await?;
    let idle = place.options().idle_timeout;
    // A padded transport leaves up to 15 bytes behind a frame; the decoder removed what it could.
    let tail = match writer.framing() {
        Framing::PaddedIntermediate => TransportTail::Padded,
        _ => TransportTail::None,
    };
    let wake = Arc::new(Notify::new());
    let waker = {
        let wake = Arc::clone(&wake);
        move || wake.notify_one()
    };
    let machine = engine.connect(peer, tail, waker);
    let mut outlet = Outlet { writer, machine, faults, held: None, buf: FrameBuf::new(), rng };
    loop {
        outlet.take_in(&mut reader)?;
        if !outlet.send_all().await? {
            return Ok(());
        }
        let deadline = outlet.machine.poll_timeout().map_or(idle, |at| until(at).min(idle));
        tokio::select! {
            read = timeout(deadline, reader.read_more()) => match read {
                Ok(read) => read?,
                Err(_) if deadline == idle => {
                    return Err(LinkError::TimedOut { waiting_for: Wait::Frame, after: idle });
                }
                Err(_) => outlet.machine.handle_timeout(Now::from_system()),
            },
            () = wake.notified() => {}
        }
    }
}

/// How long it is until a time.
fn until(at: MonoTime) -> Duration {
    at.since(Now::from_system().mono)
}

/// The sending side of a connection and its machine.
struct Outlet {
    writer: Writer,
    machine: ServerConnection,
    faults: Arc<dyn Faults>,
    /// An envelope that waits for the next one, by [`Fault::Swap`].
    held: Option<FrameBuf>,
    buf: FrameBuf,
    rng: Drbg,
}

impl Outlet {
    /// Gives everything that arrived whole to the machine.
    fn take_in(&mut self, reader: &mut Reader) -> Result<(), LinkError> {
        while let Some(incoming) = reader.take()? {
            // Clients have no other words.
            if let Incoming::Envelope { payload, ack } = incoming {
                self.machine.handle_payload(Now::from_system(), payload, ack, &mut self.rng);
            }
        }
        Ok(())
    }

    /// Sends what the machine has; says whether the connection goes on.
    async fn send_all(&mut self) -> Result<bool, LinkError> {
        loop {
            let output = self.machine.poll_output(Now::from_system(), &mut self.rng, &mut self.buf);
            match output {
                None => return Ok(true),
                Some(Output::Frame) => {
                    if !self.send_frame().await? {
                        return Ok(false);
                    }
                }
                Some(Output::QuickAck(token)) => self.writer.send_quick_ack(token, &mut self.rng).await?,
                Some(Output::Error(code)) => {
                    self.writer.send_error(code, &mut self.rng).await?;
                    self.writer.close().await?;
                    return Ok(false);
                }
                Some(Output::Close) => return Ok(false),
            }
        }
    }

    /// Sends one envelope, with the fault that is due; says whether the connection goes on.
    async fn send_frame(&mut self) -> Result<bool, LinkError> {
        let Some(fault) = self.faults.outgoing(self.machine.number()) else {
            self.writer.send(&mut self.buf, AckRequest::No, &mut self.rng).await?;
            if let Some(mut held) = self.held.take() {
                self.writer.send(&mut held, AckRequest::No, &mut self.rng).await?;
            }
            return Ok(true);
        };
        tracing::debug!(?fault, "injected");
        match fault {
            Fault::Drop => {}
            Fault::Delay(time) => {
                sleep(time).await;
                self.writer.send(&mut self.buf, AckRequest::No, &mut self.rng).await?;
            }
            Fault::Duplicate => {
                let mut again = self.buf.clone();
                self.writer.send(&mut self.buf, AckRequest::No, &mut self.rng).await?;
                self.writer.send(&mut again, AckRequest::No, &mut self.rng).await?;
            }
            Fault::Swap => self.held = Some(std::mem::take(&mut self.buf)),
            Fault::CloseAfter(count) => {
                let bytes = self.writer.encode(&mut self.buf, AckRequest::No, &mut self.rng)?;
                let beginning = bytes[..count.min(bytes.len())].to_vec();
                self.writer.send_raw(&beginning).await?;
                self.writer.close().await?;
                return Ok(false);
            }
            Fault::Error(code) => {
                self.writer.send_error(code, &mut self.rng).await?;
                self.writer.close().await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}
