//! What goes out: numbering, replies to service messages, queued messages, and the packet made of them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use chappe_framing::{
    ContainerWriter, FrameBuf, MessageHeader, MsgId, MsgIdGenerator, MsgOrigin, SeqNoCounter, ServerSalt,
    WriteError,
};
use chappe_tl::{Identifiable, Serializable};
use chappe_tl_mtproto::types;

use super::ServerConfig;
use super::outgoing::{Content, OutgoingQueue, SentMessage};
use crate::acks::AckQueue;
use crate::counters::Counters;
use crate::service::{encode, write_ids};
use crate::time::Now;
use crate::{MAX_CONTAINER_MESSAGES, MAX_IDS_PER_LIST};

/// The most replies to service messages that wait. What exceeds it is not answered: a client that asks so much
/// without reading is not owed memory (SEC-175).
const MAX_REPLIES: usize = 256;

/// Acknowledgements that are sent without waiting for company any longer.
const ACKS_AT_ONCE: usize = 64;

/// How much may stand in one container.
#[derive(Clone, Copy)]
struct ContainerLimits {
    messages: usize,
    bytes: usize,
}

impl ContainerLimits {
    fn of(config: &ServerConfig) -> Self {
        Self {
            messages: config.container_messages.clamp(1, MAX_CONTAINER_MESSAGES),
            bytes: config.container_bytes,
        }
    }

    /// Returns whether the container has room for a message of so many bytes. The first one always has.
    fn admit(self, container: &ContainerWriter<'_>, next: usize) -> bool {
        container.is_empty() || (container.len() < self.messages && container.byte_len() + next <= self.bytes)
    }
}

/// What a server sends in a session.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
    /// Messages that are kept until they are acknowledged.
    pub(super) queue: OutgoingQueue,
    /// Objects that need no acknowledgement: `pong`, `bad_msg_notification`, …
    replies: VecDeque<Vec<u8>>,
    is_announced: bool,
}

impl Outbox {
    /// Returns whether anything but acknowledgements waits to be sent.
    pub(super) fn has_messages(&self) -> bool {
        !self.replies.is_empty() || self.queue.unsent() > 0 || self.queue.repeats() > 0
    }

    /// Queues `new_session_created`, once (SEC-90); returns whether it did.
    pub(super) fn announce(&mut self, first_msg_id: MsgId, unique_id: i64) -> bool {
        let is_new = !core::mem::replace(&mut self.is_announced, true);
        if is_new {
            self.queue.push(Content::NewSession { first_msg_id, unique_id });
        }
        is_new
    }

    /// Makes all ids greater than `last`.
    pub(super) const fn set_ids_after(&mut self, last: MsgId) {
        self.ids = MsgIdGenerator::after(last);
    }

    /// Does not announce the session: the client knows it.
    pub(super) const fn skip_announcement(&mut self) {
        self.is_announced = true;
    }

    /// Queues an object that needs no acknowledgement.
    pub(super) fn reply<T: Identifiable + Serializable>(&mut self, object: &T) {
        self.reply_encoded(encode(object));
    }

    /// Queues an object that needs no acknowledgement, encoded, constructor id first.
    pub(super) fn reply_encoded(&mut self, object: Vec<u8>) {
        if self.replies.len() < MAX_REPLIES {
            self.replies.push_back(object);
        }
    }

    /// Drops the replies: the connection that asked is gone.
    pub(super) fn forget_replies(&mut self) {
        self.replies.clear();
    }

    /// Returns whether an empty list has memory for more than so many replies.
    pub(super) fn keeps_more_than(&self, places: usize) -> bool {
        self.replies.is_empty() && self.replies.capacity() > places
    }

    /// Frees memory that nothing needs now.
    pub(super) fn release(&mut self) {
        if self.replies.is_empty() {
            self.replies = VecDeque::new();
        }
    }
}

/// What a packet is made with.
pub(super) struct PacketContext<'a> {
    pub(super) now: Now,
    /// The salt in use, for `new_session_created`.
    pub(super) salt: ServerSalt,
    pub(super) config: &'a ServerConfig,
    pub(super) counters: &'a mut Counters,
}

/// Making a packet.
impl Outbox {
    /// Returns whether a packet should be made now.
    pub(super) fn is_due(&self, now: Now, acks: &AckQueue) -> bool {
        self.has_messages() || acks.is_due(now.mono, ACKS_AT_ONCE)
    }

