//! What needs the operating system: its clock and its randomness.

use alloc::vec::Vec;

use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, GZIP_PACKED, MsgId, UnixTime, WriteError, constructor_id};
use chappe_tl::{RemoteCall, Serializable};

use super::EncryptedSession;
use crate::error::UnpackError;
use crate::message::Message;

/// With the clock and the randomness of the operating system.
impl EncryptedSession {
    /// Starts a session under an `auth_key` with what the handshake gave: salt, and time offset in seconds.
    ///
    /// # Panics
    ///
    /// Panics if the operating system has no randomness: without it no message is safe (SEC-01).
    pub fn new(auth_key: impl Into<AuthKey>, first_salt: i64, time_offset: i32) -> Self {
        let mut rng = os_rng();
        let mut session = Self::with_rng(auth_key, first_salt, time_offset, &mut rng);
        session.rng = Some(rng);
        session
    }

    /// Seals a call; returns the frame for the transport.
    ///
    /// A call that cannot be encoded or is too long for a frame gives no bytes;
    /// [`EncryptedSession::pack_into`] says why.
    pub fn pack<R: RemoteCall>(&mut self, call: &R) -> Vec<u8> {
        self.pack_with_msg_id(call).0
    }

    /// Seals any object; as [`EncryptedSession::pack`].
    pub fn pack_serializable<S: Serializable + ?Sized>(&mut self, object: &S) -> Vec<u8> {
        self.pack_by_system(|session, now, rng, out| session.pack_into(object, now, rng, out)).0
    }

    /// Seals a call; returns the frame and the id to recognise the answer by.
    pub fn pack_with_msg_id<R: RemoteCall>(&mut self, call: &R) -> (Vec<u8>, i64) {
        self.pack_by_system(|session, now, rng, out| session.pack_into(call, now, rng, out))
    }

    /// Seals several objects into one container; returns the frame and the ids of the messages in it.
    ///
    /// # Errors
    ///
    /// As for [`EncryptedSession::pack_container_into`].
    pub fn pack_container<B: AsRef<[u8]>>(
        &mut self,
        bodies: &[B],
    ) -> Result<(Vec<u8>, Vec<i64>), WriteError> {
        let mut ids = Vec::with_capacity(bodies.len());
        let mut failed = None;
        let bodies = bodies.iter().map(AsRef::as_ref);
        let (frame, _) = self.pack_by_system(|session, now, rng, out| {
            session
                .pack_container_into(bodies, now, rng, out, &mut ids)
                .inspect_err(|error| failed = Some(error.clone()))
        });
        match failed {
            Some(error) => Err(error),
            None => Ok((frame, ids.into_iter().map(MsgId::to_raw).collect())),
        }
    }

    /// Seals acknowledgements for what was unpacked since the last time; `None` if nothing waits.
    pub fn pack_acks(&mut self) -> Option<Vec<u8>> {
        if self.acks.is_empty() {
            return None;
        }
        let (frame, _) = self.pack_by_system(|session, now, rng, out| {
            Ok(session.pack_acks_into(now, rng, out)?.unwrap_or(MsgId::from_raw(0)))
        });
        Some(frame)
    }

    /// Opens and checks a frame from the transport, and returns its message.
    ///
    /// A container is returned whole ([`Message::messages`] opens it), a `gzip_packed` object unpacked.
    /// The salt of `bad_server_salt` and the server's time are recorded.
    ///
    /// # Errors
    ///
    /// As for [`EncryptedSession::unpack_each`].
    pub fn unpack(&mut self, frame: &mut [u8]) -> Result<Message, UnpackError> {
        let mut message = self.unpack_with(UnixTime::now(), frame)?.to_message();
        if constructor_id(&message.body)? == GZIP_PACKED {
            message.body = self.unpacked(&message.body)?.to_vec();
        }
        Ok(message)
    }

    /// Opens and checks a frame from the transport, and returns all messages in it, unpacked.
    ///
    /// # Errors
    ///
    /// As for [`EncryptedSession::unpack_each`].
    pub fn unpack_all(&mut self, frame: &mut [u8]) -> Result<Vec<Message>, UnpackError> {
        let mut messages = Vec::new();
        self.unpack_each(UnixTime::now(), frame, |message| messages.push(message.to_message()))?;
        Ok(messages)
    }

    fn pack_by_system(
        &mut self,
        pack: impl FnOnce(&mut Self, UnixTime, &mut Drbg, &mut FrameBuf) -> Result<MsgId, WriteError>,
    ) -> (Vec<u8>, i64) {
        let mut rng = self.rng.take().unwrap_or_else(os_rng);
        let mut out = FrameBuf::new();
        let packed = pack(self, UnixTime::now(), &mut rng, &mut out);
        self.rng = Some(rng);
        packed.map_or_else(|_| (Vec::new(), 0), |msg_id| (out.as_slice().to_vec(), msg_id.to_raw()))
    }
}

fn os_rng() -> Drbg {
    Drbg::from_os().expect("the operating system has randomness")
}
