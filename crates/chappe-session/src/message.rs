//! A message, for callers who pack and unpack step by step.

use alloc::vec::Vec;

use chappe_crypto::Side;
use chappe_framing::{Container, FrameError, MSG_CONTAINER, MsgId, constructor_id};

/// A plain message that [`Session::pack`](crate::Session::pack) made, or one that
/// [`EncryptedSession::unpack`](crate::EncryptedSession::unpack) decrypted.
///
/// The fields are the raw numbers of the wire, which code written against other libraries expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Salt that the server used; 0 for a plain message.
    pub salt: i64,
    /// Identifier of the message.
    pub msg_id: i64,
    /// Its sequence number. A plain message does not carry it.
    pub seq_no: i32,
    /// The TL object, constructor id first.
    pub body: Vec<u8>,
}

impl Message {
    /// Creates a plain message.
    pub const fn plaintext(msg_id: MsgId, seq_no: i32, body: Vec<u8>) -> Self {
        Self { salt: 0, msg_id: msg_id.to_raw(), seq_no, body }
    }

    /// Returns the identifier as a type.
    pub const fn id(&self) -> MsgId {
        MsgId::from_raw(self.msg_id)
    }

    /// Encodes a plain message: `auth_key_id` 0 (8 bytes), `msg_id` (8), length (4), body; all numbers little endian.
    ///
    /// Only objects of the handshake may be sent in plain (SEC-09).
    pub fn to_plaintext_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + self.body.len());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&self.msg_id.to_le_bytes());
        bytes.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Returns the messages of a container from the server, or the message itself if it is no container.
    ///
    /// [`EncryptedSession::unpack_all`](crate::EncryptedSession::unpack_all) does the same and drops duplicates.
    ///
    /// # Errors
    ///
    /// Fails if the container is malformed; then none of it may be used.
    pub fn messages(&self) -> Result<Vec<Self>, FrameError> {
        if constructor_id(&self.body)? != MSG_CONTAINER {
            return Ok(alloc::vec![self.clone()]);
        }
        let container = Container::new_checked(&self.body, self.id(), Side::Server)?;
        let inner = container.iter().map(|message| Self {
            salt: self.salt,
            msg_id: message.header.msg_id.to_raw(),
            seq_no: message.header.seq_no.to_raw(),
            body: message.body.to_vec(),
        });
        Ok(inner.collect())
    }
}
