//! Making packets for a client.

use chappe_crypto::Side;
use chappe_framing::{
    ContainerWriter, Deflater, EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgOrigin,
    WriteError,
};
use chappe_tl::Identifiable;
use chappe_tl_mtproto::types;
use rand_core::CryptoRng;

use super::ServerSession;
use super::outgoing::Outgoing;
use crate::service::write_ids;
use crate::time::{MonoTime, Now};
use crate::{MAX_CONTAINER_MESSAGES, MAX_IDS_PER_LIST, Transmit};

/// How much may stand in one container.
#[derive(Clone, Copy)]
struct Room {
    messages: usize,
    bytes: usize,
}

impl Room {
    /// Tells whether another message of so many bytes has to wait: the first never does.
    fn is_taken(self, container: &ContainerWriter<'_>, next: usize) -> bool {
        let is_full = container.len() >= self.messages || container.byte_len() + next > self.bytes;
        is_full && !container.is_empty()
    }
}

/// Part of a large body that is packed on trial.
const PROBE_LEN: usize = 4096;

impl ServerSession {
    /// Writes the next frame into `out`; returns `None` if there is nothing to send now.
    ///
    /// Poll it until it returns `None`: after each input, after each command, and when
    /// [`poll_timeout`](Self::poll_timeout) is due. It returns `None` while no connection is up.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Option<Transmit> {
        if !self.is_connected() || !self.has_something(now) {
            return None;
        }
        self.hold = None;
        self.withdraw_needless_acks();
        let mut writer = EncryptedWriter::begin(out);
        let message = self.load(now, &mut writer).ok()?;
        let salt = self.salts.current(self.key.id(), now.unix);
        let header = EncryptedHeader { salt, session_id: self.session_id, message };
        writer.seal(&self.key, Side::Server, header, self.config.padding, rng).ok()?;
        self.counters.frames_sent += 1;
        Some(Transmit { quick_ack: None })
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) must be called, or
    /// [`poll_transmit`](Self::poll_transmit) asked again.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        if !self.is_connected() {
            return None;
        }
        let resend = self.outgoing.waits_since().map(|since| since + self.config.resend_after);
        let hold = self.hold.map(|hold| hold.deadline());
        let acks = self.acks.deadline().filter(|_| hold.is_none());
        [resend, acks, self.disconnect_at, hold, self.rests_at()].into_iter().flatten().min()
    }

    /// Tells whether the client asked for the connection to be closed by now (`ping_delay_disconnect`).
    pub fn should_close(&self, now: Now) -> bool {
        self.disconnect_at.is_some_and(|at| at <= now.mono)
    }

    fn has_something(&self, now: Now) -> bool {
        if let Some(hold) = self.hold {
            // Nobody waits for what answers a service message longer than needed.
            return !self.replies.is_empty()
                || hold.deadline() <= now.mono
                || (hold.is_empty() && self.has_messages());
        }
        self.has_messages() || self.acks.is_due(now.mono, 64)
    }

    /// Whether anything but acknowledgements waits to be sent.
    pub(super) fn has_messages(&self) -> bool {
        !self.replies.is_empty() || self.outgoing.unsent() > 0 || self.outgoing.repeats() > 0
    }

    /// An answer acknowledges its query (messages, section 9): those acknowledgements stay unsent.
    fn withdraw_needless_acks(&mut self) {
        if self.outgoing.unsent() > 0 {
            let outgoing = &self.outgoing;
            self.acks.retain(|id| !outgoing.has_unsent_answer(id));
        }
    }

    /// Puts everything that fits into the packet; returns the header of the outer message.
    fn load(&mut self, now: Now, writer: &mut EncryptedWriter<'_>) -> Result<MessageHeader, WriteError> {
        let (repeats, unsent) = (self.outgoing.repeats(), self.outgoing.unsent());
        let messages = usize::from(!self.acks.is_empty()) + self.replies.len() + repeats + unsent;
        // A message sent again keeps its id, so it must not stand alone (SEC-106).
        if messages == 1 && repeats == 0 {
            return Ok(self.load_one(now, writer.body()));
        }
        let room = Room {
            messages: self.config.container_messages.clamp(1, MAX_CONTAINER_MESSAGES),
            bytes: self.config.container_bytes,
        };
        let mut container = ContainerWriter::begin(writer.body());
        self.load_small(now, room, &mut container)?;
        self.load_large(now, room, &mut container)?;
        container.finish();
        Ok(self.unrelated(now, MsgOrigin::Notification))
    }

    /// Puts what is not kept: acknowledgements, and answers to service messages.
    fn load_small(
        &mut self,
        now: Now,
        room: Room,
        container: &mut ContainerWriter<'_>,
    ) -> Result<(), WriteError> {
        if !self.acks.is_empty() {
            let header = self.unrelated(now, MsgOrigin::Notification);
            let acks = &mut self.acks;
            container.push_with(header, |out| {
                write_ids(out, types::MsgsAck::CONSTRUCTOR_ID, acks.drain(MAX_IDS_PER_LIST));
                Ok(())
            })?;
        }
        while !room.is_taken(container, 0)
            && let Some(reply) = self.replies.pop_front()
        {
            let header = self.unrelated(now, MsgOrigin::Response);
            container.push(header, &reply)?;
            self.counters.messages_sent += 1;
        }
        Ok(())
    }

    /// Puts what is kept until it is acknowledged: what goes again, and then what goes for the first time.
    fn load_large(
        &mut self,
        now: Now,
        room: Room,
        container: &mut ContainerWriter<'_>,
    ) -> Result<(), WriteError> {
        while let Some((msg_id, message)) = self.outgoing.first_repeat() {
            if room.is_taken(container, message.len()) {
                return Ok(());
            }
            put(container, MessageHeader { msg_id, seq_no: message.seq_no }, message)?;
            self.outgoing.on_repeated(msg_id, now.mono);
            self.counters.resent += 1;
        }
        while let Some(message) = self.outgoing.first_unsent() {
            if room.is_taken(container, message.len()) {
                return Ok(());
            }
            let Some((header, message)) = self.first_time(now) else { break };
            put(container, header, &message)?;
            self.outgoing.keep(header.msg_id, message);
        }
        Ok(())
    }

    fn load_one(&mut self, now: Now, out: &mut FrameBuf) -> MessageHeader {
        self.counters.messages_sent += 1;
        if let Some(reply) = self.replies.pop_front() {
            out.append(&reply);
            return self.unrelated(now, MsgOrigin::Response);
        }
        if let Some((header, message)) = self.first_time(now) {
            message.write(out);
            self.outgoing.keep(header.msg_id, message);
            return header;
        }
        write_ids(out, types::MsgsAck::CONSTRUCTOR_ID, self.acks.drain(MAX_IDS_PER_LIST));
        self.unrelated(now, MsgOrigin::Notification)
    }

    fn unrelated(&mut self, now: Now, origin: MsgOrigin) -> MessageHeader {
        MessageHeader { msg_id: self.ids.next(now.unix, origin), seq_no: self.seq.next_unrelated() }
    }

    /// Takes the next unsent message and numbers it.
    fn first_time(&mut self, now: Now) -> Option<(MessageHeader, Outgoing)> {
        let mut message = self.outgoing.pop_unsent()?;
        let origin = if message.answers.is_some() { MsgOrigin::Response } else { MsgOrigin::Notification };
        let msg_id = self.ids.next(now.unix, origin);
        message.seq_no = self.seq.next_content_related();
        message.sent_at = now.mono;
        if message.answers.is_none()
            && message.object.starts_with(&types::NewSessionCreated::CONSTRUCTOR_ID.to_le_bytes())
        {
            let salt = self.salts.current(self.key.id(), now.unix);
            if let Some(field) = message.object.get_mut(20..28) {
                field.copy_from_slice(&salt.to_raw().to_le_bytes());
            }
        }
        self.counters.messages_sent += 1;
        Some((MessageHeader { msg_id, seq_no: message.seq_no }, message))
    }

    /// Packs an answer if it is large enough and that pays; of a large one the middle is tried first.
    pub(super) fn pack(&mut self, result: &[u8]) -> Option<&[u8]> {
        let gzip_from = self.config.gzip_from;
        if gzip_from == 0 || result.len() < gzip_from.max(64) {
            return None;
        }
        let deflater = self.deflater.get_or_insert_with(|| alloc::boxed::Box::new(Deflater::new()));
        if result.len() >= 4 * PROBE_LEN {
            let middle = result.len() / 2;
            deflater.pack(&result[middle..middle + PROBE_LEN])?;
        }
        let packed = deflater.pack(result)?;
        self.counters.gzip_in += result.len() as u64;
        self.counters.gzip_out += packed.len() as u64;
        Some(packed)
    }
}

fn put(
    container: &mut ContainerWriter<'_>,
    header: MessageHeader,
    message: &Outgoing,
) -> Result<(), WriteError> {
    container.push_with(header, |out| {
        message.write(out);
        Ok(())
    })
}
