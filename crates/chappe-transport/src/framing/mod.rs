//! Framings: the borders between payloads in a byte stream.
//!
//! [`Encoder`] returns the bytes in front of a payload and behind it, so that a caller with room on both sides copies
//! nothing. [`Decoder`] returns ranges of its input.
//!
//! Not here: the kind of the payload ([`payload`](crate::payload)), and disguises of the stream
//! ([`obfuscation`](crate::obfuscation), [`fake_tls`](crate::fake_tls)).
//!
//! **Invariant:** a decoder compares every length with the limit before it uses it.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports>.

mod abridged;
mod full;
mod intermediate;

use alloc::vec::Vec;
use core::ops::Range;

use chappe_crypto::{QuickAckToken, Side};
use rand_core::CryptoRng;

use crate::error::{MalformedStream, TransportError, TransportMisuse};
use crate::limits::ConnectionLimits;
use chappe_types::TransportErrorCode;

/// Maximum number of bytes in front of a payload.
pub const MAX_HEAD: usize = 8;

/// Maximum number of bytes behind a payload: random padding.
pub const MAX_TAIL: usize = MAX_PADDING;

/// Maximum padding on the padded intermediate transport, in bytes.
pub(crate) const MAX_PADDING: usize = 15;

/// Maximum padding behind a transport error, in bytes.
const MAX_ERROR_PADDING: usize = 11;

/// The four framings of a byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// One length byte, or four for payloads from 508 bytes on. Announced by `ef`.
    Abridged,
    /// Four length bytes. Announced by `ee ee ee ee`.
    Intermediate,
    /// Four length bytes, 0 to 15 bytes of random padding. Announced by `dd dd dd dd`.
    PaddedIntermediate,
    /// Length, number and CRC-32. Not announced; cannot be obfuscated, has no quick acks.
    Full,
}

impl Framing {
    /// All framings.
    pub const ALL: [Self; 4] = [Self::Abridged, Self::Intermediate, Self::PaddedIntermediate, Self::Full];

    /// Returns the bytes that a client sends once before its first frame if it does not obfuscate.
    pub const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Abridged => &[0xef],
            Self::Intermediate => &[0xee; 4],
            Self::PaddedIntermediate => &[0xdd; 4],
            Self::Full => &[],
        }
    }

    /// Returns the tag of this framing in an obfuscation header, or `None` for full.
    pub const fn tag(self) -> Option<[u8; 4]> {
        match self {
            Self::Abridged => Some([0xef; 4]),
            Self::Intermediate => Some([0xee; 4]),
            Self::PaddedIntermediate => Some([0xdd; 4]),
            Self::Full => None,
        }
    }

    /// Returns the framing with this tag.
    pub const fn from_tag(tag: [u8; 4]) -> Option<Self> {
        match tag {
            [0xef, 0xef, 0xef, 0xef] => Some(Self::Abridged),
            [0xee, 0xee, 0xee, 0xee] => Some(Self::Intermediate),
            [0xdd, 0xdd, 0xdd, 0xdd] => Some(Self::PaddedIntermediate),
            _ => None,
        }
    }

    /// Returns whether a client can request quick acks.
    pub const fn has_quick_acks(self) -> bool {
        !matches!(self, Self::Full)
    }
}

/// Whether a frame requests a quick ack.
///
/// <https://core.telegram.org/mtproto/mtproto-transports#quick-ack>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AckRequest {
    /// No quick ack is requested.
    #[default]
    No,
    /// The receiver sends the token of the message back as soon as it received it.
    Quick,
}

/// The bytes of a framing in front of a payload and behind it.
#[derive(Clone, Copy, Debug)]
pub struct Affixes {
    head: [u8; MAX_HEAD],
    head_len: u8,
    tail: [u8; MAX_TAIL],
    tail_len: u8,
}

impl Affixes {
    fn with_head(bytes: &[u8]) -> Self {
        let mut affixes = Self { head: [0; MAX_HEAD], head_len: 0, tail: [0; MAX_TAIL], tail_len: 0 };
        let len = bytes.len().min(MAX_HEAD);
        affixes.head[..len].copy_from_slice(&bytes[..len]);
        affixes.head_len = len as u8;
        affixes
    }

    /// Returns the bytes in front of the payload, at most [`MAX_HEAD`].
    pub fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    /// Returns the bytes behind the payload, at most [`MAX_TAIL`].
    pub fn tail(&self) -> &[u8] {
        &self.tail[..usize::from(self.tail_len)]
    }
}

