//! Plain messages: the envelope of the handshake, before there is a key.
//!
//! [`write_plain`] writes the header in front of an object, [`PlainMessage::new_checked`] reads it. The public datacenters and
//! one official client append random bytes to the object, inside the declared length. Only this module accepts such a tail
//! (SEC-12).
//!
//! Not here: the handshake itself.
//! **Invariant:** only objects of the handshake are accepted in plain form (SEC-09).
//!
//! Spec: <https://core.telegram.org/mtproto/description#unencrypted-message>.

use crate::{FrameBuf, FrameError, MalformedFrame, MsgId, MsgOrigin, PeerMisbehaved, WriteError};
use chappe_crypto::{AuthKeyId, Side};
use chappe_tl::deserialize::Cursor;
use chappe_tl::{Deserializable, Identifiable, Serializable};
use chappe_tl_mtproto::{functions, types};

use crate::message::{array, constructor_id};

mod field {
    use core::ops::Range;
    pub(super) const AUTH_KEY_ID: Range<usize> = 0..8;
    pub(super) const MSG_ID: Range<usize> = AUTH_KEY_ID.end..16;
    pub(super) const BODY_LEN: Range<usize> = MSG_ID.end..20;
}

/// Length of the plain header: `auth_key_id` = 0 (8 bytes), `msg_id` (8), length of the body (4).
pub const PLAIN_HEADER_LEN: usize = field::BODY_LEN.end;

/// Writes an object as a plain message. Drops the content of `buf`.
///
/// # Errors
///
/// [`WriteError::Encode`] if the object cannot be encoded.
pub fn write_plain(
    buf: &mut FrameBuf,
    msg_id: MsgId,
    object: &(impl Serializable + ?Sized),
) -> Result<(), WriteError> {
    buf.clear();
    object.serialize(buf)?;
    seal(buf, msg_id)
}

/// Writes the bytes of a serialised object as a plain message. Drops the content of `buf`.
///
/// # Errors
///
/// [`WriteError::UnsendableBody`] if there are fewer than four bytes.
pub fn write_plain_bytes(buf: &mut FrameBuf, msg_id: MsgId, object: &[u8]) -> Result<(), WriteError> {
    buf.clear();
    buf.append(object);
    seal(buf, msg_id)
}

/// Writes the plain header in front of the object in `buf`.
fn seal(buf: &mut FrameBuf, msg_id: MsgId) -> Result<(), WriteError> {
    let len = buf.len();
    if !(4..=crate::MAX_BODY_LEN).contains(&len) {
        return Err(WriteError::UnsendableBody { len });
    }
    let mut header = [0; PLAIN_HEADER_LEN];
    header[field::MSG_ID].copy_from_slice(&msg_id.to_bytes());
    header[field::BODY_LEN].copy_from_slice(&(len as u32).to_le_bytes());
    buf.prepend(&header);
    Ok(())
}

/// A plain message with a checked header and an object of the handshake.
#[derive(Clone, Copy, Debug)]
pub struct PlainMessage<'a> {
    msg_id: MsgId,
    body: &'a [u8],
}

