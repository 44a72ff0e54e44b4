//! Making packets: what goes into the next one, and in which wrappers.
//!
//! One call makes one packet. Service messages ride along with calls; if there is more than one message,
//! a container is made. Bodies are copied once, from the outbox into the frame, and sealed there.

use chappe_crypto::{QuickAckToken, Side};
use chappe_framing::{
    ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, FrameError, MessageHeader, MsgId, MsgOrigin,
};
use chappe_tl::{Identifiable, Serializable, Sink};
use chappe_tl_mtproto::{functions, types};
use rand_core::CryptoRng;

use super::binding::{BINDING_LEN, Binding};
use super::epoch::{BindingState, Epoch, Role, SaltsAsked};
use super::outbox::{CallId, Outbox, SendOptions, Stage};
use super::sent::{Sent, What};
use super::{ClientSession, Link, SALT_MARGIN, SALT_PAUSE};
use crate::MAX_IDS_PER_LIST;
use crate::service::write_ids;
use crate::time::Now;

const INVOKE_AFTER_MSG: u32 = 0xcb9f_372d;
const INVOKE_AFTER_MSGS: u32 = 0x3dc4_b4f0;
const VECTOR: u32 = 0x1cb5_c415;

/// A frame is in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The transport should ask for a quick acknowledgement; it will carry this token, to be given to
    /// [`handle_quick_ack`](ClientSession::handle_quick_ack).
    pub quick_ack: Option<QuickAckToken>,
}

/// Which key a packet goes out under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Under {
    Current,
    /// Only acknowledgements go out under the key before.
    Previous,
}

/// What goes into a packet besides calls.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each message that is there once or not at all")]
struct Plan {
    acks: usize,
    replies: usize,
    state_req: bool,
    resend_req: bool,
    salts: bool,
    ping: bool,
    drops: usize,
    destroy_sessions: usize,
    destroy_key: bool,
    http_wait: bool,
}

impl Plan {
    /// Messages besides calls.
    fn messages(&self) -> usize {
        let flags = [
            self.acks > 0,
            self.state_req,
            self.resend_req,
            self.salts,
            self.ping,
            self.destroy_key,
            self.http_wait,
        ];
        flags.into_iter().filter(|flag| *flag).count() + self.replies + self.drops + self.destroy_sessions
    }
}

/// Service messages of one kind that go into one packet.
const AT_ONCE: usize = 8;

/// Where messages are put: alone into the frame, or into a container.
enum Load<'c, 'b> {
    Alone(&'c mut FrameBuf, Option<MessageHeader>),
    Container(&'c mut ContainerWriter<'b>),
}

impl Load<'_, '_> {
    fn put(
        &mut self,
        header: MessageHeader,
        write: impl FnOnce(&mut FrameBuf) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        match self {
            Self::Alone(buf, alone) => {
                debug_assert!(alone.is_none(), "a second message needs a container");
                *alone = Some(header);
                write(buf)
            }
            Self::Container(container) => container.push_with(header, write),
        }
    }
}

impl ClientSession {
    /// Makes the next packet in `out`; `None` if there is nothing to send now.
    ///
    /// To be called until it gives `None`. While no connection is up, it does.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Option<Transmit> {
        let Link::Up { .. } = self.link else {
            return None;
        };
        if self.transmit_old_acks(now, rng, out) {
            return Some(Transmit { quick_ack: None });
        }
        self.begin_binding(now);
        self.gather_calls();
        let plan = self.plan(now)?;
        let session_id = self.current.as_mut()?.session(rng);
        let count = plan.messages() + self.batch.len();
        let keeps_id =
            |call: &CallId| self.outbox.get(*call).is_some_and(|slot| slot.keeps_id && slot.era == self.era);
        // A message under its old id must not stand alone (SEC-106).
        let fits_alone = count == 1 && !self.batch.iter().any(keeps_id);
        let mut writer = EncryptedWriter::begin(out);
        let message = if fits_alone {
            let mut load = Load::Alone(writer.body(), None);
            self.load(now, plan, rng, &mut load).ok()?;
            let Load::Alone(_, header) = load else { unreachable!("it was made so above") };
            header?
        } else {
            let before = self.sent.len();
            let mut container = ContainerWriter::begin(writer.body());
            self.load(now, plan, rng, &mut Load::Container(&mut container)).ok()?;
            container.finish();
            let new = self.sent.len() - before;
            let header = self.number(now, Content::Unrelated)?;
            self.sent.push(Sent { msg_id: header.msg_id, envelope: header.msg_id, what: What::Container });
            self.sent.seal_container(new, header.msg_id);
            header
        };
        let seconds = self.clock.seconds(now.mono);
        let epoch = self.current.as_mut()?;
        let header = EncryptedHeader { salt: epoch.salts.current(seconds), session_id, message };
        let token = writer.seal(&epoch.key, Side::Client, header, self.config.padding, rng).ok()?;
        self.counters.frames_sent += 1;
        self.counters.messages_sent += count as u64;
        Some(Transmit { quick_ack: self.expect_quick_ack(token) })
    }

