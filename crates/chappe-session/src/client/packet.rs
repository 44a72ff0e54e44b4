//! The packet being made: what goes into it, and in which wrappers.
//!
//! One call of [`Packet::make`] makes one packet. Service messages ride along with calls; more than one message makes
//! a container. Bodies are copied once, from the calls into the frame, and sealed there. Acknowledgements come first
//! and calls last.

use chappe_crypto::Side;
use chappe_framing::bind::BindTempAuthKey;
use chappe_framing::{
    ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, SessionId, UnixTime,
    WriteError,
};
use chappe_tl::{Identifiable, Serializable, Sink, VECTOR_ID};
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::CryptoRng;

use super::ClientConfig;
use super::calls::{CallId, Calls, QueuedAs, Receipt, Room, SentAs, Slot, Stage};
use super::key_session::{Generation, KeySession};
use super::keys::UnboundKey;
use super::outstanding::Outstanding;
use super::questions::{QuestionPlan, Questions};
use super::sent::{ContentRelation, Sent, SentKind, SentLog};
use crate::clock::ServerClock;
use crate::counters::Counters;
use crate::liveness::{Liveness, LivenessPolicy};
use crate::service::{HttpWait, write_ids};
use crate::time::Now;
use crate::{MAX_IDS_PER_LIST, Transmit};

const INVOKE_AFTER_MSG: u32 = 0xcb9f_372d;
const INVOKE_AFTER_MSGS: u32 = 0x3dc4_b4f0;

/// Messages of a container that are left to service messages.
const SERVICE_ROOM: usize = 64;

/// Bytes of calls that a ping does not travel with: the server answers it once the whole packet has arrived.
const BULK: usize = 4 << 10;

/// The server sends at most this many salts at a time.
const MAX_SALTS: usize = 64;

/// The packet being made, and everything that it touches.
pub(super) struct Packet<'s> {
    pub(super) now: Now,
    pub(super) config: &'s ClientConfig,
    pub(super) policy: &'s LivenessPolicy,
    pub(super) http: Option<HttpWait>,
    pub(super) clock: &'s ServerClock,
    pub(super) key: &'s mut KeySession,
    /// What is needed to bind the key, if that has not been done.
    pub(super) unbound: Option<UnboundKey<'s>>,
    pub(super) sent: &'s mut SentLog,
    pub(super) calls: Option<&'s mut Calls>,
    pub(super) questions: Option<&'s mut Questions>,
    pub(super) live: &'s mut Liveness,
    pub(super) outstanding: &'s mut Outstanding,
    pub(super) counters: &'s mut Counters,
    /// A call in it requests a quick acknowledgement.
    pub(super) wants_quick_ack: bool,
    /// Calls wait until bytes before them have arrived.
    pub(super) is_full: bool,
    /// Bytes of the calls that this packet carries, or the next one if a ping goes first.
    pub(super) bulk: usize,
}

/// What goes into a packet besides calls.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each of these messages is there once or not at all")]
struct Plan {
    acks: usize,
    questions: QuestionPlan,
    salts: bool,
    ping: bool,
    http_wait: bool,
    binding: bool,
}

impl Plan {
    fn messages(&self) -> usize {
        let single = [self.acks > 0, self.salts, self.ping, self.http_wait, self.binding];
        single.into_iter().filter(|is_there| *is_there).count() + self.questions.messages()
    }
}

/// Where messages are put.
enum PacketWriter<'b> {
    /// Alone into the frame.
    Single {
        frame: &'b mut FrameBuf,
        header: Option<MessageHeader>,
    },
    Container(ContainerWriter<'b>),
}

impl PacketWriter<'_> {
    fn put(
        &mut self,
        message: MessageHeader,
        write: impl FnOnce(&mut FrameBuf) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        match self {
            Self::Single { frame, header } => {
                debug_assert!(header.is_none(), "a second message needs a container");
                *header = Some(message);
                write(frame)
            }
            Self::Container(container) => container.push_with(message, write),
        }
    }
}

