//! A connection over a blocking socket.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use chappe_framing::FrameBuf;
use chappe_transport::{AckRequest, Framing, Incoming};
use rand_core::CryptoRng;

use crate::error::{LinkError, Wait};
use crate::link::{Ingoing, Outgoing};

/// A connection that can send and receive envelopes.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    outgoing: Outgoing,
    ingoing: Ingoing,
    patience: Duration,
}

impl Stream {
    pub(super) const fn new(
        socket: TcpStream,
        outgoing: Outgoing,
        ingoing: Ingoing,
        patience: Duration,
    ) -> Self {
        Self { socket, outgoing, ingoing, patience }
    }

    /// Frames an envelope in its own buffer and writes it.
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
        let bytes = self.outgoing.encode(frame, ack, rng)?;
        self.socket.write_all(bytes).map_err(|error| late(error, Wait::Write, self.patience))
    }

    /// Returns the next thing that arrived whole, or `None` if more must be read.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes; the connection must be closed.
    pub fn take(&mut self) -> Result<Option<Incoming<'_>>, LinkError> {
        Ok(self.ingoing.take()?)
    }

    /// Waits for bytes for as long as `patience` allows, and says whether some came.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] at the end of the stream, or what the operating system says.
    pub fn read_more(&mut self, patience: Duration) -> Result<bool, LinkError> {
        // Zero means "for ever" to the operating system.
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        match self.socket.read(self.ingoing.space()?) {
            Ok(0) => Err(LinkError::Closed),
            Ok(count) => {
                self.ingoing.commit(count);
                Ok(true)
            }
            Err(error) if is_late(&error) => Ok(false),
            Err(error) => Err(error.into()),
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
            if let Some(incoming) = self.ingoing.take()? {
                return Ok(handle(incoming));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.read_more(left)? {
                return Err(LinkError::TimedOut { waiting_for: Wait::Frame, after: patience });
            }
        }
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.outgoing.framing()
    }

    /// Returns the peer's address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn peer_addr(&self) -> Result<SocketAddr, LinkError> {
        Ok(self.socket.peer_addr()?)
    }
}

pub(super) fn late(error: std::io::Error, waiting_for: Wait, after: Duration) -> LinkError {
    if is_late(&error) { LinkError::TimedOut { waiting_for, after } } else { LinkError::Io(error) }
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
