//! The two halves of a connection, joined to the buffers that they work on. The driver owns the socket.

use std::mem;

use chappe_framing::FrameBuf;
use chappe_transport::{
    AckRequest, Connection, Framing, Incoming, QuickAckToken, ReadBuf, Receiver, Sender, TransportError,
    TransportErrorCode,
};
use rand_core::CryptoRng;

use crate::error::LinkError;
use crate::stack::{Carried, ONE_READ, Stack};

/// The writing half of a connection: envelopes in, bytes out.
#[derive(Debug)]
pub struct FrameWriter {
    sender: Sender,
    scratch: Vec<u8>,
    carrier: Option<Box<Carried>>,
}

impl FrameWriter {
    /// Frames and obfuscates an envelope in its own buffer, and returns the bytes to write. With TLS or WebSocket it returns
    /// none: the bytes wait in [`carrier`](Self::carrier).
    ///
    /// Write frames in the order in which they were encoded: the obfuscation is a stream cipher.
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
        hand_over(self.carrier.as_deref_mut(), bytes)
    }

    /// Frames and obfuscates an envelope, and leaves the bytes to write in its buffer.
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
        if let Some(carried) = &mut self.carrier {
            carried.send(bytes)?;
            let count = carried.out.len();
            frame.clear();
            frame.append(&carried.out);
            carried.written(count);
        } else if bytes.len() != frame.len() {
            // Fake TLS put records around it.
            frame.clear();
            frame.append(&self.scratch);
        }
        Ok(())
    }

    /// Returns the bytes of a quick ack; none for the full transport, which has no quick acks.
    ///
    /// # Errors
    ///
    /// TLS or WebSocket is broken.
    pub fn quick_ack<R: CryptoRng + ?Sized>(
        &mut self,
        token: QuickAckToken,
        rng: &mut R,
    ) -> Result<&[u8], LinkError> {
        self.scratch.clear();
        self.sender.quick_ack_into(&mut self.scratch, token, rng);
        hand_over(self.carrier.as_deref_mut(), &self.scratch)
    }

    /// Returns the bytes of a transport error. Close the connection after writing them.
    ///
    /// # Errors
    ///
    /// TLS or WebSocket is broken, or the limit of frames is less than four bytes.
    pub fn error<R: CryptoRng + ?Sized>(
        &mut self,
        code: TransportErrorCode,
        rng: &mut R,
    ) -> Result<&[u8], LinkError> {
        self.scratch.clear();
        self.sender.error_into(&mut self.scratch, code, rng)?;
        hand_over(self.carrier.as_deref_mut(), &self.scratch)
    }

    /// Returns the TLS and WebSocket layers, if there are any.
    pub fn carrier(&self) -> Option<&Carried> {
        self.carrier.as_deref()
    }

    /// Returns the TLS and WebSocket layers, if there are any, whose bytes are to be written.
    pub fn carrier_mut(&mut self) -> Option<&mut Carried> {
        self.carrier.as_deref_mut()
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.sender.framing()
    }

    /// Gives back memory, for an idle connection.
    pub fn shrink(&mut self) {
        self.scratch = Vec::new();
    }
}

/// Queues bytes of the stream in the layers, or returns them if there are none.
fn hand_over<'a>(carrier: Option<&mut Carried>, bytes: &'a [u8]) -> Result<&'a [u8], LinkError> {
    match carrier {
        None => Ok(bytes),
        Some(carried) => {
            carried.send(bytes)?;
            Ok(&[])
        }
    }
}

/// The reading half of a connection: bytes in, envelopes out.
#[derive(Debug)]
pub struct FrameReader {
    receiver: Receiver,
    buf: ReadBuf,
    /// Bytes that were read for the layers of the writing half, if there are any.
    raw: Option<Vec<u8>>,
}

