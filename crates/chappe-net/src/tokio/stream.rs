//! Both halves of a connection over a tokio socket.

use std::time::Duration;

use chappe_framing::FrameBuf;
use chappe_transport::{AckRequest, ErrorCode, Framing, Incoming, QuickAckToken};
use rand_core::CryptoRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::error::{LinkError, Wait};
use crate::link::{Ingoing, Outgoing};

/// The reading half.
///
/// ```text
/// loop {
///     while let Some(incoming) = reader.take()? { /* handle it */ }
///     reader.read_more().await?;
/// }
/// ```
#[derive(Debug)]
pub struct Reader {
    socket: OwnedReadHalf,
    ingoing: Ingoing,
}

impl Reader {
    /// Returns the next thing that arrived whole, or `None` if more must be read.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes; the connection must be closed.
    pub fn take(&mut self) -> Result<Option<Incoming<'_>>, LinkError> {
        Ok(self.ingoing.take()?)
    }

    /// Waits for bytes. May be cancelled: nothing that was read is lost.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] at the end of the stream, or what the operating system says.
    pub async fn read_more(&mut self) -> Result<(), LinkError> {
        if self.ingoing.is_empty() {
            // An idle connection holds no buffer; see `Ingoing::shrink`.
            self.ingoing.shrink();
            self.socket.readable().await?;
        }
        let count = self.socket.read(self.ingoing.space()?).await?;
        if count == 0 {
            return Err(LinkError::Closed);
        }
        self.ingoing.commit(count);
        Ok(())
    }
}

/// The writing half.
#[derive(Debug)]
pub struct Writer {
    socket: OwnedWriteHalf,
    outgoing: Outgoing,
    patience: Duration,
}

impl Writer {
    /// Frames an envelope in its own buffer and writes it.
    ///
    /// Must not be cancelled: the peer would wait for the rest of the frame. Drop the connection instead.
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
        let bytes = self.outgoing.encode(frame, ack, rng)?;
        write(&mut self.socket, bytes, self.patience).await
    }

    /// Writes a quick ack.
    ///
    /// # Errors
    ///
    /// The peer does not read, or the socket failed.
    pub async fn send_quick_ack<R: CryptoRng + ?Sized>(
        &mut self,
        token: QuickAckToken,
        rng: &mut R,
    ) -> Result<(), LinkError> {
        let bytes = self.outgoing.quick_ack(token, rng);
        write(&mut self.socket, bytes, self.patience).await
    }

    /// Writes a transport error, after which the connection is to be dropped.
    ///
    /// # Errors
    ///
    /// The peer does not read, or the socket failed.
    pub async fn send_error<R: CryptoRng + ?Sized>(
        &mut self,
        code: ErrorCode,
        rng: &mut R,
    ) -> Result<(), LinkError> {
        let bytes = self.outgoing.error(code, rng)?;
        write(&mut self.socket, bytes, self.patience).await
    }

    /// Writes bytes past the transport, as fault injection does.
    ///
    /// # Errors
    ///
    /// The peer does not read, or the socket failed.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        write(&mut self.socket, bytes, self.patience).await
    }

    /// Frames an envelope in its own buffer and returns the bytes instead of writing them.
    ///
    /// # Errors
    ///
    /// As [`Outgoing::encode`].
    pub fn encode<'a, R: CryptoRng + ?Sized>(
        &'a mut self,
        frame: &'a mut FrameBuf,
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<&'a [u8], LinkError> {
        Ok(self.outgoing.encode(frame, ack, rng)?)
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.outgoing.framing()
    }

    /// Says to the peer that nothing more will come.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn close(&mut self) -> Result<(), LinkError> {
        Ok(self.socket.shutdown().await?)
    }
}

pub(super) fn split(
    socket: TcpStream,
    outgoing: Outgoing,
    ingoing: Ingoing,
    patience: Duration,
) -> (Reader, Writer) {
    let (read, write) = socket.into_split();
    (Reader { socket: read, ingoing }, Writer { socket: write, outgoing, patience })
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
