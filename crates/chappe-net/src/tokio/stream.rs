//! Both halves of a connection over a tokio socket.

use std::io;
use std::time::Duration;

use chappe_framing::FrameBuf;
use chappe_transport::{AckRequest, Framing, Incoming};
use rand_core::CryptoRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::http::Lanes;
use crate::carrier::Shared;
use crate::error::{LinkError, Wait};
use crate::http::Inbox;
use crate::link::{Ingoing, Outgoing};

/// A connection on which nothing arrives for this long gives its buffer back.
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
    Stream { socket: OwnedReadHalf, ingoing: Ingoing },
    Http { lanes: Lanes, inbox: Inbox },
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
        if ingoing.is_empty() {
            // An idle connection holds no buffer; a busy one keeps what it has grown to.
            if timeout(CALM, socket.readable()).await.is_err() {
                ingoing.release();
                socket.readable().await?;
            }
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
        Self(From::Http { lanes, inbox: Inbox::default() })
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
    Stream { socket: OwnedWriteHalf, outgoing: Outgoing },
    Http(mpsc::Sender<Vec<u8>>),
}

impl Writer {
    /// Frames an envelope in its own buffer and writes it.
    ///
    /// Must not be cancelled: the peer would wait for the rest of the frame. Drop the connection instead. Over HTTP
    /// nobody can ask for a quick ack, so `ack` means nothing there.
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
        let patience = self.patience;
        match &mut self.to {
            To::Stream { socket, outgoing } => {
                let bytes = outgoing.encode(frame, ack, rng)?;
                write(socket, bytes, patience).await?;
                flush(socket.as_ref(), outgoing, patience).await
            }
            To::Http(payloads) => {
                let sent = timeout(patience, payloads.send(frame.as_slice().to_vec())).await;
                let late = LinkError::TimedOut { waiting_for: Wait::Write, after: patience };
                sent.map_err(|_| late)?.map_err(|_| LinkError::Closed)
            }
        }
    }

    /// Returns the framing. HTTP has none; what is returned for it has no padding, as it.
    pub const fn framing(&self) -> Framing {
        match &self.to {
            To::Stream { outgoing, .. } => outgoing.framing(),
            To::Http(_) => Framing::Full,
        }
    }

    /// Says to the peer that nothing more will come.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn close(&mut self) -> Result<(), LinkError> {
        let To::Stream { socket, outgoing } = &mut self.to else { return Ok(()) };
        if let Some(shared) = outgoing.carrier() {
            shared.lock().close();
            flush(socket.as_ref(), outgoing, self.patience).await?;
        }
        Ok(socket.shutdown().await?)
    }

    pub(super) const fn over_http(payloads: mpsc::Sender<Vec<u8>>, patience: Duration) -> Self {
        Self { to: To::Http(payloads), patience }
    }
}

/// Writes what waits in between.
async fn flush(socket: &TcpStream, outgoing: &Outgoing, patience: Duration) -> Result<(), LinkError> {
    let Some(shared) = outgoing.carrier() else { return Ok(()) };
    let flushing = async {
        while !try_flush(socket, shared)? {
            socket.writable().await?;
        }
        Ok(())
    };
    match timeout(patience, flushing).await {
        Ok(flushed) => flushed,
        Err(_) => Err(LinkError::TimedOut { waiting_for: Wait::Write, after: patience }),
    }
}

pub(super) fn split(
    socket: TcpStream,
    outgoing: Outgoing,
    ingoing: Ingoing,
    patience: Duration,
) -> (Reader, Writer) {
    let (read, write) = socket.into_split();
    let reader = Reader(From::Stream { socket: read, ingoing });
    (reader, Writer { to: To::Stream { socket: write, outgoing }, patience })
}

/// Writes as much of what waits in between as the socket takes, and says whether that is all.
fn try_flush(socket: &TcpStream, shared: &Shared) -> Result<bool, LinkError> {
    // Whoever holds the lock writes, so the bytes of both halves stay in their order.
    let mut carried = shared.lock();
    while !carried.out.is_empty() {
        match socket.try_write(&carried.out) {
            Ok(count) => carried.written(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
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
