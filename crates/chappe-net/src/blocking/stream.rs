//! A connection over a blocking socket.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use chappe_framing::FrameBuf;
use chappe_transport::{AckRequest, Framing, Incoming};
use rand_core::CryptoRng;

use super::http::Lanes;
use crate::carrier::Shared;
use crate::error::{LinkError, Wait};
use crate::http::Inbox;
use crate::link::{Ingoing, Outgoing};

/// A connection that can send and receive envelopes. [`split`](Self::split) makes two of it, for two threads.
#[derive(Debug)]
pub struct Stream {
    reader: Reader,
    writer: Writer,
    peer: SocketAddr,
}

/// The reading half.
#[derive(Debug)]
pub struct Reader(From);

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are of the large kind")]
enum From {
    Stream { socket: TcpStream, ingoing: Ingoing, write_timeout: Duration },
    Http { lanes: Lanes, inbox: Inbox },
}

/// The writing half.
#[derive(Debug)]
pub struct Writer {
    to: To,
    patience: Duration,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are of the large kind")]
enum To {
    Stream { socket: TcpStream, outgoing: Outgoing },
    Http(SyncSender<Vec<u8>>),
}

/// How often a full queue of payloads is looked at again.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

impl Stream {
    pub(super) fn over_socket(
        socket: TcpStream,
        outgoing: Outgoing,
        ingoing: Ingoing,
        patience: Duration,
    ) -> Result<Self, LinkError> {
        let peer = socket.peer_addr()?;
        let read = socket.try_clone()?;
        let reader = Reader(From::Stream { socket: read, ingoing, write_timeout: patience });
        Ok(Self { reader, writer: Writer { to: To::Stream { socket, outgoing }, patience }, peer })
    }

    pub(super) fn over_http(
        lanes: Lanes,
        payloads: SyncSender<Vec<u8>>,
        peer: SocketAddr,
        patience: Duration,
    ) -> Self {
        let reader = Reader(From::Http { lanes, inbox: Inbox::default() });
        Self { reader, writer: Writer { to: To::Http(payloads), patience }, peer }
    }

    /// Returns both halves.
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    /// Frames an envelope in its own buffer and writes it; see [`Writer::send`].
    ///
    /// # Errors
    ///
    /// The envelope is not one that a transport carries, the peer does not read, or the socket failed.
    pub fn send<R: CryptoRng + ?Sized>(
        &mut self,
        frame: &mut FrameBuf,
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<(), LinkError> {
        self.writer.send(frame, ack, rng)
    }

    /// Returns the next thing that arrived whole, or `None` if more must be read.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes; the connection must be closed.
    pub fn take(&mut self) -> Result<Option<Incoming<'_>>, LinkError> {
        self.reader.take()
    }

    /// Waits for bytes; see [`Reader::read_more`].
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] at the end of the stream, or what the operating system says.
    pub fn read_more(&mut self, patience: Duration) -> Result<bool, LinkError> {
        self.reader.read_more(patience)
    }

    /// Waits for the next thing that arrives whole and hands it to `handle`.
    ///
    /// # Errors
    ///
    /// As [`Reader::receive`].
    pub fn receive<T>(
        &mut self,
        patience: Duration,
        handle: impl FnOnce(Incoming<'_>) -> T,
    ) -> Result<T, LinkError> {
        self.reader.receive(patience, handle)
    }

    /// Returns the framing; see [`Writer::framing`].
    pub const fn framing(&self) -> Framing {
        self.writer.framing()
    }

    /// Returns the peer's address: the datacenter's, or that of a proxy in front of it.
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer
    }
}