/// Frames the payloads of one side.
#[derive(Debug)]
pub struct Encoder {
    framing: Framing,
    from: Side,
    limits: ConnectionLimits,
    max_padding: usize,
    next_seq_no: u32,
}

impl Encoder {
    /// Returns an encoder for the stream that `from` writes.
    ///
    /// On the padded transport, a client adds 0 to 15 random bytes. A server adds none, because some clients do not remove
    /// the padding; see [`set_max_padding`](Self::set_max_padding).
    pub const fn new(framing: Framing, from: Side, limits: ConnectionLimits) -> Self {
        let max_padding = match from {
            Side::Client => MAX_PADDING,
            Side::Server => 0,
        };
        Self { framing, from, limits, max_padding, next_seq_no: 0 }
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Sets the maximum number of padding bytes, up to [`MAX_PADDING`].
    pub fn set_max_padding(&mut self, bytes: usize) {
        self.max_padding = bytes.min(MAX_PADDING);
    }

    /// Returns the bytes in front of `payload` and behind it.
    ///
    /// Each call counts as a sent frame. A request for a quick ack is ignored if the framing has none, and on a server.
    ///
    /// # Errors
    ///
    /// [`TransportMisuse::PayloadLength`] if `payload` is empty, not a multiple of four or over the limit.
    pub fn encode<R: CryptoRng + ?Sized>(
        &mut self,
        payload: &[u8],
        ack: AckRequest,
        rng: &mut R,
    ) -> Result<Affixes, TransportError> {
        let len = payload.len();
        if len == 0 || !len.is_multiple_of(4) || len > self.limits.max_frame {
            return Err(TransportMisuse::PayloadLength { len }.into());
        }
        let ack = if self.from == Side::Client { ack } else { AckRequest::No };
        match self.framing {
            Framing::Abridged => abridged::encode(len, ack),
            Framing::Intermediate => intermediate::encode(len, ack),
            Framing::PaddedIntermediate => {
                let room = self.limits.max_frame - len;
                intermediate::encode_padded(len, ack, self.padding_for(len).min(room), rng)
            }
            Framing::Full => {
                let seq_no = self.next_seq_no;
                let affixes = full::encode(payload, seq_no)?;
                self.next_seq_no = seq_no.wrapping_add(1);
                Ok(affixes)
            }
        }
    }

    /// Returns the bytes in front of a payload of `len` bytes that follows piece by piece, without padding. Each call counts as
    /// a sent frame. Behind a payload of [`Framing::Full`], the caller sends the checksum of both.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub(crate) fn head(&mut self, len: usize, ack: AckRequest) -> Result<Affixes, TransportError> {
        if len == 0 || !len.is_multiple_of(4) || len > self.limits.max_frame {
            return Err(TransportMisuse::PayloadLength { len }.into());
        }
        match self.framing {
            Framing::Abridged => abridged::encode(len, ack),
            Framing::Intermediate | Framing::PaddedIntermediate => intermediate::encode(len, ack),
            Framing::Full => {
                let head = full::encode_head(len, self.next_seq_no)?;
                self.next_seq_no = self.next_seq_no.wrapping_add(1);
                Ok(head)
            }
        }
    }

    /// Appends the frame of `payload` to `out`.
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
        let affixes = self.encode(payload, ack, rng)?;
        out.reserve(affixes.head().len() + payload.len() + affixes.tail().len());
        out.extend_from_slice(affixes.head());
        out.extend_from_slice(payload);
        out.extend_from_slice(affixes.tail());
        Ok(())
    }

    /// Appends a quick ack, which a server sends between frames.
    ///
    /// Nothing is appended on the full transport, which has none.
    pub fn quick_ack_into<R: CryptoRng + ?Sized>(
        &self,
        out: &mut Vec<u8>,
        token: QuickAckToken,
        rng: &mut R,
    ) {
        let token = token.to_raw();
        match self.framing {
            Framing::Abridged => out.extend_from_slice(&token.to_be_bytes()),
            Framing::Intermediate => out.extend_from_slice(&token.to_le_bytes()),
            Framing::PaddedIntermediate => {
                intermediate::quick_ack_into(
                    out,
                    token,
                    self.max_padding.min(intermediate::MAX_ACK_PADDING),
                    rng,
                );
            }
            Framing::Full => {}
        }
    }

    /// Appends a transport error.
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
        self.encode_into(out, &code.to_payload(), AckRequest::No, rng)
    }

    /// The limit of the padding behind an error: with 16 bytes or more it would not be recognised as an error.
    const fn padding_for(&self, len: usize) -> usize {
        if len == 4 && self.max_padding > MAX_ERROR_PADDING { MAX_ERROR_PADDING } else { self.max_padding }
    }
}