impl<'a> PlainMessage<'a> {
    /// Checks the header and the kind of object of a frame that `from` wrote.
    ///
    /// Bytes after the declared length are padding of the transport and are ignored. The time in the `msg_id` is not checked,
    /// because neither side's clock is known yet. The low bits of a client's `msg_id` are not checked, because some clients
    /// send zero.
    ///
    /// # Errors
    ///
    /// * [`MalformedFrame::TooShort`], [`MalformedFrame::BadBodyLen`]: the bytes are damaged (SEC-10).
    /// * [`PeerMisbehaved::NotPlain`]: the frame is encrypted.
    /// * [`PeerMisbehaved::BadOrigin`]: an answer whose `msg_id` is not 1 modulo 4 (SEC-11).
    /// * [`PeerMisbehaved::NotAHandshakeObject`]: the object may not travel in plain form (SEC-09).
    pub fn new_checked(frame: &'a [u8], from: Side) -> Result<Self, FrameError> {
        let (header, rest) = frame
            .split_first_chunk::<PLAIN_HEADER_LEN>()
            .ok_or(MalformedFrame::TooShort { len: frame.len(), min: PLAIN_HEADER_LEN })?;
        let key_id = AuthKeyId::from_bytes(array(&header[field::AUTH_KEY_ID]));
        if !key_id.is_zero() {
            return Err(PeerMisbehaved::NotPlain { got: key_id }.into());
        }
        let body = declared_body(array(&header[field::BODY_LEN]), rest)?;
        let msg_id = MsgId::from_bytes(array(&header[field::MSG_ID]));
        // Every plain message of a server answers one of the client; an id of another form is not from a server.
        if from == Side::Server && msg_id.origin() != Some(MsgOrigin::Response) {
            return Err(PeerMisbehaved::BadOrigin { msg_id }.into());
        }
        let id = constructor_id(body)?;
        // Plain messages are unauthenticated: anything but the handshake could be forged.
        if !is_handshake_object(id, from) {
            return Err(PeerMisbehaved::NotAHandshakeObject { id }.into());
        }
        Ok(Self { msg_id, body })
    }

    /// Returns the identifier of the message. Its time is unauthenticated.
    pub const fn msg_id(&self) -> MsgId {
        self.msg_id
    }

    /// Returns the object and the tail that the writer appended.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Returns the constructor id of the object.
    pub fn constructor_id(&self) -> u32 {
        constructor_id(self.body).expect("the constructor was checked to be there")
    }

    /// Reads the object from the start of the body and ignores the tail (SEC-12).
    ///
    /// # Errors
    ///
    /// [`MalformedFrame::Tl`] if the object is not a whole `T`.
    pub fn object<T: Deserializable>(&self) -> Result<T, FrameError> {
        Ok(self.object_and_bytes()?.0)
    }

    /// Reads the object as [`object`](Self::object) does, and returns its bytes without the tail.
    ///
    /// # Errors
    ///
    /// [`MalformedFrame::Tl`] if the object is not a whole `T`.
    pub fn object_and_bytes<T: Deserializable>(&self) -> Result<(T, &'a [u8]), FrameError> {
        let mut cursor = Cursor::from_slice(self.body);
        let object = T::deserialize(&mut cursor)?;
        Ok((object, &self.body[..cursor.pos()]))
    }
}

fn declared_body(len: [u8; 4], rest: &[u8]) -> Result<&[u8], FrameError> {
    let claimed = i32::from_le_bytes(len);
    // Tails of any length occur here, so the length need not be a multiple of 4, unlike in encrypted messages.
    match usize::try_from(claimed) {
        Ok(len) if len >= 4 && len <= rest.len() => Ok(&rest[..len]),
        _ => Err(MalformedFrame::BadBodyLen { claimed, available: rest.len() }.into()),
    }
}

/// Returns whether an object belongs to the handshake and `from` writes it.
const fn is_handshake_object(id: u32, from: Side) -> bool {
    match from {
        Side::Client => matches!(
            id,
            functions::ReqPq::CONSTRUCTOR_ID
                | functions::ReqPqMulti::CONSTRUCTOR_ID
                | functions::ReqDhParams::CONSTRUCTOR_ID
                | functions::SetClientDhParams::CONSTRUCTOR_ID
        ),
        Side::Server => matches!(
            id,
            types::ResPq::CONSTRUCTOR_ID
                | types::ServerDhParamsOk::CONSTRUCTOR_ID
                | types::ServerDhParamsFail::CONSTRUCTOR_ID
                | types::DhGenOk::CONSTRUCTOR_ID
                | types::DhGenRetry::CONSTRUCTOR_ID
                | types::DhGenFail::CONSTRUCTOR_ID
        ),
    }
}
