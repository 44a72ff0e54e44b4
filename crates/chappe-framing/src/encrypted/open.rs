//! Reading encrypted messages.

use core::ops::Range;

use chappe_crypto::{AuthKey, MsgKey, QuickAckToken, Side, message};

use super::padding::ACCEPTED;
use super::{BLOCK, INNER_HEADER_LEN, MIN_FRAME_LEN, OUTER_HEADER_LEN, auth_key_id, inner, outer};
use crate::message::{array, checked_body_len};
use crate::{
    FrameError, MalformedFrame, MessageHeader, MsgId, MsgOrigin, PeerMisbehaved, SeqNo, ServerSalt, SessionId,
};

/// Whether the transport may append bytes to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportTail {
    /// The frame ends where the message ends: abridged, intermediate, full, HTTP, WebSocket.
    None,
    /// Up to 15 random bytes follow: padded intermediate. [`open`] cuts the encrypted part to whole blocks.
    Padded,
}

/// Decrypts, in place, a frame that `from` wrote.
///
/// Checks, in this order (SEC-61 to SEC-67): length of the frame, `auth_key_id`, whole blocks,
/// `msg_key`, length of the body, length of the padding. If `msg_key` does not match, the decrypted bytes are wiped.
/// [`Opened`] has the checks of `session_id` and `msg_id`.
///
/// # Errors
///
/// On any error discard the frame, use nothing of it, and close the connection. For
/// [`PeerMisbehaved::UnknownAuthKey`] a server answers with the transport error -404 instead.
pub fn open<'a>(
    key: &AuthKey,
    from: Side,
    tail: TransportTail,
    frame: &'a mut [u8],
) -> Result<Opened<'a>, FrameError> {
    let len = checked_len(key, tail, frame)?;
    let (msg_key, ciphertext) = split_frame(frame, len);
    match message::open(key, from, &msg_key, ciphertext) {
        Ok(quick_ack) => Opened::new_checked(ciphertext, quick_ack),
        Err(_) => Err(MalformedFrame::MsgKeyMismatch.into()),
    }
}

/// Checks the frame before decryption. Returns its length without the tail.
pub(super) fn checked_len(key: &AuthKey, tail: TransportTail, frame: &[u8]) -> Result<usize, FrameError> {
    if frame.len() < MIN_FRAME_LEN {
        return Err(MalformedFrame::TooShort { len: frame.len(), min: MIN_FRAME_LEN }.into());
    }
    let got = auth_key_id(frame)?;
    // Key id 0 marks a plain message, which only the handshake may use.
    // <https://core.telegram.org/mtproto/description#unencrypted-message>
    if got.is_zero() {
        return Err(PeerMisbehaved::PlainNotAllowed.into());
    }
    // Compared before decryption: under another key the bytes would only become noise.
    if got != key.id() {
        return Err(PeerMisbehaved::UnknownAuthKey { got }.into());
    }
    let len = frame.len() - OUTER_HEADER_LEN;
    // IGE has no partial blocks. Only padded intermediate appends bytes that belong to no block.
    match (len % BLOCK, tail) {
        (0, _) => Ok(frame.len()),
        (over, TransportTail::Padded) => Ok(frame.len() - over),
        (_, TransportTail::None) => Err(MalformedFrame::UnalignedCiphertext { len }.into()),
    }
}

/// Splits a frame whose length was checked.
pub(super) fn split_frame(frame: &mut [u8], len: usize) -> (MsgKey, &mut [u8]) {
    let (header, ciphertext) = frame[..len].split_at_mut(OUTER_HEADER_LEN);
    (MsgKey::from_bytes(array(&header[outer::MSG_KEY])), ciphertext)
}

/// A decrypted and checked message, as a view of the frame's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    salt: ServerSalt,
    session_id: SessionId,
    message: MessageHeader,
    body: &'a [u8],
    quick_ack: QuickAckToken,
}