    /// Writes everything that fits into the packet; returns the header of its outer message.
    pub(super) fn write_packet(
        &mut self,
        mut context: PacketContext<'_>,
        acks: &mut AckQueue,
        out: &mut FrameBuf,
    ) -> Result<MessageHeader, WriteError> {
        if self.queue.unsent() > 0 {
            // An answer acknowledges its query, so a separate acknowledgement is not sent.
            // https://core.telegram.org/mtproto/service_messages_about_messages#acknowledgment-of-receipt
            acks.retain(|id| !self.queue.has_unsent_answer(id));
        }
        let (repeats, unsent) = (self.queue.repeats(), self.queue.unsent());
        let messages = usize::from(!acks.is_empty()) + self.replies.len() + repeats + unsent;
        // A message that is sent again keeps its id, which is lower than ids that were sent since: it must not stand
        // alone (SEC-106).
        if messages == 1 && repeats == 0 {
            return Ok(self.write_one(&mut context, acks, out));
        }
        let limits = ContainerLimits::of(context.config);
        let mut container = ContainerWriter::begin(out);
        self.put_acks(&context, acks, &mut container)?;
        self.put_replies(&mut context, limits, &mut container)?;
        // What goes again comes first: it has waited longer.
        if self.put_repeats(&mut context, limits, &mut container)? {
            self.put_unsent(&mut context, limits, &mut container)?;
        }
        container.finish();
        Ok(self.unrelated(context.now, MsgOrigin::Notification))
    }

    /// Writes the only message there is.
    fn write_one(
        &mut self,
        context: &mut PacketContext<'_>,
        acks: &mut AckQueue,
        out: &mut FrameBuf,
    ) -> MessageHeader {
        context.counters.messages_sent += 1;
        if let Some(reply) = self.replies.pop_front() {
            out.append(&reply);
            return self.unrelated(context.now, MsgOrigin::Response);
        }
        if let Some(content) = self.queue.pop_unsent() {
            content.write(context.salt, out);
            let header = self.related(context.now, &content);
            self.keep(context.now, header, content);
            return header;
        }
        write_ids(out, types::MsgsAck::CONSTRUCTOR_ID, acks.drain(MAX_IDS_PER_LIST));
        self.unrelated(context.now, MsgOrigin::Notification)
    }

    fn put_acks(
        &mut self,
        context: &PacketContext<'_>,
        acks: &mut AckQueue,
        container: &mut ContainerWriter<'_>,
    ) -> Result<(), WriteError> {
        if acks.is_empty() {
            return Ok(());
        }
        container.push_with(self.unrelated(context.now, MsgOrigin::Notification), |out| {
            write_ids(out, types::MsgsAck::CONSTRUCTOR_ID, acks.drain(MAX_IDS_PER_LIST));
            Ok(())
        })
    }

    fn put_replies(
        &mut self,
        context: &mut PacketContext<'_>,
        limits: ContainerLimits,
        container: &mut ContainerWriter<'_>,
    ) -> Result<(), WriteError> {
        while limits.admit(container, 0)
            && let Some(reply) = self.replies.pop_front()
        {
            container.push(self.unrelated(context.now, MsgOrigin::Response), &reply)?;
            context.counters.messages_sent += 1;
        }
        Ok(())
    }

    /// Puts the messages that are sent again; returns whether all of them had room.
    fn put_repeats(
        &mut self,
        context: &mut PacketContext<'_>,
        limits: ContainerLimits,
        container: &mut ContainerWriter<'_>,
    ) -> Result<bool, WriteError> {
        while let Some((msg_id, message)) = self.queue.first_repeat() {
            if !limits.admit(container, message.content.len()) {
                return Ok(false);
            }
            let header = MessageHeader { msg_id, seq_no: message.seq_no };
            put(container, header, &message.content, context.salt)?;
            self.queue.on_repeated(msg_id, context.now.mono);
            context.counters.resent += 1;
        }
        Ok(true)
    }

    fn put_unsent(
        &mut self,
        context: &mut PacketContext<'_>,
        limits: ContainerLimits,
        container: &mut ContainerWriter<'_>,
    ) -> Result<(), WriteError> {
        while let Some(first) = self.queue.first_unsent() {
            if !limits.admit(container, first.len()) {
                break;
            }
            let Some(content) = self.queue.pop_unsent() else { break };
            let header = self.related(context.now, &content);
            put(container, header, &content, context.salt)?;
            self.keep(context.now, header, content);
            context.counters.messages_sent += 1;
        }
        Ok(())
    }

    /// Numbers a message that needs no acknowledgement.
    pub(super) fn unrelated(&mut self, now: Now, origin: MsgOrigin) -> MessageHeader {
        MessageHeader { msg_id: self.ids.next(now.unix, origin), seq_no: self.seq.next_unrelated() }
    }

    fn related(&mut self, now: Now, content: &Content) -> MessageHeader {
        let msg_id = self.ids.next(now.unix, content.origin());
        MessageHeader { msg_id, seq_no: self.seq.next_content_related() }
    }

    fn keep(&mut self, now: Now, MessageHeader { msg_id, seq_no }: MessageHeader, content: Content) {
        self.queue.keep(msg_id, SentMessage { seq_no, sent_at: now.mono, content });
    }
}

fn put(
    container: &mut ContainerWriter<'_>,
    header: MessageHeader,
    content: &Content,
    salt: ServerSalt,
) -> Result<(), WriteError> {
    container.push_with(header, |out| {
        content.write(salt, out);
        Ok(())
    })
}
