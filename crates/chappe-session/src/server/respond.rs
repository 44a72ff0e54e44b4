//! Commands: answers, updates, and what else the owner has sent.

use alloc::vec::Vec;

use chappe_framing::{MsgId, SessionId};
use chappe_tl::{Identifiable, Serializable, Sink};
use chappe_tl_mtproto::types;

use super::{RespondError, ServerSession};
use crate::service::{KeyDestruction, Status};
use crate::time::Now;

/// Most answers to service messages that wait.
const MAX_REPLIES: usize = 256;

/// Commands.
impl ServerSession {
    /// Answers a query.
    ///
    /// # Errors
    ///
    /// Fails if the object cannot be encoded, or if the client has not acknowledged enough.
    pub fn respond<S: Serializable + ?Sized>(
        &mut self,
        now: Now,
        req_msg_id: MsgId,
        result: &S,
    ) -> Result<(), RespondError> {
        let mut bytes = Vec::with_capacity(result.serialized_len());
        result.serialize(&mut bytes)?;
        self.respond_vec(now, req_msg_id, bytes)
    }

    /// Answers a query with an object that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_bytes(&mut self, now: Now, req_msg_id: MsgId, result: &[u8]) -> Result<(), RespondError> {
        let object = self.pack(result).map_or_else(|| result.to_vec(), <[u8]>::to_vec);
        self.enqueue_answer(now, req_msg_id, object)
    }

    /// The same with memory that is given away: the answer stays in it until it goes into a packet.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_vec(&mut self, now: Now, req_msg_id: MsgId, result: Vec<u8>) -> Result<(), RespondError> {
        let packed = self.pack(&result).map(<[u8]>::to_vec);
        self.enqueue_answer(now, req_msg_id, packed.unwrap_or(result))
    }

    /// Notes that a query no longer runs; returns whether it did.
    pub(super) fn end_query(&mut self, query: MsgId) -> bool {
        if let Some(received) = self.received.note_mut(query) {
            received.status.0 |= Status::ANSWERED;
        }
        self.running.remove(&query)
    }

    /// Answers a query with an `rpc_error`.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn respond_error(
        &mut self,
        now: Now,
        req_msg_id: MsgId,
        code: i32,
        message: &str,
    ) -> Result<(), RespondError> {
        let mut body = Vec::with_capacity(16 + message.len());
        body.put_u32(types::RpcError::CONSTRUCTOR_ID);
        types::RpcError { error_code: code, error_message: message.into() }.serialize(&mut body)?;
        self.respond_vec(now, req_msg_id, body)
    }

    /// Sends an update, unasked.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn push<S: Serializable + ?Sized>(&mut self, now: Now, update: &S) -> Result<(), RespondError> {
        let mut body = Vec::with_capacity(update.serialized_len());
        update.serialize(&mut body)?;
        self.enqueue(now, None, body)
    }

    /// Sends an update that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`respond`](Self::respond).
    pub fn push_bytes(&mut self, now: Now, update: &[u8]) -> Result<(), RespondError> {
        self.enqueue(now, None, update.to_vec())
    }

    /// Says that connections carry HTTP requests, whose answers `http_wait` may hold back.
    ///
    /// For an owner who has one request of the session out at a time. One who takes several, as `chappe-net` does, holds
    /// each by itself, as [`ServerEvent::HttpWait`](super::ServerEvent::HttpWait) says.
    pub const fn use_http_wait(&mut self) {
        self.is_http = true;
    }

    /// Answers [`ServerEvent::DestroySession`](super::ServerEvent::DestroySession).
    pub fn respond_session_destroyed(&mut self, session_id: SessionId, existed: bool) {
        let id = if existed {
            types::DestroySessionOk::CONSTRUCTOR_ID
        } else {
            types::DestroySessionNone::CONSTRUCTOR_ID
        };
        self.reply(|out| {
            out.put_u32(id);
            out.put(&session_id.to_raw().to_le_bytes());
        });
    }

    /// Answers [`ServerEvent::DestroyAuthKey`](super::ServerEvent::DestroyAuthKey). Send it before the key is forgotten.
    pub fn respond_key_destroyed(&mut self, destruction: KeyDestruction) {
        self.reply(|out| out.put_u32(destruction.constructor_id()));
    }

    /// Has a service message sent that the session would not send by itself, for tests of clients:
    /// the object goes out as it is, in a message that needs no acknowledgement.
    pub fn send_raw(&mut self, body: &[u8]) {
        self.reply(|out| out.extend_from_slice(body));
    }

    fn enqueue_answer(&mut self, now: Now, query: MsgId, object: Vec<u8>) -> Result<(), RespondError> {
        self.enqueue(now, Some(query), object)?;
        self.end_query(query);
        Ok(())
    }

    fn enqueue(&mut self, now: Now, answers: Option<MsgId>, object: Vec<u8>) -> Result<(), RespondError> {
        let len = object.len();
        if len < 4 || !len.is_multiple_of(4) {
            return Err(RespondError::BodyLength { len });
        }
        let (messages, bytes) = (self.outgoing.len(), self.outgoing.bytes());
        if messages >= self.config.unacked_messages || bytes + len > self.config.unacked_bytes {
            return Err(RespondError::TooMuchUnacked { messages, bytes });
        }
        self.outgoing.push(answers, object);
        if let Some(hold) = self.hold.as_mut() {
            hold.on_message(now.mono);
        }
        Ok(())
    }

    pub(super) fn reply(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.replies.len() < MAX_REPLIES {
            let mut reply = Vec::new();
            write(&mut reply);
            self.replies.push_back(reply);
        }
    }
}