impl<'a> Opened<'a> {
    /// Checks lengths. The caller has compared `msg_key`.
    pub(super) fn new_checked(plaintext: &'a [u8], quick_ack: QuickAckToken) -> Result<Self, FrameError> {
        let (header, rest) = plaintext
            .split_first_chunk::<INNER_HEADER_LEN>()
            .ok_or(MalformedFrame::TooShort { len: plaintext.len(), min: INNER_HEADER_LEN })?;
        // The lengths are authenticated now, but the peer itself can be wrong or hostile.
        // <https://core.telegram.org/mtproto/security_guidelines#checking-message-length>
        let (message, claimed) = MessageHeader::from_bytes(&array(&header[inner::MESSAGE]));
        let (body, padding) = rest.split_at(checked_body_len(claimed, rest.len())?);
        if !ACCEPTED.contains(&padding.len()) {
            return Err(MalformedFrame::BadPadding { len: padding.len() }.into());
        }
        Ok(Self {
            salt: ServerSalt::from_raw(i64::from_le_bytes(array(&header[inner::SALT]))),
            session_id: SessionId::from_raw(i64::from_le_bytes(array(&header[inner::SESSION_ID]))),
            message,
            body,
            quick_ack,
        })
    }

    /// Returns the salt of the message.
    pub const fn salt(&self) -> ServerSalt {
        self.salt
    }

    /// Returns the session of the message.
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Returns identifier and number of the message.
    pub const fn header(&self) -> MessageHeader {
        self.message
    }

    /// Returns the identifier of the message.
    pub const fn msg_id(&self) -> MsgId {
        self.message.msg_id
    }

    /// Returns the number of the message.
    pub const fn seq_no(&self) -> SeqNo {
        self.message.seq_no
    }

    /// Returns the object.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Returns the range of the object in the frame.
    pub const fn body_range(&self) -> Range<usize> {
        const START: usize = OUTER_HEADER_LEN + INNER_HEADER_LEN;
        START..START + self.body.len()
    }

    /// Returns the token of a quick acknowledgement of this frame.
    pub const fn quick_ack(&self) -> QuickAckToken {
        self.quick_ack
    }

    /// Checks that the message belongs to the session `expected` (SEC-68).
    ///
    /// # Errors
    ///
    /// [`PeerMisbehaved::ForeignSession`] if it names another one.
    pub fn require_session(&self, expected: SessionId) -> Result<(), FrameError> {
        if self.session_id == expected {
            return Ok(());
        }
        Err(PeerMisbehaved::ForeignSession { got: self.session_id }.into())
    }

    /// Checks that the message names a session (SEC-69). A server answers session zero with -404.
    ///
    /// # Errors
    ///
    /// [`PeerMisbehaved::ZeroSession`] if it names session zero.
    pub fn require_named_session(&self) -> Result<(), FrameError> {
        if self.session_id.is_zero() { Err(PeerMisbehaved::ZeroSession.into()) } else { Ok(()) }
    }

    /// Checks that the low bits of `msg_id` are those of the side that wrote it.
    ///
    /// A client discards the frame (SEC-70); a server answers with `bad_msg_notification` 18
    /// (SEC-71).
    ///
    /// # Errors
    ///
    /// [`PeerMisbehaved::BadOrigin`] if they are not.
    pub fn require_origin(&self, from: Side) -> Result<(), FrameError> {
        let msg_id = self.msg_id();
        // The two lowest bits separate the directions, so a message cannot be reflected to its writer.
        // <https://core.telegram.org/mtproto/description#message-identifier-msg-id>
        let fits = match from {
            Side::Client => msg_id.origin() == Some(MsgOrigin::Client),
            Side::Server => msg_id.origin().is_some_and(MsgOrigin::is_server),
        };
        if fits { Ok(()) } else { Err(PeerMisbehaved::BadOrigin { msg_id }.into()) }
    }
}
