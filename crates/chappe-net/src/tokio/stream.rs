//! Both halves of a connection over a tokio socket.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;
use chappe_transport::{AckRequest, Framing, Incoming};
use rand_core::CryptoRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use super::http::Lanes;
use crate::client::Port;
use chappe_carrier::HttpInbox;
use chappe_carrier::SharedStack;
use chappe_carrier::{FrameReader, FrameWriter};
use chappe_carrier::{LinkError, Wait};

/// A connection on which nothing arrives for this long gives its buffer back, if that has grown.
const CALM: Duration = Duration::from_secs(2);

/// The reading half.
///
/// ```text
/// loop {
///     while let Some(incoming) = reader.take()? { /* handle it */ }
///     reader.read_more().await?;
/// }
/// ```
#[derive(Debug)]
pub struct Reader(From);

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are of the large kind")]
enum From {
    Stream { socket: OwnedReadHalf, ingoing: FrameReader },
    Http { lanes: Lanes, inbox: HttpInbox },
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

    /// Waits for bytes. May be cancelled: nothing that was read is lost. Everything that arrived must have been
    /// [taken](Self::take).
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] at the end of the stream, or what the operating system says.
    pub async fn read_more(&mut self) -> Result<(), LinkError> {
        let (socket, ingoing) = match &mut self.0 {
            From::Stream { socket, ingoing } => (socket, ingoing),
            From::Http { lanes, inbox } => {
                let brought = lanes.brought.recv().await.ok_or(LinkError::Closed)?;
                inbox.put(brought?);
                return Ok(());
            }
        };
        // An idle connection holds a small buffer; a busy one keeps what it has grown to.
        if ingoing.is_large() && timeout(CALM, socket.readable()).await.is_err() {
            ingoing.shrink();
        }
        let count = socket.read(ingoing.space()?).await?;
        if count == 0 {
            return Err(LinkError::Closed);
        }
        let received = ingoing.commit(count);
        if let Some(shared) = ingoing.carrier() {
            // A pong, or the reason why the connection ends. If the socket takes none of it now, it goes with what is
            // written next.
            try_flush(socket.as_ref(), shared)?;
        }
        received
    }

    pub(super) fn over_http(lanes: Lanes) -> Self {
        Self(From::Http { lanes, inbox: HttpInbox::default() })
    }
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
        socket: OwnedWriteHalf,
        outgoing: FrameWriter,
        /// What the peer did not take of a frame.
        rest: Vec<u8>,
    },
    Http {
        payloads: mpsc::Sender<Vec<u8>>,
        /// What the lanes have no time for. Each payload is a request of its own.
        rest: VecDeque<Vec<u8>>,
    },
}

impl Writer {
    /// Frames an envelope in its own buffer and writes it.
    ///
    /// If it is cancelled, what the peer did not take goes with the next frame. Over HTTP nobody can ask for a quick ack,
    /// so `ack` means nothing there.
    ///
    /// # Errors
    ///
    /// The envelope is not one that a transport carries, the peer does not read, or the socket failed.
    pub async fn send<R: CryptoRng + ?Sized>(
        &mut self,
        frame: &mut FrameBuf,
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<(), LinkError> {
        self.send_some(frame, ack, rng)?;
        self.flush().await
    }

    /// Frames an envelope and writes what the socket takes at once; the rest is kept.
    fn send_some<R: CryptoRng + ?Sized>(
        &mut self,
        frame: &mut FrameBuf,
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<(), LinkError> {
        match &mut self.to {
            To::Stream { socket, outgoing, rest } => {
                let bytes = outgoing.encode(frame, ack, rng)?;
                let count = if rest.is_empty() { try_write(socket.as_ref(), bytes)? } else { 0 };
                // Copied only where the peer reads more slowly than we write.
                rest.extend_from_slice(&bytes[count..]);
            }
            To::Http { rest, .. } => rest.push_back(frame.as_slice().to_vec()),
        }
        Ok(())
    }

    /// Writes what was kept.
    async fn flush(&mut self) -> Result<(), LinkError> {
        let patience = self.patience;
        while self.try_flush()? > 0 {
            let room = async {
                match &self.to {
                    To::Stream { socket, .. } => socket.writable().await.map_err(LinkError::from),
                    To::Http { payloads, .. } => {
                        payloads.reserve().await.map(drop).map_err(|_| LinkError::Closed)
                    }
                }
            };
            let late = LinkError::TimedOut { waiting_for: Wait::Write, after: patience };
            timeout(patience, room).await.unwrap_or(Err(late))?;
        }
        Ok(())
    }

    /// Says whether it is worth trying again to write what was kept.
    pub(super) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        match &self.to {
            // If it failed, so will writing, and say why.
            To::Stream { socket, .. } => socket.as_ref().poll_write_ready(context).map(drop),
            To::Http { .. } => Poll::Pending,
        }
    }

    /// Says whether nobody tells when there is room again.
    pub(super) const fn is_queue(&self) -> bool {
        matches!(self.to, To::Http { .. })
    }

    /// Returns the framing. HTTP has none; what is returned for it has no padding, as it.
    pub const fn framing(&self) -> Framing {
        match &self.to {
            To::Stream { outgoing, .. } => outgoing.framing(),
            To::Http { .. } => Framing::Full,
        }
    }

    /// Says to the peer that nothing more will come.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn close(&mut self) -> Result<(), LinkError> {
        if let To::Stream { outgoing, .. } = &self.to
            && let Some(shared) = outgoing.carrier()
        {
            shared.lock().close();
            self.flush().await?;
        }
        let To::Stream { socket, .. } = &mut self.to else { return Ok(()) };
        Ok(socket.shutdown().await?)
    }

