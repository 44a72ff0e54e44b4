//! A connection once it stands: framing, obfuscation and fake TLS put together.
//!
//! Both ends use the same types. [`Sender`] and [`Receiver`] share nothing, so that two tasks may have one each.

use alloc::vec::Vec;
use core::ops::Range;

use chappe_crypto::{QuickAckToken, Side};
use rand_core::CryptoRng;

use crate::error::TransportError;
use crate::fake_tls::record::{RecordReader, RecordWriter};
use crate::framing::{AckRequest, Affixes, Decoded, Decoder, Encoder, Framing};
use crate::limits::ConnectionLimits;
use crate::obfuscation::{Keystream, Obfuscation};
use crate::payload::{Payload, unpadded_len};
use crate::read_buf::ReadBuf;
use chappe_types::TransportErrorCode;

/// Both halves of a connection.
#[derive(Debug)]
pub struct Connection {
    /// What this side writes.
    pub sender: Sender,
    /// What this side reads.
    pub receiver: Receiver,
}

impl Connection {
    /// Puts together a connection whose bytes are not hidden, for `side`.
    ///
    /// The client's [`Framing::prefix`] is the caller's to send or to skip.
    pub const fn plain(framing: Framing, side: Side, limits: ConnectionLimits) -> Self {
        Self {
            sender: Sender { encoder: Encoder::new(framing, side, limits), keystream: None, records: None },
            receiver: Receiver {
                decoder: Decoder::new(framing, side.peer(), limits),
                keystream: None,
                records: None,
            },
        }
    }

    /// Puts together an obfuscated connection for `side`.
    #[doc(hidden)]
    pub fn obfuscated(framing: Framing, side: Side, limits: ConnectionLimits, streams: Obfuscation) -> Self {
        let mut connection = Self::plain(framing, side, limits);
        connection.sender.keystream = Some(streams.outgoing);
        connection.receiver.keystream = Some(streams.incoming);
        connection
    }

    pub(crate) fn inside_records(mut self, writer: RecordWriter, reader: RecordReader) -> Self {
        self.sender.records = Some(writer);
        self.receiver.records = Some(reader);
        self
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.sender.encoder.framing()
    }
}

/// Frames and hides what one side writes.
///
/// The order for a caller with room around the payload: [`encode`](Self::encode), write head and tail around
/// the payload, [`obfuscate`](Self::obfuscate) the whole frame, [`wrap`](Self::wrap) it, send. Or in one call:
/// [`encode_into`](Self::encode_into). Frames must be sent in the order they were encoded in.
#[derive(Debug)]
pub struct Sender {
    encoder: Encoder,
    keystream: Option<Keystream>,
    records: Option<RecordWriter>,
}

impl Sender {
    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.encoder.framing()
    }

    /// Sets how much padding to write at most; see [`Encoder::set_max_padding`].
    pub fn set_max_padding(&mut self, bytes: usize) {
        self.encoder.set_max_padding(bytes);
    }

    /// Returns what stands in front of `payload` and behind it; see [`Encoder::encode`].
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn encode<R: CryptoRng + ?Sized>(
        &mut self,
        payload: &[u8],
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<Affixes, TransportError> {
        self.encoder.encode(payload, ack, rng)
    }

    /// Hides a whole frame (head, payload and tail) in place; does nothing on a plain connection.
    pub fn obfuscate(&mut self, frame: &mut [u8]) {
        if let Some(keystream) = &mut self.keystream {
            keystream.apply(frame);
        }
    }

    /// Returns what to send for a frame that was obfuscated: the frame itself, or under fake TLS its records,
    /// which are written to `scratch`.
    pub fn wrap<'a>(&mut self, frame: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(records) = &mut self.records else {
            return frame;
        };
        scratch.clear();
        scratch.extend_from_slice(frame);
        records.wrap(scratch, 0);
        scratch
    }

    /// Appends to `out` everything to be sent for `payload`.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`]; nothing is appended then.
    pub fn encode_into<R: CryptoRng + ?Sized>(
        &mut self,
        out: &mut Vec<u8>,
        payload: &[u8],
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<(), TransportError> {
        let from = out.len();
        self.encoder.encode_into(out, payload, ack, rng)?;
        self.hide(out, from);
        Ok(())
    }

    /// Appends a quick ack to `out`; only servers send them, and the full transport has none.
    pub fn quick_ack_into<R: CryptoRng + ?Sized>(
        &mut self,
        out: &mut Vec<u8>,
        token: QuickAckToken,
        rng: &mut R,
    ) {
        let from = out.len();
        self.encoder.quick_ack_into(out, token, rng);
        self.hide(out, from);
    }

    /// Appends a transport error to `out`; only servers send them. Close the connection after it.
    ///
    /// # Errors
    ///
    /// Fails only under a frame limit of less than four bytes.
    pub fn error_into<R: CryptoRng + ?Sized>(
        &mut self,
        out: &mut Vec<u8>,
        code: TransportErrorCode,
        rng: &mut R,
    ) -> Result<(), TransportError> {
        let from = out.len();
        self.encoder.error_into(out, code, rng)?;
        self.hide(out, from);
        Ok(())
    }

    fn hide(&mut self, out: &mut Vec<u8>, from: usize) {
        self.obfuscate(&mut out[from..]);
        if let Some(records) = &mut self.records {
            records.wrap(out, from);
        }
    }
}

