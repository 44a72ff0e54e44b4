//! Writing encrypted messages.

use chappe_crypto::{AuthKey, QuickAckToken, Side, message};
use rand_core::CryptoRng;

use super::{INNER_HEADER_LEN, Padding, inner};
use crate::{FrameBuf, MessageHeader, ServerSalt, SessionId, WriteError};

/// The fields in front of the body of an encrypted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptedHeader {
    /// The server's salt.
    pub salt: ServerSalt,
    /// The session the message belongs to.
    pub session_id: SessionId,
    /// Identifier and number of the message.
    pub message: MessageHeader,
}

/// Writes one encrypted message into a [`FrameBuf`].
///
/// Append the body to [`body`](Self::body), then call [`seal`](Self::seal). With the feature `batch`, several
/// [`prepared`](Self::prepare) messages can be sealed together by `seal_many`.
#[derive(Debug)]
#[must_use = "nothing is encrypted before `seal`"]
pub struct EncryptedWriter<'a> {
    buf: &'a mut FrameBuf,
}

impl<'a> EncryptedWriter<'a> {
    /// Clears the buffer. Its headroom is the place of both headers.
    #[inline]
    pub fn begin(buf: &'a mut FrameBuf) -> Self {
        buf.clear();
        Self { buf }
    }

    /// Returns the buffer. The caller appends the body.
    pub fn body(&mut self) -> &mut FrameBuf {
        self.buf
    }

    /// Writes the inner header in front of the body and random padding after it.
    ///
    /// # Errors
    ///
    /// [`WriteError::UnsendableBody`] if the body is empty, not a multiple of 4 bytes, or too long.
    #[inline]
    pub fn prepare(
        self,
        header: EncryptedHeader,
        padding: Padding,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Prepared<'a>, WriteError> {
        let Self { buf } = self;
        let body_len = buf.len();
        let EncryptedHeader { salt, session_id, message: MessageHeader { msg_id, seq_no } } = header;
        let message = MessageHeader::encode(msg_id, seq_no, body_len)?;
        let mut bytes = [0; INNER_HEADER_LEN];
        bytes[inner::SALT].copy_from_slice(&salt.to_raw().to_le_bytes());
        bytes[inner::SESSION_ID].copy_from_slice(&session_id.to_raw().to_le_bytes());
        bytes[inner::MESSAGE].copy_from_slice(&message);
        buf.prepend(&bytes);
        let padding_len = padding.choose(body_len, rng);
        // Random bytes: `msg_key` covers the padding, so equal messages get different keys.
        // <https://core.telegram.org/mtproto/description#message-key-msg-key>
        rng.fill_bytes(buf.append_zeroed(padding_len));
        Ok(Prepared { buf })
    }

    /// Writes both headers, pads and encrypts in place. The buffer then holds the whole frame.
    ///
    /// Returns the token of a quick acknowledgement of this frame.
    ///
    /// # Errors
    ///
    /// [`WriteError::UnsendableBody`] if the body is empty, not a multiple of 4 bytes, or too long.
    #[inline]
    pub fn seal(
        self,
        key: &AuthKey,
        from: Side,
        header: EncryptedHeader,
        padding: Padding,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<QuickAckToken, WriteError> {
        Ok(self.prepare(header, padding, rng)?.seal(key, from))
    }
}

/// A message with its inner header and padding, before encryption.
#[derive(Debug)]
#[must_use = "nothing is encrypted before `seal`"]
pub struct Prepared<'a> {
    pub(super) buf: &'a mut FrameBuf,
}

impl Prepared<'_> {
    /// Encrypts in place and writes the outer header in front.
    #[inline]
    pub fn seal(self, key: &AuthKey, from: Side) -> QuickAckToken {
        let sealed = message::seal(key, from, self.buf.as_mut_slice()).expect(ALIGNED);
        finish(self.buf, key, &sealed)
    }
}

/// Writes the outer header in front of the ciphertext.
#[inline]
pub(super) fn finish(buf: &mut FrameBuf, key: &AuthKey, sealed: &message::Sealed) -> QuickAckToken {
    // Each call writes in front of the one before, so the last field comes first.
    buf.prepend(sealed.msg_key.as_bytes());
    buf.prepend(key.id().as_bytes());
    sealed.quick_ack
}

pub(super) const ALIGNED: &str = "`prepare` made whole blocks of header, body and padding";