impl Packet<'_> {
    /// Makes the packet in `out`; `None` if there is nothing to send now.
    pub(super) fn make(
        mut self,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Option<Transmit> {
        self.choose_calls();
        self.bulk = self.calls.as_deref().map_or(0, Calls::chosen_bytes);
        let plan = self.plan()?;
        if plan.ping
            && self.bulk >= BULK
            && let Some(calls) = self.calls.as_deref_mut()
        {
            // The ping goes first and alone, and these calls with the next packet.
            calls.put_back();
        }
        let after = self.sent.last_id().unwrap_or(MsgId::from_raw(0));
        let session_id = self.key.session(rng);
        let count = plan.messages() + self.chosen();
        let mut writer = EncryptedWriter::begin(out);
        let message = if count == 1 && !self.repeats_an_id() {
            let mut single = PacketWriter::Single { frame: writer.body(), header: None };
            self.fill(&plan, session_id, rng, &mut single).ok()?;
            let PacketWriter::Single { header, .. } = single else { return None };
            header?
        } else {
            let before = self.sent.len();
            let mut container = PacketWriter::Container(ContainerWriter::begin(writer.body()));
            self.fill(&plan, session_id, rng, &mut container).ok()?;
            if let PacketWriter::Container(container) = container {
                container.finish();
            }
            let members = self.sent.len() - before;
            let header = self.number(ContentRelation::Unrelated);
            self.sent.push(Sent { msg_id: header.msg_id, kind: SentKind::Container });
            self.sent.seal_container(members);
            header
        };
        let salt = self.key.salts.table.advance(self.clock.seconds(self.now.mono));
        let header = EncryptedHeader { salt, session_id, message };
        let token = writer.seal(&self.key.key, Side::Client, header, self.config.padding, rng).ok()?;
        self.counters.frames_sent += 1;
        self.counters.messages_sent += count as u64;
        self.outstanding.on_sent(self.now.mono, after, out.len(), plan.ping);
        let is_expected = self.wants_quick_ack
            && self.calls.as_deref_mut().is_some_and(|calls| calls.expect_quick_ack(token));
        Some(Transmit { quick_ack: is_expected.then_some(token) })
    }

    /// Chooses the calls for the packet. While the key is not bound, none travels under it (SEC-120).
    #[inline]
    fn choose_calls(&mut self) {
        let Some(calls) = self.calls.as_deref_mut() else {
            return;
        };
        if calls.queued() == 0 || self.unbound.is_some() {
            return calls.choose_none();
        }
        let places = calls.free_places();
        if places == 0 {
            return calls.choose_none();
        }
        let mut bytes = self.config.limits.container_bytes;
        // Over HTTP a request is answered before the next one goes, and they may overtake each other.
        if self.http.is_none() {
            let Some(room) = self.outstanding.room(self.live.patience(self.policy)) else {
                self.is_full = true;
                return calls.choose_none();
            };
            bytes = bytes.min(room);
        }
        let limits = &self.config.limits;
        let init = self.config.init.as_ref().filter(|_| !self.key.is_initialized);
        calls.choose(&Room {
            messages: limits.container_messages.saturating_sub(SERVICE_ROOM).clamp(1, places),
            bytes,
            around: MessageHeader::LEN + init.map_or(0, |init| init.as_bytes().len()),
        });
    }

    #[inline]
    fn chosen(&self) -> usize {
        self.calls.as_deref().map_or(0, |calls| calls.chosen().len())
    }

    /// Decides which service messages go along; `None` if there is nothing at all to send.
    #[inline]
    fn plan(&self) -> Option<Plan> {
        let now = self.now.mono;
        let binding = self.unbound.as_ref().is_some_and(|unbound| unbound.binding.is_wanted());
        let awaits_calls = self.calls.as_deref().is_some_and(|calls| calls.waiting() > 0);
        let is_waiting = awaits_calls || self.chosen() > 0 || self.unbound.is_some();
        let mut plan = Plan {
            acks: 0,
            questions: self.questions.as_deref().map(Questions::plan).unwrap_or_default(),
            salts: self.key.salts.wants_request(now, self.clock),
            ping: self.live.wants_ping(self.policy, now, is_waiting),
            http_wait: self.questions.as_deref().is_some_and(Questions::wants_http_wait),
            binding,
        };
        if self.is_full {
            // Its pong shows that they have arrived.
            plan.ping |= self.outstanding.wants_ping();
        } else if self.bulk >= BULK {
            // The datacenter must not close the connection before all of it has arrived, and a ping behind it comes too late.
            let until = now + self.outstanding.longest_time(self.bulk);
            plan.ping |= self.live.timer_ends().is_some_and(|ends| ends <= until);
        }
        // Acknowledgements that can wait make no packet of their own.
        let acks = &self.key.inbox.acks;
        let is_wanted = self.chosen() > 0 || plan.messages() > 0;
        if !is_wanted && !acks.is_due(now, self.config.limits.acks_at_once) {
            return None;
        }
        plan.acks = acks.len().min(MAX_IDS_PER_LIST);
        // Over HTTP each request tells the server how long it may be held.
        plan.http_wait |= self.http.is_some();
        Some(plan)
    }

    /// Returns whether a call goes under its old id: such a message must not stand alone (SEC-106).
    #[inline]
    fn repeats_an_id(&self) -> bool {
        let Some(calls) = self.calls.as_deref() else {
            return false;
        };
        let repeats = |slot: &Slot| old_id(slot, self.key.generation).is_some();
        calls.chosen().iter().any(|call| calls.get(*call).is_some_and(repeats))
    }

    /// Writes everything planned: acknowledgements first, calls last.
    fn fill(
        &mut self,
        plan: &Plan,
        session_id: SessionId,
        rng: &mut (impl CryptoRng + ?Sized),
        writer: &mut PacketWriter<'_>,
    ) -> Result<(), WriteError> {
        if plan.messages() > 0 {
            self.put_lists(plan, writer)?;
            self.put_requests(plan, writer)?;
            self.put_replies(plan, writer)?;
        }
        if plan.binding {
            self.put_binding(session_id, rng, writer)?;
        }
        for place in 0..self.chosen() {
            self.put_call(place, writer)?;
        }
        Ok(())
    }

    /// Writes the messages that are lists of ids: acknowledgements, state request, resend request.
    ///
    /// They are written from the lists as they are: the generated types would need a vector for each packet.
    fn put_lists(&mut self, plan: &Plan, writer: &mut PacketWriter<'_>) -> Result<(), WriteError> {
        if plan.acks > 0 {
            let header = self.number(ContentRelation::Unrelated);
            writer.put(header, |out| {
                write_ids(out, types::MsgsAck::CONSTRUCTOR_ID, self.key.inbox.acks.drain(plan.acks));
                Ok(())
            })?;
            self.sent.push(Sent { msg_id: header.msg_id, kind: SentKind::Acks });
        }
        if plan.questions.state_req {
            let header = self.number(ContentRelation::Unrelated);
            writer.put(header, |out| {
                if let Some(questions) = self.questions.as_deref_mut() {
                    let asked = questions.begin_state_req(header.msg_id, self.now.mono);
                    write_ids(out, types::MsgsStateReq::CONSTRUCTOR_ID, asked.iter().copied());
                }
                Ok(())
            })?;
            self.sent.push(Sent { msg_id: header.msg_id, kind: SentKind::StateReq });
        }
        if plan.questions.resend_req {
            let header = self.number(ContentRelation::Unrelated);
            writer.put(header, |out| {
                if let Some(questions) = self.questions.as_deref_mut() {
                    // Never more than a list may hold.
                    let resend = questions.take_resend();
                    write_ids(out, types::MsgResendReq::CONSTRUCTOR_ID, resend.iter().copied());
                }
                Ok(())
            })?;
            self.sent.push(Sent { msg_id: header.msg_id, kind: SentKind::ResendReq });
        }
        Ok(())
    }

    /// Writes what a service answers: requests for salts, ping, requests to destroy.
    fn put_requests(&mut self, plan: &Plan, writer: &mut PacketWriter<'_>) -> Result<(), WriteError> {
        use ContentRelation::Related;
        if plan.salts {
            let num = self.config.limits.salts.clamp(1, MAX_SALTS) as i32;
            self.put(Related, SentKind::FutureSalts, writer, &functions::GetFutureSalts { num })?;
            self.key.salts.on_requested(self.now.mono);
        }
        if plan.ping {
            let delay = (self.policy.disconnect_delay + self.outstanding.longest_time(self.bulk)).as_secs();
            let disconnect_delay = i32::try_from(delay).unwrap_or(i32::MAX);
            let timer_seconds = disconnect_delay.unsigned_abs();
            let ping_id = self.sent.last_id().map_or(1, |last| last.to_raw().wrapping_add(1));
            self.live.on_ping_behind(self.now.mono, ping_id, self.outstanding.time(), timer_seconds);
            let ping = functions::PingDelayDisconnect { ping_id, disconnect_delay };
            self.put(Related, SentKind::Ping, writer, &ping)?;
        }
        for _ in 0..plan.questions.destroy_sessions {
            let next = self.questions.as_deref_mut().and_then(Questions::next_session_to_destroy);
            let Some(session_id) = next else { break };
            let query = functions::DestroySession { session_id: session_id.to_raw() };
            let msg_id = self.put(Related, SentKind::DestroySession, writer, &query)?;
            if let Some(questions) = self.questions.as_deref_mut() {
                questions.on_destroy_session_sent(msg_id, session_id);
            }
        }
        if plan.questions.destroy_key {
            self.put(Related, SentKind::DestroyAuthKey, writer, &functions::DestroyAuthKey {})?;
            if let Some(questions) = self.questions.as_deref_mut() {
                questions.on_destroy_key_sent();
            }
        }
        Ok(())
    }

    /// Writes answers to the server, requests to drop an answer, and what keeps an HTTP request open.
    fn put_replies(&mut self, plan: &Plan, writer: &mut PacketWriter<'_>) -> Result<(), WriteError> {
        for _ in 0..plan.questions.replies {
            let next = self.questions.as_deref_mut().and_then(Questions::next_reply);
            let Some(reply) = next else { break };
            let header = self.number(ContentRelation::Unrelated);
            writer.put(header, |out| {
                reply.write(out);
                Ok(())
            })?;
            self.sent.push(Sent { msg_id: header.msg_id, kind: SentKind::Other });
        }
        for _ in 0..plan.questions.drops {
            let next = self.questions.as_deref_mut().and_then(Questions::next_drop);
            let Some((call, req_msg_id)) = next else { break };
            let query = functions::RpcDropAnswer { req_msg_id: req_msg_id.to_raw() };
            self.put(ContentRelation::Related, SentKind::DropAnswer(call), writer, &query)?;
        }
        if plan.http_wait {
            let HttpWait { max_delay, wait_after, max_wait } = self.http.unwrap_or_default();
            let wait = enums::HttpWait::HttpWait(types::HttpWait { max_delay, wait_after, max_wait });
            self.put(ContentRelation::Unrelated, SentKind::Other, writer, &wait)?;
            if let Some(questions) = self.questions.as_deref_mut() {
                questions.on_http_wait_sent();
            }
        }
        Ok(())
    }

    /// Writes the request that binds the key; it is valid under its own `msg_id` alone (SEC-119).
    fn put_binding(
        &mut self,
        session_id: SessionId,
        rng: &mut (impl CryptoRng + ?Sized),
        writer: &mut PacketWriter<'_>,
    ) -> Result<(), WriteError> {
        let header = self.number(ContentRelation::Related);
        let Some(UnboundKey { permanent, expires_at, binding }) = &mut self.unbound else {
            return Ok(());
        };
        let expires_at = UnixTime::from_secs(u64::try_from(*expires_at).unwrap_or(0));
        let temporary = self.key.key.id();
        let request = BindTempAuthKey::new(permanent, temporary, session_id, expires_at, header.msg_id, rng);
        if let Ok(request) = request {
            writer.put(header, |out| {
                put_object(out, &request);
                Ok(())
            })?;
            binding.on_sent(header.msg_id, self.now.mono);
            self.sent.push(Sent { msg_id: header.msg_id, kind: SentKind::Binding });
        }
        Ok(())
    }

    /// Writes the call that was chosen for this place.
    #[inline]
    fn put_call(&mut self, place: usize, writer: &mut PacketWriter<'_>) -> Result<(), WriteError> {
        let Some(calls) = self.calls.as_deref_mut() else {
            return Ok(());
        };
        let call = calls.chosen()[place];
        let Some(slot) = calls.get(call) else {
            return Err(WriteError::UnsendableBody { len: 0 });
        };
        let generation = self.key.generation;
        let old = old_id(slot, generation);
        let header = old.unwrap_or_else(|| {
            let time = self.clock.at(self.now.mono);
            self.sent.number(time, &mut self.key.seq, ContentRelation::Related)
        });
        let init = self.config.init.as_ref().filter(|_| !self.key.is_initialized);
        writer.put(header, |out| {
            write_after(calls, &slot.after, out);
            if let Some(init) = init {
                out.append(init.as_bytes());
            }
            out.append(&slot.body);
            Ok(())
        })?;
        self.wants_quick_ack |= slot.quick_ack;
        self.counters.resent += u64::from(slot.attempts > 0);
        if old.is_none() {
            self.sent.push(Sent { msg_id: header.msg_id, kind: SentKind::Call(call) });
        }
        let sent = SentAs {
            header,
            generation,
            receipt: Receipt::Unknown,
            wrapped: init.is_some(),
            reused_id: old.is_some(),
            watched: false,
        };
        calls.on_sent(call, sent, self.now.mono + self.config.limits.ask_state_after);
        Ok(())
    }

    /// Numbers, writes and remembers a service message.
    fn put(
        &mut self,
        relation: ContentRelation,
        kind: SentKind,
        writer: &mut PacketWriter<'_>,
        object: &impl Serializable,
    ) -> Result<MsgId, WriteError> {
        let header = self.number(relation);
        writer.put(header, |out| {
            put_object(out, object);
            Ok(())
        })?;
        self.sent.push(Sent { msg_id: header.msg_id, kind });
        Ok(header.msg_id)
    }

    fn number(&mut self, relation: ContentRelation) -> MessageHeader {
        self.sent.number(self.clock.at(self.now.mono), &mut self.key.seq, relation)
    }
}

