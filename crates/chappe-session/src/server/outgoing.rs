//! What a server has sent or will send, until the client acknowledges it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use chappe_framing::{MsgId, SeqNo};

use crate::time::MonoTime;

/// A content-related message of the server.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Zero until it is first sent.
    pub(super) msg_id: MsgId,
    pub(super) seq_no: SeqNo,
    /// The query it answers.
    pub(super) answers: Option<MsgId>,
    pub(super) body: Vec<u8>,
    pub(super) sent_at: MonoTime,
}

/// The messages of one session, unsent and unacknowledged.
#[derive(Debug, Default)]
pub(super) struct OutgoingQueue {
    pub(super) unsent: VecDeque<Outgoing>,
    /// Ascending by id.
    unacked: VecDeque<Outgoing>,
    /// Ids to be sent again.
    pub(super) again: VecDeque<MsgId>,
    bytes: usize,
}

impl OutgoingQueue {
    pub(super) fn len(&self) -> usize {
        self.unsent.len() + self.unacked.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, answers: Option<MsgId>, body: Vec<u8>) {
        self.bytes += body.len();
        let (msg_id, seq_no) = (MsgId::from_raw(0), SeqNo::from_raw(0));
        self.unsent.push_back(Outgoing { msg_id, seq_no, answers, body, sent_at: MonoTime::ZERO });
    }

    /// Keeps a message that was sent for the first time.
    pub(super) fn keep(&mut self, message: Outgoing) {
        self.unacked.push_back(message);
    }

    pub(super) fn get(&self, msg_id: MsgId) -> Option<&Outgoing> {
        self.unacked.binary_search_by_key(&msg_id, |sent| sent.msg_id).ok().map(|place| &self.unacked[place])
    }

    pub(super) fn get_mut(&mut self, msg_id: MsgId) -> Option<&mut Outgoing> {
        let place = self.unacked.binary_search_by_key(&msg_id, |sent| sent.msg_id).ok()?;
        self.unacked.get_mut(place)
    }

    /// Drops a message that was acknowledged; returns whether it was known.
    pub(super) fn ack(&mut self, msg_id: MsgId) -> bool {
        let Ok(place) = self.unacked.binary_search_by_key(&msg_id, |sent| sent.msg_id) else {
            return false;
        };
        if let Some(message) = self.unacked.remove(place) {
            self.bytes -= message.body.len();
        }
        true
    }

    /// Finds the sent answer to a query.
    pub(super) fn answer_to(&self, req_msg_id: MsgId) -> Option<&Outgoing> {
        self.unacked.iter().rev().find(|message| message.answers == Some(req_msg_id))
    }

    /// Takes an unsent answer to a query away.
    pub(super) fn drop_unsent(&mut self, req_msg_id: MsgId) -> Option<Outgoing> {
        let place = self.unsent.iter().position(|message| message.answers == Some(req_msg_id))?;
        let message = self.unsent.remove(place)?;
        self.bytes -= message.body.len();
        Some(message)
    }

    /// Has a message sent again unless it already will be; returns whether it is known.
    pub(super) fn repeat(&mut self, msg_id: MsgId) -> bool {
        let known = self.get(msg_id).is_some();
        if known && !self.again.contains(&msg_id) {
            self.again.push_back(msg_id);
        }
        known
    }

    /// Has everything sent again: the connection is new.
    pub(super) fn repeat_all(&mut self) {
        self.again.clear();
        self.again.extend(self.unacked.iter().map(|message| message.msg_id));
    }

    /// The message that has waited longest for its acknowledgement, if nothing is to be sent again anyway.
    pub(super) fn oldest(&self) -> Option<&Outgoing> {
        self.unacked.iter().min_by_key(|message| message.sent_at).filter(|_| self.again.is_empty())
    }

    /// Lists messages sent before a time.
    pub(super) fn repeat_since(&mut self, before: MonoTime) {
        let old = self.unacked.iter().filter(|message| message.sent_at <= before);
        let ids: Vec<MsgId> = old.map(|message| message.msg_id).collect();
        for msg_id in ids {
            self.repeat(msg_id);
        }
    }
}
