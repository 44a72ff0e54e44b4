//! The kind of a payload, determined by its length and first bytes.
//!
//! Short payloads are not envelopes (`SEC-132`): they are transport errors, quick acks or keep-alives. On the padded
//! transport, the length of an envelope is determined from its content.
//!
//! Not here: opening the envelope.

use chappe_crypto::{QuickAckToken, Side};

use crate::error::{MalformedStream, TransportError};
use crate::framing::{Framing, MAX_PADDING};
use chappe_types::TransportErrorCode;

/// Length of the shortest plain envelope: `auth_key_id`, `msg_id`, length and one word.
pub(crate) const MIN_ENVELOPE: usize = 24;

/// Length of `auth_key_id` and `msg_key` in front of the encrypted part.
const ENCRYPTED_HEAD: usize = 24;

/// Length of a plain envelope's head.
const PLAIN_HEAD: usize = 20;

/// The kind of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An envelope whose `auth_key_id` is zero.
    Plain,
    /// An envelope with an `auth_key_id`.
    Encrypted,
    /// No operation: some servers send it to keep a connection open.
    Nop,
    /// A quick ack of the padded transport, with its token. Ignore unknown tokens (`SEC-133`).
    QuickAck(QuickAckToken),
    /// A transport error. It is unauthenticated (`SEC-134`).
    Error(TransportErrorCode),
}

impl Payload {
    /// Returns the kind of a `payload` that `from` wrote on a transport of `framing`.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::ShortPayload`] if it is too short for an envelope and of no other kind. A server may answer with
    /// [`TransportErrorCode::UnknownAuthKey`] before it closes the connection.
    pub fn classify(payload: &[u8], from: Side, framing: Framing) -> Result<Self, TransportError> {
        let len = payload.len();
        let short = TransportError::Malformed(MalformedStream::ShortPayload { len });
        let first = word(payload, 0).ok_or(short)? as i32;
        // No envelope is shorter, and errors and acknowledgements never are as long.
        if len >= MIN_ENVELOPE {
            return Ok(if payload[..8] == [0; 8] { Self::Plain } else { Self::Encrypted });
        }
        // A word, and on the padded transport up to 15 bytes of padding. Otherwise servers that pad all the same are tolerated
        // up to the length at which an envelope could begin.
        let max = if framing == Framing::PaddedIntermediate { 4 + MAX_PADDING } else { 15 };
        if len <= max && first == 0 {
            return Ok(Self::Nop);
        }
        // Only servers send errors and acknowledgements.
        if from == Side::Client {
            return Err(short);
        }
        if framing == Framing::PaddedIntermediate
            // A quick acknowledgement in padded framing: -1, the token, padding.
            && first == -1
            && len <= 16
            && let Some(token) = word(payload, 4)
        {
            return Ok(Self::QuickAck(QuickAckToken::from_raw(token)));
        }
        if len <= max && first < 0 {
            Ok(Self::Error(TransportErrorCode::from_raw(first)))
        } else {
            Err(short)
        }
    }
}

/// Returns the length of the envelope in a frame of the padded transport, whose padding is 0 to 15 bytes.
///
/// A plain envelope contains its length; an encrypted one ends at the last whole block. Returns the length of the frame if it
/// is too short for an envelope, or if a plain envelope claims more bytes than it has: the next layer rejects it.
pub fn unpadded_len(frame: &[u8]) -> usize {
    unpadded_len_of(frame, frame.len())
}

/// As [`unpadded_len`], of a frame of `len` bytes that begins with `start`: at least [`MIN_ENVELOPE`] bytes of it, or all.
pub(crate) fn unpadded_len_of(start: &[u8], len: usize) -> usize {
    if start.len() < MIN_ENVELOPE {
        return len;
    }
    // Encrypted data is whole AES blocks, so what exceeds them is padding of the transport.
    if start[..8] != [0; 8] {
        return len - (len - ENCRYPTED_HEAD) % 16;
    }
    let body = word(start, 16).unwrap_or(u32::MAX) as usize;
    PLAIN_HEAD.checked_add(body).filter(|total| *total <= len).unwrap_or(len)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}
