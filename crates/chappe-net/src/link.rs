//! A connection's byte machines, joined to the buffers they work on; the socket is somebody else's.
//!
//! Both drivers, blocking and tokio, are thin around these two types, so neither can do what the other cannot.

use chappe_framing::FrameBuf;
use chappe_transport::{
    AckRequest, Connection, ErrorCode, Framing, Incoming, QuickAckToken, ReadBuf, Receiver, Sender,
    TransportError,
};
use rand_core::CryptoRng;

/// The half of a connection that makes bytes to write.
#[derive(Debug)]
pub struct Outgoing {
    sender: Sender,
    scratch: Vec<u8>,
}

impl Outgoing {
    /// Frames and hides an envelope in its own buffer and returns what to write.
    ///
    /// Frames must be written in the order they were encoded in, since the cipher streams run on.
    ///
    /// # Errors
    ///
    /// As [`Sender::encode`]: the envelope is empty, too long, or not made of whole words.
    pub fn encode<'a, R: CryptoRng + ?Sized>(
        &'a mut self,
        frame: &'a mut FrameBuf,
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<&'a [u8], TransportError> {
        let affixes = self.sender.encode(frame.as_slice(), ack, rng)?;
        frame.prepend(affixes.head());
        frame.append(affixes.tail());
        self.sender.obfuscate(frame.as_mut_slice());
        Ok(self.sender.wrap(frame.as_slice(), &mut self.scratch))
    }

    /// Returns the bytes of a quick ack; none for the full transport, which has no such thing.
    pub fn quick_ack<R: CryptoRng + ?Sized>(&mut self, token: QuickAckToken, rng: &mut R) -> &[u8] {
        self.scratch.clear();
        self.sender.quick_ack_into(&mut self.scratch, token, rng);
        &self.scratch
    }

    /// Returns the bytes of a transport error, after which the connection is to be closed.
    ///
    /// # Errors
    ///
    /// Fails only under a frame limit of less than four bytes.
    pub fn error<R: CryptoRng + ?Sized>(
        &mut self,
        code: ErrorCode,
        rng: &mut R,
    ) -> Result<&[u8], TransportError> {
        self.scratch.clear();
        self.sender.error_into(&mut self.scratch, code, rng)?;
        Ok(&self.scratch)
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.sender.framing()
    }

    /// Gives memory back that a large frame needed.
    pub fn shrink(&mut self) {
        self.scratch.shrink_to(0);
    }
}

/// The half of a connection that takes what was read apart.
#[derive(Debug)]
pub struct Ingoing {
    receiver: Receiver,
    buf: ReadBuf,
}

impl Ingoing {
    /// Returns the next thing that arrived whole, or `None` if more must be read.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes; the connection must be closed.
    pub fn take(&mut self) -> Result<Option<Incoming<'_>>, TransportError> {
        self.receiver.receive(&mut self.buf)
    }

    /// Returns room to read into; follow with [`commit`](Self::commit).
    ///
    /// # Errors
    ///
    /// [`TransportError::BufferFull`] unless everything was taken out before.
    pub fn space(&mut self) -> Result<&mut [u8], TransportError> {
        self.buf.space()
    }

    /// Says how many bytes were read into [`space`](Self::space).
    pub fn commit(&mut self, count: usize) {
        self.buf.commit(count);
    }

    /// Says whether nothing is held that has not been taken, so that the peer may close here.
    pub const fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Gives memory back that a large frame needed.
    pub fn shrink(&mut self) {
        self.buf.shrink();
    }
}

/// Joins the machines of a connection to buffers: `buf` holds what was read and not yet looked at.
pub fn join(connection: Connection, buf: ReadBuf) -> (Outgoing, Ingoing) {
    let Connection { sender, receiver } = connection;
    (Outgoing { sender, scratch: Vec::new() }, Ingoing { receiver, buf })
}
