//! An established connection: framing, obfuscation and fake TLS combined.
//!
//! Both ends use the same types. [`Sender`] and [`Receiver`] share nothing, so that two tasks can own one each.

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
    /// This side's output.
    pub sender: Sender,
    /// This side's input.
    pub receiver: Receiver,
}

impl Connection {
    /// Returns a connection without obfuscation for `side`.
    ///
    /// The caller sends or skips the client's [`Framing::prefix`].
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

    /// Returns an obfuscated connection for `side`.
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

/// Frames and obfuscates the output of one side.
///
/// A caller with room around the payload calls [`encode`](Self::encode), writes head and tail around the payload, calls
/// [`obfuscate`](Self::obfuscate) on the whole frame and [`wrap`](Self::wrap), and sends the result.
/// [`encode_into`](Self::encode_into) does all of it in one call. Frames must be sent in the order of encoding.
#[derive(Debug)]
pub struct Sender {
    pub(crate) encoder: Encoder,
    keystream: Option<Keystream>,
    records: Option<RecordWriter>,
}

impl Sender {
    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.encoder.framing()
    }

    /// Sets the maximum number of padding bytes, up to 15. Only the padded transport pads.
    pub fn set_max_padding(&mut self, bytes: usize) {
        self.encoder.set_max_padding(bytes);
    }

    /// Returns the bytes in front of `payload` and behind it. Each call counts as a sent frame.
    ///
    /// # Errors
    ///
    /// [`TransportMisuse::PayloadLength`](crate::TransportMisuse::PayloadLength) if `payload` is empty, not a multiple of four or over the limit.
    pub fn encode<R: CryptoRng + ?Sized>(
        &mut self,
        payload: &[u8],
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<Affixes, TransportError> {
        self.encoder.encode(payload, ack, rng)
    }

    /// Obfuscates a whole frame (head, payload and tail) in place. Does nothing on a plain connection.
    pub fn obfuscate(&mut self, frame: &mut [u8]) {
        if let Some(keystream) = &mut self.keystream {
            keystream.apply(frame);
        }
    }

    /// Returns the bytes to send for an obfuscated frame: the frame itself, or with fake TLS its records, which are written to
    /// `scratch`.
    pub fn wrap<'a>(&mut self, frame: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(records) = &mut self.records else {
            return frame;
        };
        scratch.clear();
        scratch.extend_from_slice(frame);
        records.wrap(scratch, 0);
        scratch
    }

    /// Appends to `out` all bytes to send for `payload`.
    ///
    /// # Errors
    ///
    /// Those of [`encode`](Self::encode). Nothing is appended then.
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

    /// Appends a quick ack to `out`. Only servers send them. The full transport has none.
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

    /// Appends a transport error to `out`. Only servers send them. Close the connection afterwards.
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

    pub(crate) fn hide(&mut self, out: &mut Vec<u8>, from: usize) {
        self.obfuscate(&mut out[from..]);
        if let Some(records) = &mut self.records {
            records.wrap(out, from);
        }
    }
}

/// The first frame in the input of a receiver, as ranges of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceivedFrame {
    /// The frame is incomplete.
    Incomplete {
        /// Minimum length of the input. The peer chose it: do not allocate by it.
        needed: usize,
    },
    /// A plain or encrypted envelope.
    Envelope {
        /// Its range in the input, without padding of the transport.
        payload: Range<usize>,
        /// The number of input bytes to drop.
        used: usize,
        /// Whether its sender requests a quick ack.
        ack: AckRequest,
    },
    /// A quick ack.
    QuickAck {
        /// Token of the message that was received.
        token: QuickAckToken,
        /// The number of input bytes to drop.
        used: usize,
    },
    /// A transport error.
    Error {
        /// The code.
        code: TransportErrorCode,
        /// The number of input bytes to drop.
        used: usize,
    },
    /// A keep-alive without meaning.
    Nop {
        /// The number of input bytes to drop.
        used: usize,
    },
}

/// A received frame, which borrows the buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'b> {
    /// A plain or encrypted envelope, without padding of the transport, to be opened in place.
    Envelope {
        /// The envelope.
        payload: &'b mut [u8],
        /// Whether its sender requests a quick ack.
        ack: AckRequest,
    },
    /// A quick ack. Ignore unknown tokens (`SEC-133`).
    QuickAck(QuickAckToken),
    /// A transport error. It is unauthenticated (`SEC-134`). The connection cannot be used afterwards.
    Error(TransportErrorCode),
}

/// Decrypts and splits the input of one side.
///
/// [`receive`](Self::receive) works on a [`ReadBuf`]. A caller with another buffer passes each read once to
/// [`feed`](Self::feed) and then takes frames with [`next_frame`](Self::next_frame).
#[derive(Debug)]
pub struct Receiver {
    pub(crate) decoder: Decoder,
    keystream: Option<Keystream>,
    records: Option<RecordReader>,
}

impl Receiver {
    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.decoder.framing()
    }

    /// Returns the next complete frame, or `None` if more must be read.
    ///
    /// # Errors
    ///
    /// Fails if the stream is malformed. Close the connection.
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

    /// Returns what has arrived of the payload of an incomplete frame, after [`receive`](Self::receive) returned `None`.
    ///
    /// A server looks at the key id in front before it lets the frame grow.
    pub fn partial_payload<'b>(&self, buf: &'b ReadBuf) -> &'b [u8] {
        let ready = buf.ready();
        let head = match (self.framing(), ready.first()) {
            (Framing::Abridged, Some(first)) if first & 0x7f != 0x7f => 1,
            (Framing::Abridged | Framing::Intermediate | Framing::PaddedIntermediate, _) => 4,
            (Framing::Full, _) => 8,
        };
        ready.get(head..).unwrap_or_default()
    }

    /// Decrypts bytes that were just read in place, and returns how many remain at the front.
    ///
    /// With fake TLS, the headers of records are removed. Otherwise all bytes remain.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::UnexpectedRecord`](crate::MalformedStream::UnexpectedRecord).
    pub fn feed(&mut self, raw: &mut [u8]) -> Result<usize, TransportError> {
        let kept = match &mut self.records {
            Some(records) => records.unwrap(raw)?,
            None => raw.len(),
        };
        self.uncover(&mut raw[..kept]);
        Ok(kept)
    }

    /// Decodes the frame at the beginning of decrypted bytes.
    ///
    /// # Errors
    ///
    /// Fails if the stream is malformed. Close the connection.
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

    /// Decrypts bytes whose records are already unwrapped.
    pub(crate) fn uncover(&mut self, bytes: &mut [u8]) {
        if let Some(keystream) = &mut self.keystream {
            keystream.apply(bytes);
        }
    }
}