    /// Acknowledges what came under the key before, until the new one is bound: then the server has
    /// forgotten it and would answer -404.
    fn transmit_old_acks(
        &mut self,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> bool {
        let limits = &self.config.limits;
        let server_time = self.clock.at(now.mono);
        let is_bound = self.current.as_ref().is_some_and(|epoch| epoch.is_usable());
        let Some(epoch) = self.previous.as_mut().filter(|_| !is_bound) else {
            return false;
        };
        let Some(session_id) = epoch.session_id.filter(|_| epoch.acks.is_due(now.mono, limits.acks_at_once))
        else {
            return false;
        };
        let mut writer = EncryptedWriter::begin(out);
        write_ids(writer.body(), types::MsgsAck::CONSTRUCTOR_ID, epoch.acks.drain(MAX_IDS_PER_LIST));
        let msg_id = self.ids.next(server_time, MsgOrigin::Client);
        let message = MessageHeader { msg_id, seq_no: epoch.seq.next_unrelated() };
        let salt = epoch.salts.current(server_time.as_secs() as i64);
        let header = EncryptedHeader { salt, session_id, message };
        let sealed = writer.seal(&epoch.key, Side::Client, header, self.config.padding, rng);
        self.sent.push(Sent { msg_id, envelope: msg_id, what: What::Acks });
        sealed.is_ok()
    }

    /// Makes the call that binds a temporary key, if that has not been done.
    fn begin_binding(&mut self, now: Now) {
        let Some(epoch) = self.current.as_mut() else {
            return;
        };
        let Role::Temporary { binding: binding @ BindingState::Wanted, .. } = &mut epoch.role else {
            return;
        };
        let (call, body) = self.outbox.open();
        // Stands for its length only; the real one needs the msg_id.
        body.resize(BINDING_LEN, 0);
        *binding = BindingState::Asked(call);
        self.outbox.admit(call, SendOptions::default(), now.mono);
        if let Some(slot) = self.outbox.get_mut(call) {
            slot.is_binding = true;
        }
        self.outbox.prefer(call);
    }

    /// Moves calls from the queue to the batch of the next packet.
    fn gather_calls(&mut self) {
        self.batch.clear();
        let Some(epoch) = self.current.as_ref() else {
            return;
        };
        let limits = &self.config.limits;
        let is_usable = epoch.is_usable();
        let needs_init = self.config.init.as_ref().filter(|_| !epoch.is_initialized);
        let init_len = needs_init.map_or(0, |init| init.as_bytes().len());
        let (most, mut bytes, mut deferred) = (limits.container_messages.saturating_sub(64).max(1), 0, 0);
        while let Some(call) = self.outbox.front() {
            let Some(slot) = self.outbox.get(call) else { break };
            if !is_usable && !slot.is_binding {
                break;
            }
            let len = slot.body.len() + init_len + 16 + 12 + 8 * slot.after.len();
            let is_full = self.batch.len() >= most || bytes + len > limits.container_bytes;
            if !self.batch.is_empty() && (is_full || slot.alone) {
                break;
            }
            if waits_for_unsent(&self.outbox, &self.batch, &slot.after) {
                if deferred > self.outbox.queued() {
                    break;
                }
                deferred += 1;
                self.outbox.pop_front();
                self.outbox.push_back(call);
                continue;
            }
            let alone = slot.alone;
            bytes += len;
            self.batch.push(call);
            self.outbox.pop_front();
            if alone {
                break;
            }
        }
    }

    /// Decides which service messages go along; `None` if there is nothing at all to send.
    fn plan(&mut self, now: Now) -> Option<Plan> {
        let limits = &self.config.limits;
        let is_waiting = self.outbox.waiting() > 0 || !self.batch.is_empty();
        let wants_salts = self.wants_salts(now);
        let epoch = self.current.as_ref()?;
        let service = &self.service;
        let mut plan = Plan {
            acks: 0,
            replies: service.replies.len().min(AT_ONCE),
            state_req: !service.ask.is_empty() && service.asked_as.is_none(),
            resend_req: !service.resend.is_empty(),
            salts: wants_salts,
            ping: self.live.wants_ping(now.mono, is_waiting),
            drops: service.drop.len().min(AT_ONCE),
            destroy_sessions: service.destroy_sessions.len().min(AT_ONCE),
            destroy_key: service.destroy_key,
            http_wait: service.http_wait,
        };
        // Whether anybody wants a packet at all; acknowledgements that can wait do not, and neither do salts
        // unless they are needed, since they come with the first call.
        let has_company = !self.batch.is_empty() || plan.messages() > 0;
        if !has_company && !epoch.acks.is_due(now.mono, limits.acks_at_once) {
            return None;
        }
        plan.acks = epoch.acks.len().min(MAX_IDS_PER_LIST);
        plan.http_wait |= self.http.is_some();
        Some(plan)
    }

    fn wants_salts(&self, now: Now) -> bool {
        let Some(epoch) = self.current.as_ref() else {
            return false;
        };
        let has_paused = match epoch.salts_asked {
            SaltsAsked::Never => true,
            SaltsAsked::At(at) | SaltsAsked::Settled(at) => at + SALT_PAUSE <= now.mono,
        };
        has_paused && epoch.salts.runs_low(self.clock.seconds(now.mono), SALT_MARGIN)
    }

    /// Puts everything planned into the packet: acknowledgements first, calls last.
    fn load(
        &mut self,
        now: Now,
        plan: Plan,
        rng: &mut (impl CryptoRng + ?Sized),
        load: &mut Load<'_, '_>,
    ) -> Result<(), FrameError> {
        self.load_lists(now, plan, load)?;
        self.load_questions(now, plan, load)?;
        for _ in 0..plan.replies {
            let Some(reply) = self.service.replies.pop_front() else { break };
            self.put(now, Content::Unrelated, What::Other, load, |_, out| out.append(&reply))?;
        }
        for _ in 0..plan.drops {
            let Some((call, req_msg_id)) = self.service.drop.pop_front() else { break };
            let query = functions::RpcDropAnswer { req_msg_id: req_msg_id.to_raw() };
            self.put(now, Content::Related, What::DropAnswer(call), load, |_, out| put_object(out, &query))?;
        }
        let mut batch = core::mem::take(&mut self.batch);
        for call in batch.drain(..) {
            self.load_call(now, call, rng, load)?;
        }
        self.batch = batch;
        if plan.http_wait {
            self.service.http_wait = false;
            let wait = self.http.unwrap_or_default();
            let wait = [wait.max_delay, wait.wait_after, wait.max_wait];
            self.put(now, Content::Unrelated, What::Other, load, |_, out| {
                out.put_u32(types::HttpWait::CONSTRUCTOR_ID);
                for field in &wait {
                    out.put(&field.to_le_bytes());
                }
            })?;
        }
        Ok(())
    }

    /// Puts the messages that are lists of ids: acknowledgements, state request, resend request.
    fn load_lists(&mut self, now: Now, plan: Plan, load: &mut Load<'_, '_>) -> Result<(), FrameError> {
        if plan.acks > 0 {
            self.put(now, Content::Unrelated, What::Acks, load, |session, out| {
                if let Some(epoch) = session.current.as_mut() {
                    write_ids(out, types::MsgsAck::CONSTRUCTOR_ID, epoch.acks.drain(plan.acks));
                }
            })?;
        }
        if plan.state_req {
            let msg_id = self.put(now, Content::Unrelated, What::StateReq, load, |session, out| {
                let service = &mut session.service;
                let count = service.ask.len().min(MAX_IDS_PER_LIST);
                service.asked.clear();
                service.asked.extend(service.ask.drain(..count));
                write_ids(out, types::MsgsStateReq::CONSTRUCTOR_ID, service.asked.iter().copied());
            })?;
            self.service.asked_as = Some((msg_id, now.mono));
        }
        if plan.resend_req {
            self.put(now, Content::Unrelated, What::ResendReq, load, |session, out| {
                let resend = &mut session.service.resend;
                let count = resend.len().min(MAX_IDS_PER_LIST);
                write_ids(out, types::MsgResendReq::CONSTRUCTOR_ID, resend.drain(..count));
            })?;
        }
        Ok(())
    }

    /// Puts the questions that a service answers: salts, ping, destruction.
    fn load_questions(&mut self, now: Now, plan: Plan, load: &mut Load<'_, '_>) -> Result<(), FrameError> {
        if plan.salts {
            let num = self.config.limits.salts.clamp(1, 64) as i32;
            self.put(now, Content::Related, What::FutureSalts, load, |_, out| {
                put_object(out, &functions::GetFutureSalts { num });
            })?;
            if let Some(epoch) = self.current.as_mut() {
                epoch.salts_asked = SaltsAsked::At(now.mono);
            }
        }
        if plan.ping {
            let delay = self.live.policy().disconnect_delay.as_secs();
            let disconnect_delay = i32::try_from(delay).unwrap_or(i32::MAX);
            let ping_id = self.ids.last().map_or(1, |last| last.to_raw().wrapping_add(1));
            self.live.on_ping_sent(now.mono, ping_id);
            self.put(now, Content::Related, What::Ping, load, |_, out| {
                put_object(out, &functions::PingDelayDisconnect { ping_id, disconnect_delay });
            })?;
        }
        for _ in 0..plan.destroy_sessions {
            let Some(session_id) = self.service.destroy_sessions.pop_front() else { break };
            let query = functions::DestroySession { session_id: session_id.to_raw() };
            self.put(now, Content::Related, What::DestroySession(session_id), load, |_, out| {
                put_object(out, &query);
            })?;
        }
        if plan.destroy_key {
            self.service.destroy_key = false;
            self.put(now, Content::Related, What::DestroyAuthKey, load, |_, out| {
                put_object(out, &functions::DestroyAuthKey {});
            })?;
        }
        Ok(())
    }

    /// Numbers a message, puts it, and remembers it.
    fn put(
        &mut self,
        now: Now,
        content: Content,
        what: What,
        load: &mut Load<'_, '_>,
        write: impl FnOnce(&mut Self, &mut FrameBuf),
    ) -> Result<MsgId, FrameError> {
        let header = self.number(now, content).ok_or(FrameError::UnsendableBody { len: 0 })?;
        load.put(header, |out| {
            write(self, out);
            Ok(())
        })?;
        self.sent.push(Sent { msg_id: header.msg_id, envelope: header.msg_id, what });
        Ok(header.msg_id)
    }

    fn load_call(
        &mut self,
        now: Now,
        call: CallId,
        rng: &mut (impl CryptoRng + ?Sized),
        load: &mut Load<'_, '_>,
    ) -> Result<(), FrameError> {
        let old = self.outbox.get(call).filter(|slot| slot.keeps_id && slot.era == self.era);
        let old = old.map(|slot| MessageHeader { msg_id: slot.msg_id, seq_no: slot.seq_no });
        let header = match old {
            Some(header) => header,
            None => self.number(now, Content::Related).ok_or(FrameError::UnsendableBody { len: 0 })?,
        };
        let msg_id = header.msg_id;
        let epoch = self.current.as_deref();
        let init = self.config.init.as_ref().filter(|_| epoch.is_some_and(|epoch| !epoch.is_initialized));
        let Some(slot) = self.outbox.get(call) else {
            return Err(FrameError::UnsendableBody { len: 0 });
        };
        let is_binding = slot.is_binding;
        load.put(header, |out| {
            if is_binding {
                if let Some(binding) = epoch.and_then(|epoch| binding_of(epoch, self.permanent.as_ref())) {
                    binding.write(msg_id, rng, out);
                }
                return Ok(());
            }
            write_after(&self.outbox, &slot.after, out);
            if let Some(init) = init {
                out.append(init.as_bytes());
            }
            out.append(&slot.body);
            Ok(())
        })?;
        let is_wrapped = init.is_some() && !is_binding;
        let is_again = slot.attempts > 0;
        self.wants_quick_ack |= slot.quick_ack;
        self.counters.resent += u64::from(is_again);
        if old.is_none() {
            self.sent.push(Sent { msg_id, envelope: msg_id, what: What::Call(call) });
        }
        let ask_at = now.mono + self.config.limits.ask_state_after;
        if let Some(slot) = self.outbox.get_mut(call) {
            slot.keeps_id = old.is_some();
            slot.wrapped = is_wrapped;
            slot.era = self.era;
        }
        self.outbox.on_sent(call, header, ask_at);
        Ok(())
    }

    fn number(&mut self, now: Now, content: Content) -> Option<MessageHeader> {
        let epoch = self.current.as_mut()?;
        let msg_id = self.ids.next(self.clock.at(now.mono), MsgOrigin::Client);
        let seq_no = match content {
            Content::Related => epoch.seq.next_content_related(),
            Content::Unrelated => epoch.seq.next_unrelated(),
        };
        Some(MessageHeader { msg_id, seq_no })
    }

    /// Remembers which calls a quick acknowledgement of the packet just made will speak of.
    fn expect_quick_ack(&mut self, token: QuickAckToken) -> Option<QuickAckToken> {
        const MOST: usize = 256;
        if !core::mem::take(&mut self.wants_quick_ack) {
            return None;
        }
        let last = self.ids.last()?;
        let mut wanted = None;
        let members = self.sent.members(last).chain(self.sent.get(last));
        for sent in members {
            let What::Call(call) = sent.what else { continue };
            if self.outbox.get(call).is_some_and(|slot| slot.quick_ack) && self.quick_acks.len() < MOST {
                self.quick_acks.push_back((token, call));
                wanted = Some(token);
            }
        }
        wanted
    }

    /// Drops notes about messages sent long ago.
    pub(super) fn compact(&mut self, now: Now) {
        if !self.sent.wants_compaction() {
            return;
        }
        let limits = &self.config.limits;
        let oldest = self.clock.at(now.mono).saturating_sub(limits.sent_memory);
        let mut services_left = self.sent.len().saturating_sub(limits.sent_service_ids);
        let outbox = &self.outbox;
        self.sent.compact(|sent| match sent.what {
            // An answer may come under any id the call was ever sent with.
            What::Call(call) => outbox.get(call).is_some(),
            _ if services_left > 0 => {
                services_left -= 1;
                false
            }
            _ => sent.msg_id.time() >= oldest,
        });
    }
}

/// Whether a message needs an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Related,
    Unrelated,
}

