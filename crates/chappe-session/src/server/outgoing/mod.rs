//! What a server has sent or will send, until the client acknowledges it.
//!
//! A client decides what is acknowledged, asked for again and dropped, and in which order, so nothing here looks through
//! all messages for one: each is found by its id, the answer to a query by the query's, and the message that has waited
//! longest stands at the front of a queue.

mod line;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use chappe_framing::{FrameBuf, MsgId, RPC_RESULT_HEADER_LEN, SeqNo, write_rpc_result_header};

use self::line::Line;
use crate::time::MonoTime;

/// A content-related message of the server.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Zero until it is first sent.
    pub(super) seq_no: SeqNo,
    /// The query it answers: what is sent is an `rpc_result` for it.
    pub(super) answers: Option<MsgId>,
    /// What is sent, but for the header of `rpc_result`: answers stay in the memory in which they came.
    pub(super) object: Vec<u8>,
    pub(super) sent_at: MonoTime,
}

impl Outgoing {
    /// Returns the length of what is sent, in bytes.
    pub(super) const fn len(&self) -> usize {
        let header = if self.answers.is_some() { RPC_RESULT_HEADER_LEN } else { 0 };
        header + self.object.len()
    }

    /// Writes what is sent into a packet.
    pub(super) fn write(&self, out: &mut FrameBuf) {
        // With room for padding, which else would move all of it.
        out.reserve(self.len() + MAX_PADDING_LEN);
        if let Some(query) = self.answers {
            write_rpc_result_header(out, query);
        }
        out.append(&self.object);
    }
}

/// The most padding that may follow in a packet, in bytes.
const MAX_PADDING_LEN: usize = 1024;

/// Where the answer to a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It waits to be sent, under this number.
    Unsent(u64),
    /// It was sent as this message.
    Sent(MsgId),
}

/// The messages of one session, unsent and unacknowledged.
#[derive(Debug, Default)]
pub(super) struct OutgoingQueue {
    /// By the order in which they came.
    unsent: Line<u64>,
    /// Number of the next message.
    next: u64,
    unacked: Line<MsgId>,
    /// Answers by the queries they are for.
    answers: BTreeMap<MsgId, Answer>,
    /// Messages to be sent again.
    again: BTreeSet<MsgId>,
    /// When messages were sent, in that order. A note does not count if its message is gone or was sent again later; the
    /// first counts.
    waits: VecDeque<(MonoTime, MsgId)>,
    bytes: usize,
}

/// Notes that do not count, besides as many as there are messages.
const SLACK: usize = 8;

