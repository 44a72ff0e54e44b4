//! Filling a packet: each message is numbered, written, and remembered.
//!
//! Acknowledgements come first and calls last, each call in the wrappers it needs.

use chappe_framing::{ContainerWriter, FrameBuf, FrameError, MessageHeader, MsgId, MsgOrigin};
use chappe_tl::{Identifiable, Serializable, Sink};
use chappe_tl_mtproto::{functions, types};
use rand_core::CryptoRng;

use super::ClientSession;
use super::binding::Binding;
use super::call::CallId;
use super::epoch::{Epoch, Role, SaltsAsked};
use super::outbox::Outbox;
use super::sent::{Sent, What};
use super::service_queue::SERVICE_QUEUE;
use super::transmit::Plan;
use crate::MAX_IDS_PER_LIST;
use crate::service::write_ids;
use crate::time::Now;

const INVOKE_AFTER_MSG: u32 = 0xcb9f_372d;
const INVOKE_AFTER_MSGS: u32 = 0x3dc4_b4f0;
const VECTOR: u32 = 0x1cb5_c415;

/// Where messages are put: alone into the frame, or into a container.
pub(super) enum Load<'c, 'b> {
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

/// Whether a message needs an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Related,
    Unrelated,
}

impl ClientSession {
    /// Puts everything planned into the packet: acknowledgements first, calls last.
    pub(super) fn load(
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
        if !self.outbox.batch.is_empty() {
            let mut batch = core::mem::take(&mut self.outbox.batch);
            for call in batch.drain(..) {
                self.load_call(now, call, rng, load)?;
            }
            self.outbox.batch = batch;
        }
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
                let service = &mut *session.service;
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
            let delay = self.liveness().disconnect_delay.as_secs();
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
            let msg_id = self.put(now, Content::Related, What::DestroySession, load, |_, out| {
                put_object(out, &query);
            })?;
            let destroying = &mut self.service.destroying;
            destroying.retain(|entry| entry.1 != session_id);
            if destroying.len() < SERVICE_QUEUE {
                destroying.push_back((msg_id, session_id));
            }
        }
        if plan.destroy_key {
            self.service.destroy_key = false;
            self.put(now, Content::Related, What::DestroyAuthKey, load, |_, out| {
                put_object(out, &functions::DestroyAuthKey {});
            })?;
        }
        Ok(())
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
            self.sent.push(Sent { msg_id, what: What::Call(call) });
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
        self.sent.push(Sent { msg_id: header.msg_id, what });
        Ok(header.msg_id)
    }

    pub(super) fn number(&mut self, now: Now, content: Content) -> Option<MessageHeader> {
        let epoch = self.current.as_mut()?;
        let msg_id = self.ids.next(self.clock.at(now.mono), MsgOrigin::Client);
        let seq_no = match content {
            Content::Related => epoch.seq.next_content_related(),
            Content::Unrelated => epoch.seq.next_unrelated(),
        };
        Some(MessageHeader { msg_id, seq_no })
    }
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