/// What a receiver found at the beginning of its input, as ranges of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceivedFrame {
    /// More must arrive.
    Incomplete {
        /// Length that the input must have at least. A peer's word: no reason to allocate.
        needed: usize,
    },
    /// A plain or encrypted envelope.
    Envelope {
        /// Where it lies in the input, without padding of the transport.
        payload: Range<usize>,
        /// How much of the input to drop.
        used: usize,
        /// Whether its sender asks for a quick ack.
        ack: AckRequest,
    },
    /// A quick ack.
    QuickAck {
        /// Token of the message that was received.
        token: QuickAckToken,
        /// How much of the input to drop.
        used: usize,
    },
    /// A transport error.
    Error {
        /// What the server says.
        code: TransportErrorCode,
        /// How much of the input to drop.
        used: usize,
    },
    /// A frame that means nothing.
    Nop {
        /// How much of the input to drop.
        used: usize,
    },
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'b> {
    /// A plain or encrypted envelope, without padding of the transport, to be opened in place.
    Envelope {
        /// The envelope.
        payload: &'b mut [u8],
        /// Whether its sender asks for a quick ack.
        ack: AckRequest,
    },
    /// A quick ack; one whose token is unknown is to be ignored (`SEC-133`).
    QuickAck(QuickAckToken),
    /// A transport error. It is unauthenticated (`SEC-134`); the connection is useless after it.
    Error(TransportErrorCode),
}

/// Uncovers and splits what one side reads.
///
/// [`receive`](Self::receive) does everything over a [`ReadBuf`]. A caller with a buffer of its own passes each
/// read once through [`feed`](Self::feed) and then looks for frames with [`next_frame`](Self::next_frame).
#[derive(Debug)]
pub struct Receiver {
    decoder: Decoder,
    keystream: Option<Keystream>,
    records: Option<RecordReader>,
}

impl Receiver {
    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.decoder.framing()
    }

    /// Takes out the next thing that is complete, or returns `None` if more must be read.
    ///
    /// # Errors
    ///
    /// Says what is wrong; the connection must be closed.
    pub fn receive<'b>(&mut self, buf: &'b mut ReadBuf) -> Result<Option<Incoming<'b>>, TransportError> {
        buf.make_ready(|raw| self.feed(raw))?;
        loop {
            return Ok(match self.next_frame(buf.ready())? {
                ReceivedFrame::Incomplete { .. } => None,
                ReceivedFrame::Envelope { payload, used, ack } => {
                    Some(Incoming::Envelope { payload: &mut buf.take_ready(used)[payload], ack })
                }
                ReceivedFrame::QuickAck { token, used } => {
                    buf.take_ready(used);
                    Some(Incoming::QuickAck(token))
                }
                ReceivedFrame::Error { code, used } => {
                    buf.take_ready(used);
                    Some(Incoming::Error(code))
                }
                ReceivedFrame::Nop { used } => {
                    buf.take_ready(used);
                    continue;
                }
            });
        }
    }

    /// Uncovers bytes that were just read, in place, and returns how many are left at their front.
    ///
    /// All are left but under fake TLS, where the record headers go.
    ///
    /// # Errors
    ///
    /// [`TransportError::UnexpectedRecord`].
    pub fn feed(&mut self, raw: &mut [u8]) -> Result<usize, TransportError> {
        let kept = match &mut self.records {
            Some(records) => records.unwrap(raw)?,
            None => raw.len(),
        };
        self.uncover(&mut raw[..kept]);
        Ok(kept)
    }

    /// Looks at the beginning of uncovered bytes.
    ///
    /// # Errors
    ///
    /// Says what is wrong; the connection must be closed.
    pub fn next_frame(&mut self, input: &[u8]) -> Result<ReceivedFrame, TransportError> {
        let (payload, used, ack) = match self.decoder.next_frame(input)? {
            Decoded::Incomplete { needed } => return Ok(ReceivedFrame::Incomplete { needed }),
            Decoded::QuickAck { token, used } => return Ok(ReceivedFrame::QuickAck { token, used }),
            Decoded::Frame { payload, used, ack } => (payload, used, ack),
        };
        let bytes = &input[payload.clone()];
        Ok(match Payload::classify(bytes, self.decoder.from(), self.framing())? {
            Payload::Nop => ReceivedFrame::Nop { used },
            Payload::QuickAck(token) => ReceivedFrame::QuickAck { token, used },
            Payload::Error(code) => ReceivedFrame::Error { code, used },
            Payload::Plain | Payload::Encrypted => {
                let padded = self.framing() == Framing::PaddedIntermediate;
                let len = if padded { unpadded_len(bytes) } else { bytes.len() };
                ReceivedFrame::Envelope { payload: payload.start..payload.start + len, used, ack }
            }
        })
    }

    /// Undoes the obfuscation of bytes whose records were unwrapped already.
    pub(crate) fn uncover(&mut self, bytes: &mut [u8]) {
        if let Some(keystream) = &mut self.keystream {
            keystream.apply(bytes);
        }
    }
}
