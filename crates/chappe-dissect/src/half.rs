//! One direction of a connection: from bytes to envelopes, past gaps.

use alloc::vec::Vec;
use core::ops::Range;

use chappe_crypto::{AuthKeyId, QuickAckToken, Side};
use chappe_transport::http::{Request, Response};
use chappe_transport::parts::{Decoded, Decoder, Keystream, Payload, RecordReader, unpadded_len};
use chappe_transport::{ConnectionLimits, Framing, TransportError, TransportErrorCode};

use crate::record::Unreadable;
use crate::search::{FoundAgain, Search};
use crate::websocket::WebSocketReader;

/// Consumed bytes at the front of the buffer from which on the rest is moved.
const COMPACT: usize = 64 * 1024;

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Half {
    from: Side,
    unwrapper: Unwrapper,
    keystream: Option<Keystream>,
    splitter: Splitter,
    /// Bytes that were unwrapped and decrypted; the first `start` of them are consumed.
    buf: Vec<u8>,
    start: usize,
    /// Bytes at the beginning that are not decrypted and dropped: the obfuscation header.
    header_left: usize,
    /// Bytes to drop, the rest of a frame of which a part was lost.
    skip: u64,
    /// Bytes that were dropped since the stream was last in step.
    skipped: u64,
    limits: ConnectionLimits,
}

/// What is around the stream.
#[derive(Debug)]
pub(crate) enum Unwrapper {
    None,
    Records(RecordReader),
    WebSocket(WebSocketReader),
}

/// How envelopes are found in the stream.
#[derive(Debug)]
enum Splitter {
    /// The transport is not known yet.
    Opening,
    Frames(Decoder),
    Http,
    Searching(Search),
    /// Bytes are dropped.
    Dead,
}

/// What was found in one direction.
#[derive(Debug)]
pub(crate) enum Found {
    /// An envelope, at this range of [`Half::bytes_mut`].
    Envelope(Range<usize>),
    QuickAck(QuickAckToken),
    Error(TransportErrorCode),
    Resynchronised {
        skipped: u64,
    },
    Unreadable(Unreadable),
}

impl Half {
    pub(crate) const fn new(from: Side, limits: ConnectionLimits) -> Self {
        Self {
            from,
            unwrapper: Unwrapper::None,
            keystream: None,
            splitter: Splitter::Opening,
            buf: Vec::new(),
            start: 0,
            header_left: 0,
            skip: 0,
            skipped: 0,
            limits,
        }
    }

