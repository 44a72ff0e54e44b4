//! Full: length, number, payload, CRC-32 of all three.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports#full>.

use super::{AckRequest, Affixes, Head};
use crate::error::{MalformedStream, TransportError, TransportMisuse};

const HEAD: usize = 8;
const CRC: usize = 4;
const FIELDS: usize = HEAD + CRC;

pub(super) fn encode(payload: &[u8], seq_no: u32) -> Result<Affixes, TransportError> {
    let mut affixes = encode_head(payload.len(), seq_no)?;
    let crc = crc(&[affixes.head(), payload]);
    affixes.tail[..CRC].copy_from_slice(&crc.to_le_bytes());
    affixes.tail_len = CRC as u8;
    Ok(affixes)
}

/// The head of a frame whose checksum is computed later.
pub(super) fn encode_head(len: usize, seq_no: u32) -> Result<Affixes, TransportError> {
    // The announced length covers length, number and checksum as well.
    let announced = u32::try_from(len + FIELDS)
        .map_err(|_| TransportError::Misuse(TransportMisuse::PayloadLength { len }))?;
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&announced.to_le_bytes());
    head[4..].copy_from_slice(&seq_no.to_le_bytes());
    Ok(Affixes::with_head(&head))
}

pub(super) fn head(input: &[u8], expected: u32, max: usize) -> Result<Head, TransportError> {
    let Some(&[a, b, c, d]) = input.first_chunk::<4>() else {
        return Ok(Head::Incomplete { needed: HEAD });
    };
    let announced = u32::from_le_bytes([a, b, c, d]) as usize;
    check(announced, max)?;
    let Some(&[.., w, x, y, z]) = input.first_chunk::<HEAD>() else {
        return Ok(Head::Incomplete { needed: HEAD });
    };
    let got = u32::from_le_bytes([w, x, y, z]);
    // Frames are numbered from 0 per connection and direction. A gap means that the stream is out of step.
    if got != expected {
        return Err(MalformedStream::BadSeqNo { got, expected }.into());
    }
    Ok(Head::Frame { head: HEAD, len: announced - FIELDS, tail: CRC, ack: AckRequest::No })
}

/// Minimum length: the frame's own fields and a payload.
const fn check(announced: usize, max: usize) -> Result<(), TransportError> {
    if announced < FIELDS {
        return Err(TransportError::Malformed(MalformedStream::FrameTooShort { len: announced }));
    }
    if !announced.is_multiple_of(4) {
        return Err(TransportError::Malformed(MalformedStream::FrameUnaligned { len: announced }));
    }
    super::check_len(announced - FIELDS, max)
}

/// Compares the checksum of everything in front of it with the one that was sent.
pub(super) fn check_crc(covered: &[u8], sent: &[u8]) -> Result<(), TransportError> {
    let computed = crc(&[covered]);
    match sent.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)) {
        Some(got) if got == computed => Ok(()),
        got => Err(MalformedStream::BadCrc { got: got.unwrap_or_default(), computed }.into()),
    }
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}
