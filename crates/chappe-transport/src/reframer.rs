//! Translation of one side's stream from one framing to another, piece by piece.
//!
//! A proxy whose client uses another framing than its datacenter needs it. Payloads pass as they arrive: no more than a frame's
//! head and the first bytes of its payload are held back, whatever length it announces (`SEC-138`).

use alloc::vec::Vec;

use chappe_crypto::{QuickAckToken, Side};

use crate::error::{MalformedStream, TransportError};
use crate::framing::{AckRequest, Decoder, Encoder, Framing, Head, MAX_HEAD};
use crate::payload::{MIN_ENVELOPE, Payload, unpadded_len_of};

/// Bytes by which a frame is told from an error or an ack, and its padding from its payload: the head and the first bytes of an
/// envelope.
const START: usize = MAX_HEAD + MIN_ENVELOPE;

/// Length of the checksum of [`Framing::Full`].
const CRC: usize = 4;

/// Translates the stream that one side writes.
#[derive(Debug)]
pub(crate) struct Reframer {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The beginning of a frame, not all of which has arrived.
    Start { held: [u8; START], len: usize },
    /// A payload that passes.
    Payload { left: usize, behind: Behind, written: crc32fast::Hasher },
    /// The padding or the checksum behind a payload.
    Behind(Behind),
}

/// What follows a payload, and is not passed on.
#[derive(Clone, Debug)]
enum Behind {
    /// Padding.
    Padding { left: usize },
    /// The checksum, of which some bytes may have arrived.
    Checksum { read: crc32fast::Hasher, held: [u8; CRC], len: usize },
}

impl Reframer {
    /// Begins between two frames.
    pub(crate) const fn new() -> Self {
        Self { state: State::START }
    }

    /// Appends the translation of `input` to `out`, from the framing of `decoder` to that of `encoder`.
    ///
    /// # Errors
    ///
    /// Fails if the stream is malformed. Close the connection.
    pub(crate) fn pass(
        &mut self,
        decoder: &mut Decoder,
        encoder: &mut Encoder,
        mut input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        let is_summed = encoder.framing() == Framing::Full;
        while !input.is_empty() {
            match &mut self.state {
                State::Start { .. } => self.take_start(decoder, encoder, &mut input, out)?,
                State::Payload { left, behind, written } => {
                    let (now, later) = input.split_at((*left).min(input.len()));
                    out.extend_from_slice(now);
                    // Only what is needed: the checksum takes longer than the copy.
                    if is_summed {
                        written.update(now);
                    }
                    if let Behind::Checksum { read, .. } = behind {
                        read.update(now);
                    }
                    input = later;
                    *left -= now.len();
                    if *left == 0 {
                        if is_summed {
                            out.extend_from_slice(&written.clone().finalize().to_le_bytes());
                        }
                        self.state = behind.clone().begin();
                    }
                }
                State::Behind(behind) => {
                    if behind.take(&mut input)? {
                        self.state = State::START;
                    }
                }
            }
        }
        Ok(())
    }

    /// Collects the beginning of a frame, and translates it once it is known.
    fn take_start(
        &mut self,
        decoder: &mut Decoder,
        encoder: &mut Encoder,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        let State::Start { held, len } = &mut self.state else { return Ok(()) };
        loop {
            let needed = match decoder.head(&held[..*len])? {
                Head::Incomplete { needed } => needed,
                Head::QuickAck { token, .. } => {
                    quick_ack_into(out, encoder.framing(), token);
                    self.state = State::START;
                    return Ok(());
                }
                Head::Frame { head, len: payload, .. } => head + payload.min(MIN_ENVELOPE),
            };
            if *len >= needed {
                return self.begin(decoder, encoder, out);
            }
            // What has arrived is looked at once more: a wrong length is refused before the rest of the head has come.
            if input.is_empty() {
                return Ok(());
            }
            let (now, later) = input.split_at((needed - *len).min(input.len()));
            held[*len..*len + now.len()].copy_from_slice(now);
            *len += now.len();
            *input = later;
        }
    }