    /// Returns the bytes that wait.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// Returns the buffer that the ranges of [`Found`] are about.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf
    }

    pub(crate) const fn memory(&self) -> usize {
        self.buf.capacity()
    }

    pub(crate) const fn is_dead(&self) -> bool {
        matches!(self.splitter, Splitter::Dead)
    }

    /// Drops bytes from the front, while the transport is being recognised.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.buf.len());
    }

    /// The transport is known: what has arrived passes through it, but for `header_len` bytes at the beginning of the stream.
    pub(crate) fn open(
        &mut self,
        unwrapper: Unwrapper,
        keystream: Option<Keystream>,
        framing: Option<Framing>,
        header_len: usize,
    ) -> Result<(), Unreadable> {
        if self.is_dead() {
            return Ok(());
        }
        let decoder = framing.map(|framing| Decoder::new(framing, self.from, self.limits));
        self.splitter = decoder.map_or(Splitter::Http, Splitter::Frames);
        self.unwrapper = unwrapper;
        self.keystream = keystream;
        self.header_left = header_len;
        let waiting = core::mem::take(&mut self.buf);
        let start = core::mem::take(&mut self.start);
        self.push(&waiting[start..])
    }

    /// Looks for a known key, because the beginning was not seen.
    pub(crate) fn search(&mut self, search: Search) {
        self.splitter = Splitter::Searching(search);
    }

    /// Gives this direction up and frees its memory.
    pub(crate) fn kill(&mut self) {
        self.splitter = Splitter::Dead;
        (self.buf, self.start, self.keystream) = (Vec::new(), 0, None);
    }

    /// Takes bytes of the connection.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        if self.is_dead() {
            return Ok(());
        }
        self.compact();
        let at = self.buf.len();
        self.buf.extend_from_slice(bytes);
        let raw = &mut self.buf[at..];
        let mut kept = match &mut self.unwrapper {
            Unwrapper::None => raw.len(),
            Unwrapper::Records(reader) => reader.unwrap(raw).map_err(Unreadable::Malformed)?,
            Unwrapper::WebSocket(reader) => reader.unwrap(raw).map_err(|_| Unreadable::WebSocket)?,
        };
        if self.header_left > 0 {
            let header = self.header_left.min(kept);
            raw.copy_within(header..kept, 0);
            self.header_left -= header;
            kept -= header;
        }
        if let Some(keystream) = &mut self.keystream {
            keystream.apply(&mut raw[..kept]);
        }
        self.buf.truncate(at + kept);
        // A frame of which a part was lost is alone in the buffer.
        let dropped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(kept);
        self.skip -= dropped as u64;
        self.start += dropped;
        Ok(())
    }

    /// Bytes of the connection are missing.
    pub(crate) fn push_gap(&mut self, len: u64) -> Result<(), Unreadable> {
        let is_inside = match &mut self.unwrapper {
            Unwrapper::None => true,
            Unwrapper::Records(reader) => reader.skip(len),
            Unwrapper::WebSocket(reader) => reader.skip(len),
        };
        if let Some(keystream) = &mut self.keystream {
            keystream.skip(len);
        }
        match &mut self.splitter {
            Splitter::Dead => return Ok(()),
            // Later bytes cannot be read without the first ones.
            Splitter::Opening => return Err(Unreadable::NoBeginning),
            _ if !is_inside => return Err(Unreadable::TooMuchLost),
            Splitter::Searching(_) => {}
            Splitter::Http => self.splitter = Splitter::Searching(Search::http()),
            Splitter::Frames(decoder) => {
                let waiting = &self.buf[self.start..];
                let left = match (self.skip, rest_of_frame(decoder, waiting)) {
                    (0, left) => left,
                    (skip, _) => Some(skip),
                };
                if let Some(left) = left.and_then(|left| left.checked_sub(len)) {
                    // The gap is inside of one frame: the next one begins where this one ends.
                    if let Some(seq_no) = seq_no(decoder.framing(), waiting) {
                        decoder.set_next_seq_no(seq_no.wrapping_add(1));
                    }
                    self.skip = left;
                } else {
                    self.skip = 0;
                    self.splitter = Splitter::Searching(Search::framing(decoder.framing()));
                }
            }
        }
        self.skipped += self.raw().len() as u64;
        self.start = self.buf.len();
        Ok(())
    }

    /// Returns the next thing in the bytes that have arrived.
    pub(crate) fn next(&mut self, is_known: &dyn Fn(AuthKeyId) -> bool) -> Option<Found> {
        loop {
            let input = &self.buf[self.start..];
            if input.is_empty() {
                return None;
            }
            let found = match &mut self.splitter {
                Splitter::Opening => return None,
                Splitter::Dead => {
                    self.kill();
                    return None;
                }
                Splitter::Searching(search) if self.skipped > search.patience => {
                    self.kill();
                    return Some(Found::Unreadable(Unreadable::TooMuchLost));
                }
                Splitter::Searching(_) => return self.next_of_search(is_known),
                Splitter::Http if self.from == Side::Client => next_request(input, &self.limits),
                Splitter::Http => next_response(input, &self.limits),
                Splitter::Frames(decoder) => next_frame(decoder, input),
            };
            match found {
                Ok(None) => return None,
                Ok(Some((used, Next::Nothing))) => self.start += used,
                Ok(Some((used, next))) => {
                    let at = self.start;
                    self.start += used;
                    return Some(match next {
                        Next::Envelope(range) => Found::Envelope(at + range.start..at + range.end),
                        Next::QuickAck(token) => Found::QuickAck(token),
                        Next::Error(code) => Found::Error(code),
                        Next::Nothing => continue,
                    });
                }
                Err(error) => {
                    let search = match &self.splitter {
                        Splitter::Frames(decoder) => Search::framing(decoder.framing()),
                        _ => Search::http(),
                    };
                    self.splitter = Splitter::Searching(search);
                    // The same byte must not be tried again.
                    self.consume(1);
                    self.skipped = 1;
                    return Some(Found::Unreadable(Unreadable::Malformed(error)));
                }
            }
        }
    }

    fn next_of_search(&mut self, is_known: &dyn Fn(AuthKeyId) -> bool) -> Option<Found> {
        let Splitter::Searching(search) = &mut self.splitter else { return None };
        let hit = search.find(self.from, &self.buf[self.start..], &self.limits, is_known);
        self.start += hit.skipped;
        self.skipped += hit.skipped as u64;
        let skipped = self.skipped;
        self.splitter = match hit.found {
            FoundAgain::Nothing => return None,
            FoundAgain::Head => Splitter::Http,
            FoundAgain::Frame(framing) => {
                let mut decoder = Decoder::new(framing, self.from, self.limits);
                if let Some(seq_no) = seq_no(framing, &self.buf[self.start..]) {
                    decoder.set_next_seq_no(seq_no);
                }
                Splitter::Frames(decoder)
            }
        };
        self.skipped = 0;
        Some(Found::Resynchronised { skipped })
    }

    fn compact(&mut self) {
        if self.start == self.buf.len() {
            self.buf.clear();
            self.start = 0;
        } else if self.start >= COMPACT && self.start >= self.buf.len() / 2 {
            self.buf.drain(..self.start);
            self.start = 0;
        }
        if self.buf.is_empty() && self.buf.capacity() > COMPACT {
            self.buf.shrink_to(COMPACT);
        }
    }
}