/// What is sent and what waits.
impl OutgoingQueue {
    pub(super) fn len(&self) -> usize {
        self.unsent.len() + self.unacked.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many messages wait to be sent for the first time.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Returns how many messages wait to be sent again.
    pub(super) fn repeats(&self) -> usize {
        self.again.len()
    }

    pub(super) fn push(&mut self, answers: Option<MsgId>, object: Vec<u8>) {
        let number = self.next;
        self.next += 1;
        if let Some(query) = answers {
            self.answers.insert(query, Answer::Unsent(number));
        }
        let message = Outgoing { seq_no: SeqNo::from_raw(0), answers, object, sent_at: MonoTime::ZERO };
        self.bytes += message.len();
        self.unsent.push(number, message);
    }

    /// Returns the message that is to be sent next for the first time.
    pub(super) fn first_unsent(&self) -> Option<&Outgoing> {
        self.unsent.front()
    }

    /// Takes it, to be numbered and sent, and then [kept](Self::keep).
    pub(super) fn pop_unsent(&mut self) -> Option<Outgoing> {
        let message = self.unsent.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    /// Keeps a message that was sent for the first time.
    pub(super) fn keep(&mut self, msg_id: MsgId, message: Outgoing) {
        self.bytes += message.len();
        if let Some(query) = message.answers {
            self.answers.insert(query, Answer::Sent(msg_id));
        }
        self.note_sent(message.sent_at, msg_id);
        self.unacked.push(msg_id, message);
    }

    /// Finds a message that was sent.
    pub(super) fn get(&self, msg_id: MsgId) -> Option<&Outgoing> {
        self.unacked.get(msg_id)
    }

    /// Drops a message that was acknowledged; returns whether it was known.
    pub(super) fn ack(&mut self, msg_id: MsgId) -> bool {
        let Some(message) = self.take_sent(msg_id) else {
            return false;
        };
        if let Some(query) = message.answers
            && self.answers.get(&query) == Some(&Answer::Sent(msg_id))
        {
            self.answers.remove(&query);
        }
        true
    }

    fn take_sent(&mut self, msg_id: MsgId) -> Option<Outgoing> {
        let message = self.unacked.take(msg_id)?;
        self.bytes -= message.len();
        self.again.remove(&msg_id);
        self.skip_old_notes();
        Some(message)
    }
}

/// Answers to queries.
impl OutgoingQueue {
    /// Tells whether the answer to a query waits to be sent.
    pub(super) fn has_unsent_answer(&self, query: MsgId) -> bool {
        matches!(self.answers.get(&query), Some(Answer::Unsent(_)))
    }

    /// Finds the sent answer to a query.
    pub(super) fn sent_answer(&self, query: MsgId) -> Option<(MsgId, &Outgoing)> {
        match *self.answers.get(&query)? {
            Answer::Sent(msg_id) => self.get(msg_id).map(|message| (msg_id, message)),
            Answer::Unsent(_) => None,
        }
    }

    /// Takes the answer to a query away; its id is zero if it was not sent.
    pub(super) fn take_answer(&mut self, query: MsgId) -> Option<(MsgId, Outgoing)> {
        match self.answers.remove(&query)? {
            Answer::Sent(msg_id) => self.take_sent(msg_id).map(|message| (msg_id, message)),
            Answer::Unsent(number) => {
                let message = self.unsent.take(number)?;
                self.bytes -= message.len();
                Some((MsgId::from_raw(0), message))
            }
        }
    }
}

/// What is sent again, and when.
impl OutgoingQueue {
    /// Has a message sent again.
    pub(super) fn repeat(&mut self, msg_id: MsgId) {
        if self.unacked.get(msg_id).is_some() {
            self.again.insert(msg_id);
        }
    }

    /// Has everything sent again: the connection is new.
    pub(super) fn repeat_all(&mut self) {
        self.again = self.unacked.keys().collect();
        self.waits = VecDeque::new();
    }

    /// Has everything sent again that was last sent at this time or before.
    pub(super) fn repeat_since(&mut self, before: MonoTime) {
        while let Some(&(at, msg_id)) = self.waits.front()
            && at <= before
        {
            self.again.insert(msg_id);
            self.waits.pop_front();
            self.skip_old_notes();
        }
    }

    /// Returns the message that is to be sent again next.
    pub(super) fn first_repeat(&self) -> Option<(MsgId, &Outgoing)> {
        let msg_id = *self.again.first()?;
        self.get(msg_id).map(|message| (msg_id, message))
    }

    /// Notes that it was sent again.
    pub(super) fn on_repeated(&mut self, msg_id: MsgId, now: MonoTime) {
        self.again.remove(&msg_id);
        if let Some(message) = self.unacked.get_mut(msg_id) {
            message.sent_at = now;
            self.note_sent(now, msg_id);
            self.skip_old_notes();
        }
    }

    /// Returns since when the message waits that has waited longest for its acknowledgement, if nothing is to be sent
    /// again anyway.
    pub(super) fn waits_since(&self) -> Option<MonoTime> {
        self.waits.front().map(|note| note.0).filter(|_| self.again.is_empty())
    }

    fn note_sent(&mut self, at: MonoTime, msg_id: MsgId) {
        if self.waits.len() >= 2 * (self.unacked.len() + SLACK) {
            crate::steps::count(self.waits.len());
            let unacked = &self.unacked;
            self.waits.retain(|note| counts(unacked, *note));
        }
        self.waits.push_back((at, msg_id));
    }

    fn skip_old_notes(&mut self) {
        while self.waits.front().is_some_and(|note| !counts(&self.unacked, *note)) {
            self.waits.pop_front();
        }
        if self.waits.is_empty() && self.waits.capacity() > 2 * SLACK {
            self.waits = VecDeque::new();
        }
    }
}

/// Tells whether a note of a time is the last about its message.
fn counts(unacked: &Line<MsgId>, (at, msg_id): (MonoTime, MsgId)) -> bool {
    unacked.get(msg_id).is_some_and(|message| message.sent_at == at)
}
