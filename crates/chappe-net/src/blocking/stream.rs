//! A connection over a blocking socket.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;
use chappe_transport::{AckRequest, Framing, Incoming};
use rand_core::CryptoRng;

use super::http::Lanes;
use crate::client::Port;
use chappe_carrier::HttpInbox;
use chappe_carrier::SharedStack;
use chappe_carrier::{FrameReader, FrameWriter};
use chappe_carrier::{LinkError, Wait};

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
    Stream {
        socket: TcpStream,
        ingoing: FrameReader,
        /// What the operating system was told last.
        read_timeout: Option<Duration>,
    },
    Http {
        lanes: Lanes,
        inbox: HttpInbox,
    },
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
    Stream {
        socket: TcpStream,
        outgoing: FrameWriter,
        /// What the peer did not take of a frame.
        rest: Vec<u8>,
    },
    Http {
        payloads: SyncSender<Vec<u8>>,
        /// What the lanes have no time for. Each payload is a request of its own.
        rest: VecDeque<Vec<u8>>,
    },
}

/// How long one attempt to write takes at most. Until it is over, a driver does nothing else.
const ONE_TRY: Duration = Duration::from_millis(20);

/// How often a full queue of payloads is looked at again.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

impl Stream {
    pub(super) fn over_socket(
        socket: TcpStream,
        outgoing: FrameWriter,
        ingoing: FrameReader,
        patience: Duration,
    ) -> Result<Self, LinkError> {
        let peer = socket.peer_addr()?;
        let read = socket.try_clone()?;
        socket.set_write_timeout(Some(ONE_TRY.min(patience.max(Duration::from_millis(1)))))?;
        let reader = Reader(From::Stream { socket: read, ingoing, read_timeout: None });
        let writer = Writer { to: To::Stream { socket, outgoing, rest: Vec::new() }, patience };
        Ok(Self { reader, writer, peer })
    }