    /// Translates the beginning of a frame whose head and first bytes have arrived.
    fn begin(
        &mut self,
        decoder: &mut Decoder,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        let State::Start { held, len: held_len } = &self.state else { return Ok(()) };
        let Head::Frame { head, len, tail, ack } = decoder.head(&held[..*held_len])? else {
            return Ok(());
        };
        let start = &held[head..*held_len];
        let from = decoder.framing();
        let kept = match Payload::classify(start, decoder.from(), from)? {
            Payload::Nop => 0,
            Payload::QuickAck(token) => {
                quick_ack_into(out, encoder.framing(), token);
                0
            }
            Payload::Error(_) => 4,
            Payload::Plain | Payload::Encrypted if from == Framing::PaddedIntermediate => {
                unpadded_len_of(start, len)
            }
            Payload::Plain | Payload::Encrypted => len,
        };
        if !kept.is_multiple_of(4) {
            return Err(MalformedStream::FrameUnaligned { len: kept }.into());
        }
        let mut written = crc32fast::Hasher::new();
        let passed = &start[..kept.min(start.len())];
        if kept > 0 {
            let ack = if decoder.from() == Side::Client { ack } else { AckRequest::No };
            let affixes = encoder.head(kept, ack)?;
            for part in [affixes.head(), passed] {
                out.extend_from_slice(part);
                written.update(part);
            }
        }
        let behind = if tail > 0 {
            let mut read = crc32fast::Hasher::new();
            read.update(&held[..*held_len]);
            Behind::Checksum { read, held: [0; CRC], len: 0 }
        } else {
            // Of a short frame everything has arrived, padding included.
            Behind::Padding { left: (len - kept).min(len - start.len()) }
        };
        let left = kept - passed.len();
        if kept > 0 && left == 0 && encoder.framing() == Framing::Full {
            out.extend_from_slice(&written.clone().finalize().to_le_bytes());
        }
        decoder.count_frame();
        self.state = if left > 0 { State::Payload { left, behind, written } } else { behind.begin() };
        Ok(())
    }
}

impl State {
    const START: Self = Self::Start { held: [0; START], len: 0 };
}

impl Behind {
    /// Returns the state in which these bytes are awaited.
    const fn begin(self) -> State {
        match self {
            Self::Padding { left: 0 } => State::START,
            behind => State::Behind(behind),
        }
    }

    /// Takes bytes and returns whether they were the last.
    fn take(&mut self, input: &mut &[u8]) -> Result<bool, TransportError> {
        match self {
            Self::Padding { left } => {
                let skipped = (*left).min(input.len());
                *left -= skipped;
                *input = &input[skipped..];
                Ok(*left == 0)
            }
            Self::Checksum { read, held, len } => {
                let (now, later) = input.split_at((CRC - *len).min(input.len()));
                held[*len..*len + now.len()].copy_from_slice(now);
                *len += now.len();
                *input = later;
                if *len < CRC {
                    return Ok(false);
                }
                let (got, computed) = (u32::from_le_bytes(*held), read.clone().finalize());
                if got == computed { Ok(true) } else { Err(MalformedStream::BadCrc { got, computed }.into()) }
            }
        }
    }
}

/// Appends a server's quick ack without padding.
fn quick_ack_into(out: &mut Vec<u8>, framing: Framing, token: QuickAckToken) {
    let token = token.to_raw();
    match framing {
        Framing::Abridged => out.extend_from_slice(&token.to_be_bytes()),
        Framing::Intermediate => out.extend_from_slice(&token.to_le_bytes()),
        Framing::PaddedIntermediate => {
            out.extend_from_slice(&[8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
            out.extend_from_slice(&token.to_le_bytes());
        }
        // It has none.
        Framing::Full => {}
    }
}
