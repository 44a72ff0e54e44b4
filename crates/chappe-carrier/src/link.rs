//! A connection's byte machines, joined to the buffers they work on; the socket is somebody else's.
//!
//! Both drivers, blocking and tokio, are thin around these two types, so neither can do what the other cannot.

use std::mem;
use std::sync::Arc;

use chappe_framing::FrameBuf;
use chappe_transport::{
    AckRequest, Connection, Framing, Incoming, QuickAckToken, ReadBuf, Receiver, Sender, TransportError,
    TransportErrorCode,
};
use rand_core::CryptoRng;

use crate::error::LinkError;
use crate::stack::{ONE_READ, SharedStack, Stack};

/// The half of a connection that makes bytes to write.
#[derive(Debug)]
pub struct FrameWriter {
    sender: Sender,
    scratch: Vec<u8>,
    carrier: Option<Arc<SharedStack>>,
}

impl FrameWriter {
    /// Frames and hides an envelope in its own buffer and returns what to write: nothing where something stands in
    /// between, whose bytes wait in the buffer of the carrier then.
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
    ) -> Result<&'a [u8], LinkError> {
        let affixes = self.sender.encode(frame.as_slice(), ack, rng)?;
        frame.prepend(affixes.head());
        frame.append(affixes.tail());
        self.sender.obfuscate(frame.as_mut_slice());
        let bytes = self.sender.wrap(frame.as_slice(), &mut self.scratch);
        hand_over(self.carrier.as_deref(), bytes)
    }

    /// Frames and hides an envelope; its buffer then holds what to write.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_in_place<R: CryptoRng + ?Sized>(
        &mut self,
        frame: &mut FrameBuf,
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<(), LinkError> {
        let affixes = self.sender.encode(frame.as_slice(), ack, rng)?;
        frame.prepend(affixes.head());
        frame.append(affixes.tail());
        self.sender.obfuscate(frame.as_mut_slice());
        let bytes = self.sender.wrap(frame.as_slice(), &mut self.scratch);
        if let Some(shared) = &self.carrier {
            let mut carried = shared.lock();
            carried.send(bytes)?;
            let count = carried.out.len();
            frame.clear();
            frame.append(&carried.out);
            carried.written(count);
        } else if bytes.len() != frame.len() {
            // Records were put around it, which takes more bytes.
            frame.clear();
            frame.append(&self.scratch);
        }
        Ok(())
    }

    /// Returns the bytes of a quick ack; none for the full transport, which has no such thing.
    ///
    /// # Errors
    ///
    /// What stands in between is broken.
    pub fn quick_ack<R: CryptoRng + ?Sized>(
        &mut self,
        token: QuickAckToken,
        rng: &mut R,
    ) -> Result<&[u8], LinkError> {
        self.scratch.clear();
        self.sender.quick_ack_into(&mut self.scratch, token, rng);
        hand_over(self.carrier.as_deref(), &self.scratch)
    }

    /// Returns the bytes of a transport error, after which the connection is to be closed.
    ///
    /// # Errors
    ///
    /// What stands in between is broken, or the limit of frames is less than four bytes.
    pub fn error<R: CryptoRng + ?Sized>(
        &mut self,
        code: TransportErrorCode,
        rng: &mut R,
    ) -> Result<&[u8], LinkError> {
        self.scratch.clear();
        self.sender.error_into(&mut self.scratch, code, rng)?;
        hand_over(self.carrier.as_deref(), &self.scratch)
    }

    /// Returns what stands in between, if anything does.
    pub const fn carrier(&self) -> Option<&Arc<SharedStack>> {
        self.carrier.as_ref()
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.sender.framing()
    }

    /// Gives memory back, for a connection that is idle.
    pub fn shrink(&mut self) {
        self.scratch = Vec::new();
    }
}

/// Lets bytes of the stream wait in the carrier, or returns them to be written.
fn hand_over<'a>(carrier: Option<&SharedStack>, bytes: &'a [u8]) -> Result<&'a [u8], LinkError> {
    match carrier {
        None => Ok(bytes),
        Some(shared) => {
            shared.lock().send(bytes)?;
            Ok(&[])
        }
    }
}