    pub(super) fn over_http(
        lanes: Lanes,
        payloads: SyncSender<Vec<u8>>,
        peer: SocketAddr,
        patience: Duration,
    ) -> Self {
        let reader = Reader(From::Http { lanes, inbox: HttpInbox::default() });
        Self { reader, writer: Writer { to: To::Http { payloads, rest: VecDeque::new() }, patience }, peer }
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
            From::Stream { socket, ingoing, read_timeout } => {
                // Zero means "for ever" to the operating system.
                let patience = patience.max(Duration::from_millis(1));
                if *read_timeout != Some(patience) {
                    socket.set_read_timeout(Some(patience))?;
                    *read_timeout = Some(patience);
                }
                read_more(socket, ingoing)
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
        let deadline = after(patience);
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

/// Returns the time that lies so far ahead, or one that lies years ahead if the clock cannot say it.
pub(super) fn after(patience: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(1 << 30);
    let now = Instant::now();
    now.checked_add(patience).unwrap_or_else(|| now + YEARS)
}

fn read_more(socket: &TcpStream, ingoing: &mut FrameReader) -> Result<bool, LinkError> {
    let mut reading = socket;
    match reading.read(ingoing.space()?) {
        Ok(0) => Err(LinkError::Closed),
        Ok(count) => {
            let received = ingoing.commit(count);
            if let Some(shared) = ingoing.carrier() {
                // A pong, or the reason why the connection ends. What is not taken goes with what is written next.
                try_flush(socket, shared)?;
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
        self.send_some(frame, ack, rng)?;
        self.flush()
    }

    /// Frames an envelope and writes what is taken within a moment; the rest is kept.
    fn send_some<R: CryptoRng + ?Sized>(
        &mut self,
        frame: &mut FrameBuf,
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<(), LinkError> {
        match &mut self.to {
            To::Stream { socket, outgoing, rest } => {
                let bytes = outgoing.encode(frame, ack, rng)?;
                let count = if rest.is_empty() { try_write(socket, bytes)? } else { 0 };
                // Copied only where the peer reads more slowly than we write.
                rest.extend_from_slice(&bytes[count..]);
            }
            To::Http { rest, .. } => rest.push_back(frame.as_slice().to_vec()),
        }
        Ok(())
    }

    /// Writes what was kept.
    fn flush(&mut self) -> Result<(), LinkError> {
        let (mut deadline, mut kept) = (after(self.patience), usize::MAX);
        loop {
            match self.try_flush()? {
                0 => return Ok(()),
                left if left < kept => (deadline, kept) = (after(self.patience), left),
                _ if Instant::now() < deadline => {}
                _ => return Err(LinkError::TimedOut { waiting_for: Wait::Write, after: self.patience }),
            }
        }
    }

    /// Returns the framing. HTTP has none; what is returned for it has no padding, as it.
    pub const fn framing(&self) -> Framing {
        match &self.to {
            To::Stream { outgoing, .. } => outgoing.framing(),
            To::Http { .. } => Framing::Full,
        }
    }

    /// Closes the connection, which wakes a thread that reads it.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn close(&mut self) -> Result<(), LinkError> {
        let To::Stream { socket, outgoing, .. } = &mut self.to else { return Ok(()) };
        if let Some(shared) = outgoing.carrier() {
            shared.lock().close();
            try_flush(socket, shared)?;
        }
        Ok(socket.shutdown(Shutdown::Both)?)
    }
}

impl Port for Writer {
    fn try_send(&mut self, frame: &mut FrameBuf, ack: AckRequest, rng: &mut Drbg) -> Result<(), LinkError> {
        self.send_some(frame, ack, rng)
    }

    /// Tries for a moment: so long does nobody look at other connections and at the time.
    fn try_flush(&mut self) -> Result<usize, LinkError> {
        match &mut self.to {
            To::Stream { socket, outgoing, rest } => {
                if !rest.is_empty() {
                    let count = try_write(socket, rest)?;
                    rest.drain(..count);
                }
                let carried = match outgoing.carrier() {
                    None => 0,
                    Some(shared) => try_flush(socket, shared)?,
                };
                Ok(carried + rest.len())
            }
            To::Http { payloads, rest } => {
                while let Some(payload) = rest.pop_front() {
                    match payloads.try_send(payload) {
                        Ok(()) => {}
                        Err(TrySendError::Disconnected(_)) => return Err(LinkError::Closed),
                        Err(TrySendError::Full(payload)) => {
                            rest.push_front(payload);
                            thread::sleep(QUEUE_PAUSE);
                            break;
                        }
                    }
                }
                Ok(rest.iter().map(Vec::len).sum())
            }
        }
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn framing(&self) -> Framing {
        self.framing()
    }
}

/// Writes what the socket takes within a moment.
fn try_write(mut socket: &TcpStream, bytes: &[u8]) -> Result<usize, LinkError> {
    loop {
        match socket.write(bytes) {
            Ok(0) if !bytes.is_empty() => return Err(LinkError::Closed),
            // If it is not all, the moment is over.
            Ok(count) => return Ok(count),
            Err(error) if is_late(&error) => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes what waits in between, and returns how many bytes were not taken. Whoever holds the lock writes, so the bytes of
/// both halves stay in their order.
fn try_flush(socket: &TcpStream, shared: &SharedStack) -> Result<usize, LinkError> {
    let mut carried = shared.lock();
    if carried.out.is_empty() {
        return Ok(0);
    }
    let count = try_write(socket, &carried.out)?;
    carried.written(count);
    Ok(carried.out.len())
}

pub(super) fn late(error: std::io::Error, waiting_for: Wait, after: Duration) -> LinkError {
    if is_late(&error) { LinkError::TimedOut { waiting_for, after } } else { LinkError::Io(error) }
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_that_wait_for_a_lane_stay_apart_and_in_their_order() {
        let (payloads, queued) = std::sync::mpsc::sync_channel(1);
        let to = To::Http { payloads, rest: VecDeque::new() };
        let mut writer = Writer { to, patience: Duration::from_secs(1) };
        let mut rng = Drbg::from_seed([1; 32]);
        for number in 0..3 {
            let mut frame = FrameBuf::new();
            frame.append(&[number; 4]);
            writer.try_send(&mut frame, AckRequest::No, &mut rng).expect("the lanes are there");
        }
        for number in 0..3_u8 {
            let left = 4 * (2 - usize::from(number));
            assert_eq!(writer.try_flush().expect("the lanes are there"), left);
            assert_eq!(queued.try_recv().ok(), Some(vec![number; 4]));
        }
    }
}