/// Acknowledges what came under the key before, if that is due; returns whether a packet is in `out`.
pub(super) fn acknowledge(
    before: &mut KeySession,
    config: &ClientConfig,
    clock: &ServerClock,
    sent: &mut SentLog,
    now: Now,
    rng: &mut (impl CryptoRng + ?Sized),
    out: &mut FrameBuf,
) -> bool {
    let is_due = before.inbox.acks.is_due(now.mono, config.limits.acks_at_once);
    let Some(session_id) = before.session_id.filter(|_| is_due) else {
        return false;
    };
    let mut writer = EncryptedWriter::begin(out);
    write_ids(writer.body(), types::MsgsAck::CONSTRUCTOR_ID, before.inbox.acks.drain(MAX_IDS_PER_LIST));
    let message = sent.number(clock.at(now.mono), &mut before.seq, ContentRelation::Unrelated);
    let salt = before.salts.table.advance(clock.seconds(now.mono));
    let header = EncryptedHeader { salt, session_id, message };
    let sealed = writer.seal(&before.key, Side::Client, header, config.padding, rng);
    sent.push(Sent { msg_id: message.msg_id, kind: SentKind::Acks });
    sealed.is_ok()
}

/// Returns the id that a call is sent under again, within the session that knows it.
#[inline]
fn old_id(slot: &Slot, generation: Generation) -> Option<MessageHeader> {
    match &slot.stage {
        Stage::Queued(QueuedAs::SameId(sent)) if sent.generation == generation => Some(sent.header),
        _ => None,
    }
}

fn put_object(out: &mut FrameBuf, object: &impl Serializable) {
    // Service messages have a fixed length: nothing in them cannot be encoded.
    let _ = object.serialize(out);
}

/// Writes `invokeAfterMsg` or `invokeAfterMsgs` for the calls that were sent and have not ended.
///
/// <https://core.telegram.org/api/invoking#sequential-requests>
fn write_after(calls: &Calls, after: &[CallId], out: &mut FrameBuf) {
    if after.is_empty() {
        return;
    }
    // Those that come first were sent before, or stand in this packet in front of this call.
    let pending = || after.iter().filter_map(|call| calls.get(*call)?.msg_id());
    match pending().count() {
        0 => {}
        1 => {
            out.put_u32(INVOKE_AFTER_MSG);
            pending().for_each(|msg_id| out.put(&msg_id.to_bytes()));
        }
        count => {
            out.put_u32(INVOKE_AFTER_MSGS);
            out.put_u32(VECTOR_ID);
            out.put_u32(count as u32);
            pending().for_each(|msg_id| out.put(&msg_id.to_bytes()));
        }
    }
}
