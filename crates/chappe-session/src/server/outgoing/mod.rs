//! The messages that a client has to acknowledge, from the moment they are queued until it does.
//!
//! A client decides what is acknowledged, requested again and dropped, and in which order. So no operation here walks
//! all messages: a message is found by its id, the answer to a query by the query's, and the message that has waited
//! longest for its acknowledgement is at the front of a queue.

mod sparse_queue;
#[cfg(test)]
mod tests;

#[cfg(not(test))]
use alloc::collections::VecDeque;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use chappe_framing::{
    FrameBuf, MsgId, MsgOrigin, RPC_RESULT_HEADER_LEN, SeqNo, ServerSalt, write_rpc_result_header,
};
use chappe_tl_mtproto::types;

use self::sparse_queue::SparseQueue;
#[cfg(test)]
use crate::counted::VecDeque;
use crate::service::write_object;
use crate::time::MonoTime;

/// What a content-related message of the server carries.
#[derive(Debug)]
pub(super) enum Content {
    /// `new_session_created`. The salt is written with the message: the current one of that moment.
    NewSession { first_msg_id: MsgId, unique_id: i64 },
    /// An `rpc_result`. The object stays in the memory in which it came.
    Answer { query: MsgId, object: Vec<u8>, tag: Option<u64> },
    /// An update, constructor id first.
    Update { object: Vec<u8>, tag: Option<u64> },
}

/// Length of a boxed `new_session_created`.
const NEW_SESSION_LEN: usize = 28;

/// The most padding that may follow in a packet, in bytes.
const MAX_PADDING_LEN: usize = 1024;

impl Content {
    /// Returns the length of the encoded object, in bytes.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::NewSession { .. } => NEW_SESSION_LEN,
            Self::Answer { object, .. } => RPC_RESULT_HEADER_LEN + object.len(),
            Self::Update { object, .. } => object.len(),
        }
    }

    /// Returns whether the message answers one of the client, which decides about the low bits of its id.
    pub(super) const fn origin(&self) -> MsgOrigin {
        match self {
            Self::Answer { .. } => MsgOrigin::Response,
            Self::NewSession { .. } | Self::Update { .. } => MsgOrigin::Notification,
        }
    }

    /// Encodes the object into a packet.
    pub(super) fn write(&self, salt: ServerSalt, out: &mut FrameBuf) {
        // Reserves room for the padding too: sealing would move all of the packet to make it.
        out.reserve(self.len() + MAX_PADDING_LEN);
        match self {
            Self::NewSession { first_msg_id, unique_id } => write_object(
                out,
                &types::NewSessionCreated {
                    first_msg_id: first_msg_id.to_raw(),
                    unique_id: *unique_id,
                    server_salt: salt.to_raw(),
                },
            ),
            Self::Answer { query, object, .. } => {
                write_rpc_result_header(out, *query);
                out.append(object);
            }
            Self::Update { object, .. } => out.append(object),
        }
    }

    /// Returns what the owner recognises the message by.
    pub(super) const fn tag(&self) -> Option<u64> {
        match self {
            Self::NewSession { .. } => None,
            Self::Answer { tag, .. } | Self::Update { tag, .. } => *tag,
        }
    }

    const fn query(&self) -> Option<MsgId> {
        match self {
            Self::Answer { query, .. } => Some(*query),
            Self::NewSession { .. } | Self::Update { .. } => None,
        }
    }
}

/// A message that was sent and not acknowledged.
#[derive(Debug)]
pub(super) struct SentMessage {
    pub(super) seq_no: SeqNo,
    /// When it was last sent.
    pub(super) sent_at: MonoTime,
    pub(super) content: Content,
}

/// An answer that the client no longer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DroppedAnswer {
    /// Zero if the answer was not sent yet, as `seq_no` is.
    pub(super) msg_id: MsgId,
    pub(super) seq_no: SeqNo,
    /// Its length.
    pub(super) bytes: usize,
}

/// Where the answer to a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerPlace {
    /// It waits to be sent, under this number.
    Unsent(u64),
    /// It was sent as this message.
    Sent(MsgId),
}