    pub(super) const fn over_http(payloads: mpsc::Sender<Vec<u8>>, patience: Duration) -> Self {
        Self { to: To::Http { payloads, rest: VecDeque::new() }, patience }
    }
}

impl Port for Writer {
    fn try_send(&mut self, frame: &mut FrameBuf, ack: AckRequest, rng: &mut Drbg) -> Result<(), LinkError> {
        self.send_some(frame, ack, rng)
    }

    fn try_flush(&mut self) -> Result<usize, LinkError> {
        match &mut self.to {
            To::Stream { socket, outgoing, rest } => {
                if !rest.is_empty() {
                    let count = try_write(socket.as_ref(), rest)?;
                    rest.drain(..count);
                }
                let carried = match outgoing.carrier() {
                    None => 0,
                    Some(shared) => try_flush(socket.as_ref(), shared)?,
                };
                Ok(carried + rest.len())
            }
            To::Http { payloads, rest } => {
                while let Some(payload) = rest.pop_front() {
                    match payloads.try_send(payload) {
                        Ok(()) => {}
                        Err(TrySendError::Closed(_)) => return Err(LinkError::Closed),
                        Err(TrySendError::Full(payload)) => {
                            rest.push_front(payload);
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

pub(super) fn split(
    socket: TcpStream,
    outgoing: FrameWriter,
    ingoing: FrameReader,
    patience: Duration,
) -> (Reader, Writer) {
    let (read, write) = socket.into_split();
    let reader = Reader(From::Stream { socket: read, ingoing });
    (reader, Writer { to: To::Stream { socket: write, outgoing, rest: Vec::new() }, patience })
}

/// Writes as much of what waits in between as the socket takes, and returns how many bytes are left.
fn try_flush(socket: &TcpStream, shared: &SharedStack) -> Result<usize, LinkError> {
    // Whoever holds the lock writes, so the bytes of both halves stay in their order.
    let mut carried = shared.lock();
    let count = try_write(socket, &carried.out)?;
    carried.written(count);
    Ok(carried.out.len())
}

/// Writes what the socket takes at once.
pub(super) fn try_write(socket: &TcpStream, bytes: &[u8]) -> Result<usize, LinkError> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.try_write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

/// Writes everything or gives up, so that a peer that reads nothing cannot hold a task for ever (`SEC-138`).
pub(super) async fn write<S: tokio::io::AsyncWrite + Unpin>(
    socket: &mut S,
    bytes: &[u8],
    patience: Duration,
) -> Result<(), LinkError> {
    match timeout(patience, socket.write_all(bytes)).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(LinkError::TimedOut { waiting_for: Wait::Write, after: patience }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_that_wait_for_a_lane_stay_apart_and_in_their_order() {
        let (payloads, mut queued) = mpsc::channel(1);
        let mut writer = Writer::over_http(payloads, Duration::from_secs(1));
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