/// What is at the beginning of the input.
enum Next {
    Envelope(Range<usize>),
    QuickAck(QuickAckToken),
    Error(TransportErrorCode),
    Nothing,
}

/// The number of bytes that it takes, and what it is.
type Step = Result<Option<(usize, Next)>, TransportError>;

fn next_frame(decoder: &mut Decoder, input: &[u8]) -> Step {
    let (payload, used) = match decoder.next_frame(input)? {
        Decoded::Incomplete { .. } => return Ok(None),
        Decoded::QuickAck { token, used } => return Ok(Some((used, Next::QuickAck(token)))),
        Decoded::Frame { payload, used, .. } => (payload, used),
    };
    let bytes = &input[payload.clone()];
    let next = match Payload::classify(bytes, decoder.from(), decoder.framing())? {
        Payload::Nop => Next::Nothing,
        Payload::QuickAck(token) => Next::QuickAck(token),
        Payload::Error(code) => Next::Error(code),
        Payload::Plain | Payload::Encrypted => {
            let padded = decoder.framing() == Framing::PaddedIntermediate;
            let len = if padded { unpadded_len(bytes) } else { bytes.len() };
            Next::Envelope(payload.start..payload.start + len)
        }
    };
    Ok(Some((used, next)))
}

fn next_request(input: &[u8], limits: &ConnectionLimits) -> Step {
    let Some(request) = Request::parse(input, limits)? else { return Ok(None) };
    let used = request.body.end.max(request.head.len());
    let next = if request.body.is_empty() { Next::Nothing } else { Next::Envelope(request.body) };
    Ok(Some((used, next)))
}

fn next_response(input: &[u8], limits: &ConnectionLimits) -> Step {
    let Some(Response { outcome, used, .. }) = Response::parse(input, limits)? else { return Ok(None) };
    let next = match outcome {
        Ok(Some(body)) => Next::Envelope(body),
        Ok(None) => Next::Nothing,
        Err(code) => Next::Error(code),
    };
    Ok(Some((used, next)))
}

/// Returns how many bytes are missing of the frame that the input begins with, if its length is known.
fn rest_of_frame(decoder: &mut Decoder, input: &[u8]) -> Option<u64> {
    let head = match (decoder.framing(), input.first()?) {
        (Framing::Abridged, first) if first & 0x7f != 0x7f => 1,
        (Framing::Abridged | Framing::Intermediate | Framing::PaddedIntermediate, _) => 4,
        (Framing::Full, _) => 8,
    };
    match decoder.next_frame(input) {
        Ok(Decoded::Incomplete { needed }) if input.len() >= head => Some((needed - input.len()) as u64),
        _ => None,
    }
}

/// Returns the number of the frame that the input begins with.
fn seq_no(framing: Framing, input: &[u8]) -> Option<u32> {
    let word = input.get(4..8)?.first_chunk()?;
    (framing == Framing::Full).then(|| u32::from_le_bytes(*word))
}
