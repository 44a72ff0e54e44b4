//! What a server's session tells its owner.

use alloc::vec::Vec;

use chappe_crypto::QuickAckToken;
use chappe_framing::{MsgId, SeqNo, SessionId};

use crate::service::HttpWait;
use crate::unpack::KEPT_SCRATCH;

/// Something the owner of a session must deal with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// A query, unpacked, constructor id first; to be answered with
    /// [`respond`](super::ServerSession::respond) under its id. It is shown once.
    Query {
        /// Its id.
        msg_id: MsgId,
        /// Its sequence number.
        seq_no: SeqNo,
        /// The query.
        body: &'a [u8],
    },
    /// The session was made by this frame. `new_session_created` is on its way.
    Created,
    /// The client no longer wants the answer to a query that is running.
    Dropped {
        /// The query.
        req_msg_id: MsgId,
    },
    /// The client received what was sent as `msg_id`.
    Acked {
        /// The message.
        msg_id: MsgId,
    },
    /// Another session of the same key is to be destroyed; answer with
    /// [`respond_session_destroyed`](super::ServerSession::respond_session_destroyed).
    DestroySession {
        /// The session.
        session_id: SessionId,
    },
    /// The key is to be destroyed; answer with
    /// [`respond_key_destroyed`](super::ServerSession::respond_key_destroyed).
    DestroyAuthKey,
    /// Over HTTP: how long the answer may be held back.
    HttpWait(HttpWait),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Bytes {
    Body { start: u32, len: u32 },
    Scratch { start: u32, len: u32 },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Record {
    Query(MsgId, SeqNo, Bytes),
    Plain(ServerEvent<'static>),
}

/// The events of one frame.
#[derive(Debug)]
#[must_use = "queries are shown here and nowhere else"]
pub struct ServerEvents<'a> {
    pub(super) records: core::slice::Iter<'a, Record>,
    pub(super) body: &'a [u8],
    pub(super) scratch: &'a [u8],
    pub(super) quick_ack: Option<QuickAckToken>,
}

impl ServerEvents<'_> {
    /// Returns the token to answer with if the transport asked for a quick acknowledgement; `None` if the
    /// packet was refused.
    pub const fn quick_ack(&self) -> Option<QuickAckToken> {
        self.quick_ack
    }
}

impl<'a> Iterator for ServerEvents<'a> {
    type Item = ServerEvent<'a>;

    fn next(&mut self) -> Option<ServerEvent<'a>> {
        Some(match *self.records.next()? {
            Record::Query(msg_id, seq_no, bytes) => {
                let (from, start, len) = match bytes {
                    Bytes::Body { start, len } => (self.body, start, len),
                    Bytes::Scratch { start, len } => (self.scratch, start, len),
                };
                let body = from.get(start as usize..start as usize + len as usize).unwrap_or_default();
                ServerEvent::Query { msg_id, seq_no, body }
            }
            Record::Plain(event) => event,
        })
    }
}

/// Records and scratch of one frame, reused.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) records: Vec<Record>,
    pub(super) scratch: Vec<u8>,
}

impl Log {
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_SCRATCH);
    }

    pub(super) fn plain(&mut self, event: ServerEvent<'static>) {
        self.records.push(Record::Plain(event));
    }
}
