//! The header in front of every message body, alone or in a container.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#simple-container>.

use crate::{FrameError, MalformedFrame, MsgId, SeqNo, WriteError};

mod field {
    use core::ops::Range;
    pub(super) const MSG_ID: Range<usize> = 0..8;
    pub(super) const SEQ_NO: Range<usize> = MSG_ID.end..12;
    pub(super) const BODY_LEN: Range<usize> = SEQ_NO.end..16;
}

/// Identifier and number of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageHeader {
    /// Identifier of the message.
    pub msg_id: MsgId,
    /// Its number among the content-related messages of the session.
    pub seq_no: SeqNo,
}

impl MessageHeader {
    /// Length on the wire: `msg_id` 8, `seqno` 4, `bytes` 4.
    pub const LEN: usize = field::BODY_LEN.end;

    /// Writes the bare `message` header for a body of `body_len` bytes.
    ///
    /// # Errors
    ///
    /// [`WriteError::UnsendableBody`] if the body is empty, not a multiple of 4, or above
    /// [`MAX_BODY_LEN`].
    #[inline]
    pub fn to_bytes(self, body_len: usize) -> Result<[u8; Self::LEN], WriteError> {
        Self::encode(self.msg_id, self.seq_no, body_len)
    }

    /// [`to_bytes`](Self::to_bytes) of the single fields. Reading a whole header right after its fields were written one by
    /// one stalls the processor (store forwarding).
    #[inline]
    pub(crate) fn encode(
        msg_id: MsgId,
        seq_no: SeqNo,
        body_len: usize,
    ) -> Result<[u8; Self::LEN], WriteError> {
        // A TL object is a sequence of 4-byte words, the first of which is its constructor id.
        // <https://core.telegram.org/mtproto/serialize>
        if body_len == 0 || !body_len.is_multiple_of(4) || body_len > MAX_BODY_LEN {
            return Err(WriteError::UnsendableBody { len: body_len });
        }
        let mut bytes = [0; Self::LEN];
        bytes[field::MSG_ID].copy_from_slice(&msg_id.to_bytes());
        bytes[field::SEQ_NO].copy_from_slice(&seq_no.to_raw().to_le_bytes());
        bytes[field::BODY_LEN].copy_from_slice(&(body_len as u32).to_le_bytes());
        Ok(bytes)
    }

    /// Reads a header. The length of the body is unchecked.
    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8; Self::LEN]) -> (Self, i32) {
        let msg_id = MsgId::from_bytes(array(&bytes[field::MSG_ID]));
        let seq_no = SeqNo::from_raw(i32::from_le_bytes(array(&bytes[field::SEQ_NO])));
        (Self { msg_id, seq_no }, i32::from_le_bytes(array(&bytes[field::BODY_LEN])))
    }
}

/// Longest body that can be sent. With headers and padding it stays within the 2^24 - 1 bytes that every transport can
/// frame.
pub const MAX_BODY_LEN: usize = (1 << 24) - 4096;

/// Checks a length field: at least 4, a multiple of 4, at most `available`.
#[inline]
pub(crate) fn checked_body_len(claimed: i32, available: usize) -> Result<usize, FrameError> {
    match usize::try_from(claimed) {
        // A length that is no multiple of 4 must be refused, not rounded.
        // <https://core.telegram.org/mtproto/security_guidelines#checking-message-length>
        Ok(len) if len >= 4 && len.is_multiple_of(4) && len <= available => Ok(len),
        _ => Err(MalformedFrame::BadBodyLen { claimed, available }.into()),
    }
}

/// Reads the constructor id at the start of an object.
///
/// # Errors
///
/// [`MalformedFrame::TooShort`] if there are fewer than four bytes.
#[inline]
pub fn constructor_id(object: &[u8]) -> Result<u32, FrameError> {
    let id = object.first_chunk().ok_or(MalformedFrame::TooShort { len: object.len(), min: 4 })?;
    Ok(u32::from_le_bytes(*id))
}

/// Turns a field whose range is as wide as the array into that array.
#[inline]
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("field range is as wide as its type")
}