impl Reader {
    /// Returns the next thing that arrived whole, or `None` if more must be read.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes; the connection must be closed.
    pub fn take(&mut self) -> Result<Option<Incoming<'_>>, LinkError> {
        match &mut self.0 {
            From::Stream { ingoing, .. } => Ok(ingoing.take()?),
            From::Http { inbox, .. } => Ok(inbox.take()),
        }
    }

    /// Waits for bytes for as long as `patience` allows, and says whether some came. Everything that arrived must
    /// have been [taken](Self::take).
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] at the end of the stream, or what the operating system says.
    pub fn read_more(&mut self, patience: Duration) -> Result<bool, LinkError> {
        match &mut self.0 {
            From::Stream { socket, ingoing, write_timeout } => {
                read_more(socket, ingoing, patience, *write_timeout)
            }
            From::Http { lanes, inbox } => match lanes.brought.recv_timeout(patience) {
                Ok(brought) => {
                    inbox.put(brought?);
                    Ok(true)
                }
                Err(RecvTimeoutError::Timeout) => Ok(false),
                Err(RecvTimeoutError::Disconnected) => Err(LinkError::Closed),
            },
        }
    }

    /// Waits for the next thing that arrives whole and hands it to `handle`.
    ///
    /// # Errors
    ///
    /// [`LinkError::TimedOut`] after `patience`, or as [`take`](Self::take) and [`read_more`](Self::read_more).
    pub fn receive<T>(
        &mut self,
        patience: Duration,
        handle: impl FnOnce(Incoming<'_>) -> T,
    ) -> Result<T, LinkError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(incoming) = self.take()? {
                return Ok(handle(incoming));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.read_more(left)? {
                return Err(LinkError::TimedOut { waiting_for: Wait::Frame, after: patience });
            }
        }
    }
}

fn read_more(
    socket: &TcpStream,
    ingoing: &mut Ingoing,
    patience: Duration,
    write_timeout: Duration,
) -> Result<bool, LinkError> {
    // Zero means "for ever" to the operating system.
    socket.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
    let mut reading = socket;
    match reading.read(ingoing.space()?) {
        Ok(0) => Err(LinkError::Closed),
        Ok(count) => {
            let received = ingoing.commit(count);
            if let Some(shared) = ingoing.carrier() {
                // A pong, or the reason why the connection ends.
                flush(socket, shared, write_timeout)?;
            }
            received?;
            Ok(true)
        }
        Err(error) if is_late(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Writer {
    /// Frames an envelope in its own buffer and writes it. Over HTTP nobody can ask for a quick ack, so `ack` means
    /// nothing there.
    ///
    /// # Errors
    ///
    /// The envelope is not one that a transport carries, the peer does not read, or the socket failed.
    pub fn send<R: CryptoRng + ?Sized>(
        &mut self,
        frame: &mut FrameBuf,
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<(), LinkError> {
        let patience = self.patience;
        match &mut self.to {
            To::Stream { socket, outgoing } => {
                let bytes = outgoing.encode(frame, ack, rng)?;
                socket.write_all(bytes).map_err(|error| late(error, Wait::Write, patience))?;
                match outgoing.carrier() {
                    None => Ok(()),
                    Some(shared) => flush(socket, shared, patience),
                }
            }
            To::Http(payloads) => enqueue(payloads, frame.as_slice().to_vec(), patience),
        }
    }

    /// Returns the framing. HTTP has none; what is returned for it has no padding, as it.
    pub const fn framing(&self) -> Framing {
        match &self.to {
            To::Stream { outgoing, .. } => outgoing.framing(),
            To::Http(_) => Framing::Full,
        }
    }

    /// Closes the connection, which wakes a thread that reads it.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn close(&mut self) -> Result<(), LinkError> {
        let To::Stream { socket, outgoing } = &mut self.to else { return Ok(()) };
        if let Some(shared) = outgoing.carrier() {
            shared.lock().close();
            flush(socket, shared, self.patience)?;
        }
        Ok(socket.shutdown(Shutdown::Both)?)
    }
}

/// Writes what waits in between. Whoever holds the lock writes, so the bytes of both halves stay in their order.
fn flush(mut socket: &TcpStream, shared: &Shared, patience: Duration) -> Result<(), LinkError> {
    let mut carried = shared.lock();
    let written = socket.write_all(&carried.out);
    let count = carried.out.len();
    carried.written(count);
    written.map_err(|error| late(error, Wait::Write, patience))
}

/// Lets a payload wait for a lane of HTTP.
fn enqueue(
    payloads: &SyncSender<Vec<u8>>,
    mut payload: Vec<u8>,
    patience: Duration,
) -> Result<(), LinkError> {
    let deadline = Instant::now() + patience;
    loop {
        payload = match payloads.try_send(payload) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(LinkError::Closed),
            Err(TrySendError::Full(_)) if Instant::now() >= deadline => {
                return Err(LinkError::TimedOut { waiting_for: Wait::Write, after: patience });
            }
            Err(TrySendError::Full(payload)) => payload,
        };
        thread::sleep(QUEUE_PAUSE);
    }
}

pub(super) fn late(error: std::io::Error, waiting_for: Wait, after: Duration) -> LinkError {
    if is_late(&error) { LinkError::TimedOut { waiting_for, after } } else { LinkError::Io(error) }
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