/// What stands at the beginning of a stream, as far as it can be told without the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// The head is incomplete.
    Incomplete {
        /// Minimum length of the input for the next attempt.
        needed: usize,
    },
    /// A quick ack between frames.
    QuickAck { token: QuickAckToken, used: usize },
    /// A frame: `head` bytes, `len` bytes of payload with its padding, `tail` bytes of checksum.
    Frame { head: usize, len: usize, tail: usize, ack: AckRequest },
}

/// The result of a decoder at the beginning of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The input does not hold a whole frame.
    Incomplete {
        /// Minimum length of the input for the next attempt. The peer chose it: do not allocate by it.
        needed: usize,
    },
    /// A frame.
    Frame {
        /// The range of its payload in the input, including the padding of the padded transport.
        payload: Range<usize>,
        /// The number of input bytes of the frame.
        used: usize,
        /// Whether its sender requests a quick ack.
        ack: AckRequest,
    },
    /// A quick ack between frames, as servers send them on abridged and intermediate.
    QuickAck {
        /// The token, bit 31 set.
        token: QuickAckToken,
        /// The number of input bytes.
        used: usize,
    },
}

/// Splits the stream of one side into frames.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    from: Side,
    limits: ConnectionLimits,
    next_seq_no: u32,
}

impl Decoder {
    /// Returns a decoder for the stream that `from` writes.
    pub const fn new(framing: Framing, from: Side, limits: ConnectionLimits) -> Self {
        Self { framing, from, limits, next_seq_no: 0 }
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Returns the side that writes the stream.
    pub const fn from(&self) -> Side {
        self.from
    }

    /// Sets the number of the next frame, after frames were lost. Only the full transport has numbers.
    pub const fn set_next_seq_no(&mut self, seq_no: u32) {
        self.next_seq_no = seq_no;
    }

    /// Decodes the frame at the beginning of `input`.
    ///
    /// After a frame or a quick ack, the caller drops `used` bytes and calls again. After [`Decoded::Incomplete`], it reads
    /// more. Any split of the stream gives the same frames (`SEC-137`).
    ///
    /// # Errors
    ///
    /// Fails if length, number or checksum is wrong (`SEC-129`, `SEC-130`, `SEC-131`). Close the connection.
    pub fn next_frame(&mut self, input: &[u8]) -> Result<Decoded, TransportError> {
        let (head, len, tail, ack) = match self.head(input)? {
            Head::Incomplete { needed } => return Ok(Decoded::Incomplete { needed }),
            Head::QuickAck { token, used } => return Ok(Decoded::QuickAck { token, used }),
            Head::Frame { head, len, tail, ack } => (head, len, tail, ack),
        };
        let (payload, used) = (head..head.saturating_add(len), head.saturating_add(len).saturating_add(tail));
        let Some(frame) = input.get(..used) else { return Ok(Decoded::Incomplete { needed: used }) };
        if self.framing == Framing::Full {
            full::check_crc(&frame[..payload.end], &frame[payload.end..])?;
            self.count_frame();
        }
        Ok(Decoded::Frame { payload, used, ack })
    }

    /// Decodes the head of the frame at the beginning of `input`. Of a frame of [`Framing::Full`], nothing else is checked: the
    /// caller compares the checksum behind the payload and calls [`count_frame`](Self::count_frame).
    ///
    /// # Errors
    ///
    /// Fails if length or number is wrong (`SEC-129`, `SEC-130`, `SEC-131`). Close the connection.
    pub(crate) fn head(&self, input: &[u8]) -> Result<Head, TransportError> {
        let max = self.limits.max_frame;
        match self.framing {
            Framing::Abridged => abridged::head(input, self.from, max),
            Framing::Intermediate => intermediate::head(input, self.from, max),
            Framing::PaddedIntermediate => intermediate::padded_head(input, self.from, max),
            Framing::Full => full::head(input, self.next_seq_no, max),
        }
    }

    /// Counts a frame whose head was decoded. Only [`Framing::Full`] numbers its frames.
    pub(crate) const fn count_frame(&mut self) {
        self.next_seq_no = self.next_seq_no.wrapping_add(1);
    }
}

/// Compares an announced length with the limit (`SEC-129`).
const fn check_len(len: usize, max: usize) -> Result<(), TransportError> {
    if len == 0 {
        return Err(TransportError::Malformed(MalformedStream::EmptyFrame));
    }
    if len > max {
        return Err(TransportError::Malformed(MalformedStream::FrameTooLong { len, max }));
    }
    Ok(())
}