/// The messages of one session, unsent and unacknowledged.
#[derive(Debug, Default)]
pub(super) struct OutgoingQueue {
    /// By the order in which they were queued.
    unsent: SparseQueue<u64, Content>,
    /// Number of the next message.
    next: u64,
    unacked: SparseQueue<MsgId, SentMessage>,
    /// Answers by the queries they are for.
    answers: BTreeMap<MsgId, AnswerPlace>,
    /// Messages to be sent again.
    repeats: BTreeSet<MsgId>,
    /// When messages were sent, in that order. An entry is stale if its message is gone or was sent again later. The
    /// first entry is never stale.
    sent_order: VecDeque<(MonoTime, MsgId)>,
    bytes: usize,
}

/// Stale entries of the order of sending that are kept, besides as many as there are messages.
const SLACK: usize = 8;

/// Queueing, sending and acknowledgement.
impl OutgoingQueue {
    /// Returns how many messages are unsent or unacknowledged.
    pub(super) fn len(&self) -> usize {
        self.unsent.len() + self.unacked.len()
    }

    /// Returns how many bytes they have.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many messages wait to be sent for the first time.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Returns how many messages wait to be sent again.
    pub(super) fn repeats(&self) -> usize {
        self.repeats.len()
    }

    /// Queues a message.
    pub(super) fn push(&mut self, content: Content) {
        let number = self.next;
        self.next += 1;
        if let Some(query) = content.query() {
            self.answers.insert(query, AnswerPlace::Unsent(number));
        }
        self.bytes += content.len();
        self.unsent.push(number, content);
    }

    /// Returns the message that is sent next for the first time.
    pub(super) fn first_unsent(&self) -> Option<&Content> {
        self.unsent.front()
    }

    /// Takes the message that is sent next for the first time. [`keep`](Self::keep) takes it back once it has an id.
    pub(super) fn pop_unsent(&mut self) -> Option<Content> {
        let content = self.unsent.pop_front()?;
        self.bytes -= content.len();
        Some(content)
    }

    /// Keeps a message that was sent for the first time.
    pub(super) fn keep(&mut self, msg_id: MsgId, message: SentMessage) {
        self.bytes += message.content.len();
        if let Some(query) = message.content.query() {
            self.answers.insert(query, AnswerPlace::Sent(msg_id));
        }
        self.note_sent(message.sent_at, msg_id);
        self.unacked.push(msg_id, message);
    }

    /// Finds a message that was sent.
    pub(super) fn get(&self, msg_id: MsgId) -> Option<&SentMessage> {
        self.unacked.get(msg_id)
    }

    /// Drops a message that was acknowledged, and returns it if it was known.
    pub(super) fn ack(&mut self, msg_id: MsgId) -> Option<Content> {
        let message = self.take_sent(msg_id)?;
        if let Some(query) = message.content.query()
            && self.answers.get(&query) == Some(&AnswerPlace::Sent(msg_id))
        {
            self.answers.remove(&query);
        }
        Some(message.content)
    }

    /// Takes out all messages, in the order in which they were queued.
    pub(super) fn take_all(&mut self) -> Vec<Content> {
        let mut all = Vec::with_capacity(self.len());
        let sent: Vec<MsgId> = self.unacked.keys().collect();
        all.extend(sent.into_iter().filter_map(|msg_id| self.ack(msg_id)));
        all.extend(core::iter::from_fn(|| self.pop_unsent()));
        self.answers.clear();
        all
    }

    fn take_sent(&mut self, msg_id: MsgId) -> Option<SentMessage> {
        let message = self.unacked.take(msg_id)?;
        self.bytes -= message.content.len();
        self.repeats.remove(&msg_id);
        self.skip_stale();
        Some(message)
    }
}

/// Answers to queries.
impl OutgoingQueue {
    /// Returns whether there is an answer to a query, sent or not.
    pub(super) fn has_answer(&self, query: MsgId) -> bool {
        self.answers.contains_key(&query)
    }

