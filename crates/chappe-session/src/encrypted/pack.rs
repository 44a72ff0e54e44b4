//! Packing: number, seal, remember.

use alloc::vec::Vec;

use chappe_crypto::Side;
use chappe_framing::{
    ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, MSG_CONTAINER, MessageHeader, MsgId,
    MsgOrigin, SeqNo, ServerSalt, UnixTime, WriteError, constructor_id,
};
use chappe_tl::{Identifiable, Serializable};
use chappe_tl_mtproto::types;
use rand_core::CryptoRng;

use super::{EncryptedSession, SENT_IDS};
use crate::MAX_IDS_PER_LIST;
use crate::service::write_ids;

impl EncryptedSession {
    /// Seals a call, or any other object, into the caller's buffer. Allocates nothing once the buffer has grown.
    ///
    /// `msgs_ack` and the other objects that need no acknowledgement get an even sequence number, all
    /// others an odd one.
    ///
    /// # Errors
    ///
    /// Fails if the object cannot be encoded or is longer than a frame can be; the session is unchanged then.
    pub fn pack_into<S: Serializable + ?Sized>(
        &mut self,
        object: &S,
        now: UnixTime,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Result<MsgId, WriteError> {
        let mut writer = EncryptedWriter::begin(out);
        object.serialize(writer.body())?;
        let body = writer.body().as_slice();
        let content_related = needs_ack(body)?;
        // Fails for a body that cannot be sent, before a number is used up for it.
        MessageHeader { msg_id: MsgId::from_raw(0), seq_no: SeqNo::from_raw(0) }.to_bytes(body.len())?;
        let message = self.number(now, content_related);
        let header = self.header(message);
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(message.msg_id)
    }

    /// Seals an object that has to know the id of its own message, as `auth.bindTempAuthKey` has to.
    ///
    /// # Errors
    ///
    /// The outer error is that of [`EncryptedSession::pack_into`], the inner one that of `build`. An id that was
    /// given out for nothing stays unused.
    pub fn pack_built_into<S: Serializable, R: CryptoRng + ?Sized, E>(
        &mut self,
        now: UnixTime,
        rng: &mut R,
        out: &mut FrameBuf,
        build: impl FnOnce(MsgId, &mut R) -> Result<S, E>,
    ) -> Result<Result<MsgId, E>, WriteError> {
        let msg_id = self.next_id(now);
        let object = match build(msg_id, rng) {
            Ok(object) => object,
            Err(error) => return Ok(Err(error)),
        };
        let mut writer = EncryptedWriter::begin(out);
        object.serialize(writer.body())?;
        let content_related = needs_ack(writer.body().as_slice())?;
        let seq_no = self.next_seq_no(content_related);
        let header = self.header(MessageHeader { msg_id, seq_no });
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(Ok(msg_id))
    }

    /// Seals several objects into one container; the ids of the messages are appended to `ids`.
    ///
    /// # Errors
    ///
    /// Fails if there are more than 1020 bodies, or if one is empty, not a multiple of four bytes, or itself a
    /// container. Numbers that were given out then stay unused.
    pub fn pack_container_into<'b>(
        &mut self,
        bodies: impl IntoIterator<Item = &'b [u8]>,
        now: UnixTime,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
        ids: &mut Vec<MsgId>,
    ) -> Result<MsgId, WriteError> {
        let mut writer = EncryptedWriter::begin(out);
        let mut container = ContainerWriter::begin(writer.body());
        for body in bodies {
            let message = self.number(now, needs_ack(body)?);
            container.push(message, body)?;
            ids.push(message.msg_id);
        }
        container.finish();
        let message = self.number(now, false);
        let header = self.header(message);
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(message.msg_id)
    }

    /// Seals acknowledgements for what was unpacked since the last time; `None` if nothing waits.
    ///
    /// # Errors
    ///
    /// Cannot fail for a list of this length; the result is that of sealing.
    pub fn pack_acks_into(
        &mut self,
        now: UnixTime,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Result<Option<MsgId>, WriteError> {
        if self.acks.is_empty() {
            return Ok(None);
        }
        let mut writer = EncryptedWriter::begin(out);
        let count = self.acks.len().min(MAX_IDS_PER_LIST);
        write_ids(writer.body(), types::MsgsAck::CONSTRUCTOR_ID, self.acks.drain(..count));
        let message = self.number(now, false);
        let header = self.header(message);
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(Some(message.msg_id))
    }

    fn number(&mut self, now: UnixTime, content_related: bool) -> MessageHeader {
        MessageHeader { msg_id: self.next_id(now), seq_no: self.next_seq_no(content_related) }
    }

    fn next_id(&mut self, now: UnixTime) -> MsgId {
        let msg_id = self.ids.next(self.server_time(now), MsgOrigin::Client);
        if self.sent.len() == SENT_IDS {
            self.sent.pop_front();
        }
        self.sent.push_back(msg_id);
        msg_id
    }

    const fn next_seq_no(&mut self, content_related: bool) -> SeqNo {
        if content_related { self.seq.next_content_related() } else { self.seq.next_unrelated() }
    }

    fn header(&self, message: MessageHeader) -> EncryptedHeader {
        EncryptedHeader { salt: ServerSalt::from_raw(self.salt), session_id: self.session_id, message }
    }
}

/// Tells whether an object needs an acknowledgement, by its constructor (messages, section 5).
fn is_content_related(constructor: u32) -> bool {
    !matches!(
        constructor,
        types::MsgsAck::CONSTRUCTOR_ID
            | MSG_CONTAINER
            | types::HttpWait::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
            | types::MsgsAllInfo::CONSTRUCTOR_ID
    )
}

/// Returns whether the object of a message is content-related, so that the peer must acknowledge it.
fn needs_ack(body: &[u8]) -> Result<bool, WriteError> {
    let id = constructor_id(body).map_err(|_| WriteError::UnsendableBody { len: body.len() })?;
    Ok(is_content_related(id))
}