fn put_object(out: &mut FrameBuf, object: &impl Serializable) {
    // Objects of fixed length: there is nothing in them that cannot be encoded.
    let _ = object.serialize(out);
}

fn binding_of<'a>(epoch: &'a Epoch, permanent: Option<&'a chappe_crypto::AuthKey>) -> Option<Binding<'a>> {
    let Role::Temporary { expires_at, .. } = epoch.role else {
        return None;
    };
    Some(Binding {
        permanent: permanent?,
        temporary: epoch.key.id(),
        session_id: epoch.session_id?,
        expires_at: expires_at as i32,
    })
}

/// Tells whether a call that must come first waits to be sent, and not in this packet.
fn waits_for_unsent(outbox: &Outbox, batch: &[CallId], after: &[CallId]) -> bool {
    after.iter().any(|call| {
        outbox.get(*call).is_some_and(|slot| slot.stage == Stage::Queued) && !batch.contains(call)
    })
}

/// Writes `invokeAfterMsg` or `invokeAfterMsgs` for the calls that have not ended.
fn write_after(outbox: &Outbox, after: &[CallId], out: &mut FrameBuf) {
    let pending = || after.iter().filter_map(|call| outbox.get(*call)).map(|slot| slot.msg_id);
    match pending().count() {
        0 => {}
        1 => {
            out.put_u32(INVOKE_AFTER_MSG);
            pending().for_each(|msg_id| out.put(&msg_id.to_bytes()));
        }
        count => {
            out.put_u32(INVOKE_AFTER_MSGS);
            out.put_u32(VECTOR);
            out.put_u32(count as u32);
            pending().for_each(|msg_id| out.put(&msg_id.to_bytes()));
        }
    }
}