/// The half of a connection that takes what was read apart.
#[derive(Debug)]
pub struct FrameReader {
    receiver: Receiver,
    buf: ReadBuf,
    carried: Option<Box<Carried>>,
}

/// What stands in between, and what was read from the socket for it.
#[derive(Debug)]
struct Carried {
    shared: Arc<SharedStack>,
    raw: Vec<u8>,
}

impl FrameReader {
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
    /// [`StreamRefusal::BufferFull`] unless everything was taken out before.
    pub fn space(&mut self) -> Result<&mut [u8], TransportError> {
        match &mut self.carried {
            None => self.buf.space(),
            Some(carried) => {
                carried.raw.resize(ONE_READ, 0);
                Ok(&mut carried.raw)
            }
        }
    }

    /// Says how many bytes were read into [`space`](Self::space).
    ///
    /// # Errors
    ///
    /// What stands in between says what is wrong; the connection must be closed.
    pub fn commit(&mut self, count: usize) -> Result<(), LinkError> {
        match &mut self.carried {
            None => self.buf.commit(count),
            Some(carried) => {
                carried.shared.lock().receive(&carried.raw[..count.min(ONE_READ)], &mut self.buf)?;
            }
        }
        Ok(())
    }

    /// Returns what stands in between, if anything does.
    pub fn carrier(&self) -> Option<&Arc<SharedStack>> {
        self.carried.as_ref().map(|carried| &carried.shared)
    }

    /// Says whether nothing is held that has not been taken, so that the peer may close here.
    pub const fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Says whether nothing has begun that has not ended: no frame here, and none of what stands in between.
    pub fn is_whole(&self) -> bool {
        self.is_empty() && !self.carried.as_ref().is_some_and(|carried| carried.shared.lock().is_partial())
    }

    /// Says whether it holds nothing, in more memory than an idle connection should.
    pub fn is_large(&self) -> bool {
        self.is_empty() && self.buf.memory() > ONE_READ
    }

    /// Takes memory to read into unless it has some.
    pub fn borrow(&mut self, input: &mut Vec<u8>, raw: &mut Vec<u8>) {
        if self.buf.memory() == 0 {
            self.buf.exchange(input);
        }
        if let Some(carried) = &mut self.carried
            && carried.raw.is_empty()
        {
            mem::swap(&mut carried.raw, raw);
        }
    }

    /// Gives the memory back; what waits here for its rest stays where it is.
    pub fn give_back(&mut self, input: &mut Vec<u8>, raw: &mut Vec<u8>) {
        self.buf.exchange(input);
        self.buf.release();
        if let Some(carried) = &mut self.carried {
            mem::swap(&mut carried.raw, raw);
            carried.raw = Vec::new();
        }
    }

    /// Gives memory back that a large frame needed.
    pub fn shrink(&mut self) {
        self.buf.shrink();
    }

    /// Gives all memory back that holds nothing, for a connection that is idle.
    pub fn release(&mut self) {
        self.buf.release();
        if let Some(carried) = &mut self.carried {
            carried.raw = Vec::new();
        }
    }
}

/// Joins the machines of a connection to buffers: `buf` holds what was read and not yet looked at.
pub fn join(connection: Connection, buf: ReadBuf) -> (FrameWriter, FrameReader) {
    join_over(connection, buf, Stack::default())
}

/// The same over what stands in between.
pub fn join_over(connection: Connection, buf: ReadBuf, stack: Stack) -> (FrameWriter, FrameReader) {
    let Connection { sender, receiver } = connection;
    let shared = if stack.is_empty() { None } else { Some(Arc::new(SharedStack::new(stack))) };
    let carried = shared.clone().map(|shared| Box::new(Carried { shared, raw: Vec::new() }));
    let outgoing = FrameWriter { sender, scratch: Vec::new(), carrier: shared };
    (outgoing, FrameReader { receiver, buf, carried })
}
