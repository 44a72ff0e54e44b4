//! What a server's session tells its owner.

use alloc::vec::Vec;

use chappe_crypto::QuickAckToken;
use chappe_framing::{MsgId, SeqNo, SessionId};

use crate::event_log::{Recorded, Span};
use crate::service::HttpWait;

/// Something the owner of a session must deal with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// A query. It is shown once; answer it with [`respond`](super::ServerSession::respond) under its id.
    Query {
        /// Its id.
        msg_id: MsgId,
        /// Its sequence number.
        seq_no: SeqNo,
        /// The query, unpacked, constructor id first.
        body: &'a [u8],
    },
    /// This frame began the session. `new_session_created` is queued.
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
        /// What [`push_tagged`](super::ServerSession::push_tagged) or
        /// [`respond_tagged`](super::ServerSession::respond_tagged) gave it.
        tag: Option<u64>,
    },
    /// The client asks to destroy another session of the same key. Answer with
    /// [`respond_session_destroyed`](super::ServerSession::respond_session_destroyed).
    DestroySession {
        /// The session.
        session_id: SessionId,
    },
    /// The client asks to destroy the key. Answer with
    /// [`respond_key_destroyed`](super::ServerSession::respond_key_destroyed).
    DestroyAuthKey,
    /// How long the response to an HTTP request may be held back, within the bounds of a server (SEC-109).
    HttpWait(HttpWait),
}

/// A message that a session gives up with [`take_unacked`](super::ServerSession::take_unacked): the client has not acknowledged
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unacked {
    /// The answer to a query, packed if it was.
    Answer {
        /// The query.
        query: MsgId,
        /// The object, encoded, constructor id first.
        object: Vec<u8>,
        /// What [`respond_tagged`](super::ServerSession::respond_tagged) gave it.
        tag: Option<u64>,
    },
    /// An update.
    Update {
        /// The object, encoded, constructor id first.
        object: Vec<u8>,
        /// What [`push_tagged`](super::ServerSession::push_tagged) gave it.
        tag: Option<u64>,
    },
}

/// An event with places instead of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record {
    Query {
        msg_id: MsgId,
        seq_no: SeqNo,
        body: Span,
    },
    /// An event without bytes.
    Plain(ServerEvent<'static>),
}

/// The events of one frame.
#[derive(Debug)]
#[must_use = "queries are shown here and nowhere else"]
pub struct ServerEvents<'a> {
    pub(super) records: Recorded<'a, Record>,
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
        Some(match self.records.next()? {
            Record::Query { msg_id, seq_no, body } => {
                ServerEvent::Query { msg_id, seq_no, body: self.records.bytes(body) }
            }
            Record::Plain(event) => event,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.records.len(), Some(self.records.len()))
    }
}