    /// Returns whether the answer to a query waits to be sent.
    pub(super) fn has_unsent_answer(&self, query: MsgId) -> bool {
        matches!(self.answers.get(&query), Some(AnswerPlace::Unsent(_)))
    }

    /// Finds the sent answer to a query.
    pub(super) fn sent_answer(&self, query: MsgId) -> Option<(MsgId, &SentMessage)> {
        match *self.answers.get(&query)? {
            AnswerPlace::Sent(msg_id) => self.get(msg_id).map(|message| (msg_id, message)),
            AnswerPlace::Unsent(_) => None,
        }
    }

    /// Drops the answer to a query, sent or not; `None` if there is none.
    pub(super) fn drop_answer(&mut self, query: MsgId) -> Option<DroppedAnswer> {
        match self.answers.remove(&query)? {
            AnswerPlace::Sent(msg_id) => {
                let SentMessage { seq_no, content, .. } = self.take_sent(msg_id)?;
                Some(DroppedAnswer { msg_id, seq_no, bytes: content.len() })
            }
            AnswerPlace::Unsent(number) => {
                let bytes = self.unsent.take(number)?.len();
                self.bytes -= bytes;
                Some(DroppedAnswer { msg_id: MsgId::from_raw(0), seq_no: SeqNo::from_raw(0), bytes })
            }
        }
    }
}

/// Sending again.
impl OutgoingQueue {
    /// Schedules a message for sending again.
    pub(super) fn repeat(&mut self, msg_id: MsgId) {
        if self.unacked.get(msg_id).is_some() {
            self.repeats.insert(msg_id);
        }
    }

    /// Schedules everything for sending again: the connection is new.
    pub(super) fn repeat_all(&mut self) {
        self.repeats = self.unacked.keys().collect();
        self.sent_order = VecDeque::new();
    }

    /// Schedules everything for sending again that was last sent at this time or before.
    pub(super) fn repeat_since(&mut self, before: MonoTime) {
        while let Some(&(at, msg_id)) = self.sent_order.front()
            && at <= before
        {
            self.repeats.insert(msg_id);
            self.sent_order.pop_front();
            self.skip_stale();
        }
    }

    /// Returns the message that is sent again next.
    pub(super) fn first_repeat(&self) -> Option<(MsgId, &SentMessage)> {
        let msg_id = *self.repeats.first()?;
        self.get(msg_id).map(|message| (msg_id, message))
    }

    /// Notes that a message was sent again.
    pub(super) fn on_repeated(&mut self, msg_id: MsgId, now: MonoTime) {
        self.repeats.remove(&msg_id);
        if let Some(message) = self.unacked.get_mut(msg_id) {
            message.sent_at = now;
            self.note_sent(now, msg_id);
            self.skip_stale();
        }
    }

    /// Returns when the message was sent that has waited longest for its acknowledgement. `None` while a message waits
    /// to be sent again anyway.
    pub(super) fn waiting_since(&self) -> Option<MonoTime> {
        self.sent_order.front().map(|entry| entry.0).filter(|_| self.repeats.is_empty())
    }

    fn note_sent(&mut self, at: MonoTime, msg_id: MsgId) {
        if self.sent_order.len() >= 2 * (self.unacked.len() + SLACK) {
            let unacked = &self.unacked;
            self.sent_order.retain(|entry| is_current(unacked, *entry));
        }
        self.sent_order.push_back((at, msg_id));
    }

    fn skip_stale(&mut self) {
        while self.sent_order.front().is_some_and(|entry| !is_current(&self.unacked, *entry)) {
            self.sent_order.pop_front();
        }
        if self.sent_order.is_empty() && self.sent_order.capacity() > 2 * SLACK {
            self.sent_order = VecDeque::new();
        }
    }
}

/// Returns whether an entry of the order of sending is the last about its message.
fn is_current(unacked: &SparseQueue<MsgId, SentMessage>, (at, msg_id): (MonoTime, MsgId)) -> bool {
    unacked.get(msg_id).is_some_and(|message| message.sent_at == at)
}