impl FrameReader {
    /// Returns the next complete unit that arrived, or `None` if more must be read.
    ///
    /// # Errors
    ///
    /// The bytes are malformed; the connection must be closed.
    pub fn take(&mut self) -> Result<Option<Incoming<'_>>, TransportError> {
        self.receiver.receive(&mut self.buf)
    }

    /// Returns room to read into; follow with [`commit`](Self::commit).
    ///
    /// # Errors
    ///
    /// [`StreamRefusal::BufferFull`](chappe_transport::StreamRefusal::BufferFull) unless everything was [taken](Self::take) before.
    pub fn space(&mut self) -> Result<&mut [u8], TransportError> {
        match &mut self.raw {
            None => self.buf.space(),
            Some(raw) => {
                raw.resize(ONE_READ, 0);
                Ok(raw)
            }
        }
    }

    /// Adds the bytes that were read into [`space`](Self::space). `writer` is the other half of the connection: its layers
    /// decrypt them.
    ///
    /// # Errors
    ///
    /// The bytes are not valid TLS or WebSocket; the connection must be closed.
    pub fn commit(&mut self, count: usize, writer: &mut FrameWriter) -> Result<(), LinkError> {
        match (&self.raw, &mut writer.carrier) {
            (Some(raw), Some(carried)) => {
                carried.receive(&raw[..count.min(raw.len())], &mut self.buf)?;
            }
            _ => self.buf.commit(count),
        }
        Ok(())
    }

    /// Returns what has arrived of the payload of an incomplete frame, after [`take`](Self::take) returned `None`.
    pub fn partial_payload(&self) -> &[u8] {
        self.receiver.partial_payload(&self.buf)
    }

    /// Returns whether nothing waits to be taken, so that the peer may close here.
    pub const fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Returns whether nothing has arrived in part: neither a frame, nor a message of a layer of `writer`, the other half.
    pub fn is_whole(&self, writer: &FrameWriter) -> bool {
        self.is_empty() && !writer.carrier().is_some_and(Carried::is_partial)
    }

    /// Returns whether it is empty and holds memory, which [`release`](Self::release) gives back.
    pub fn is_idle(&self) -> bool {
        self.is_empty() && (self.buf.memory() > 0 || self.raw.as_ref().is_some_and(|raw| raw.capacity() > 0))
    }

    /// Returns whether it is empty and holds more memory than an idle connection should.
    pub fn is_large(&self) -> bool {
        self.is_empty() && self.buf.memory() > ONE_READ
    }

    /// Takes memory to read into, unless it has some.
    pub fn borrow(&mut self, input: &mut Vec<u8>, raw: &mut Vec<u8>) {
        if self.buf.memory() == 0 {
            self.buf.exchange(input);
        }
        if let Some(own) = &mut self.raw
            && own.is_empty()
        {
            mem::swap(own, raw);
        }
    }

    /// Gives memory back. Memory that holds part of a frame stays.
    pub fn give_back(&mut self, input: &mut Vec<u8>, raw: &mut Vec<u8>) {
        self.buf.exchange(input);
        self.buf.release();
        if let Some(own) = &mut self.raw {
            mem::swap(own, raw);
            *own = Vec::new();
        }
    }

    /// Gives back memory that a large frame needed.
    pub fn shrink(&mut self) {
        self.buf.shrink();
    }

    /// Gives back all memory that holds nothing, for an idle connection.
    pub fn release(&mut self) {
        self.buf.release();
        if let Some(raw) = &mut self.raw {
            *raw = Vec::new();
        }
    }
}

/// Joins the two halves of a connection to their buffers; `buf` holds bytes that were read and not yet handled.
pub fn join(connection: Connection, buf: ReadBuf) -> (FrameWriter, FrameReader) {
    join_over(connection, buf, Stack::default())
}

/// As [`join`], over TLS or WebSocket.
pub fn join_over(connection: Connection, buf: ReadBuf, stack: Stack) -> (FrameWriter, FrameReader) {
    let Connection { sender, receiver } = connection;
    let carrier = (!stack.is_empty()).then(|| Box::new(Carried::new(stack)));
    let raw = carrier.as_ref().map(|_| Vec::new());
    let outgoing = FrameWriter { sender, scratch: Vec::new(), carrier };
    (outgoing, FrameReader { receiver, buf, raw })
}
