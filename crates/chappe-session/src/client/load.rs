//! Filling a packet: each message is numbered, written, and remembered.
//!
//! Acknowledgements come first and calls last, each call in the wrappers it needs.

use chappe_framing::{ContainerWriter, FrameBuf, MessageHeader, MsgId, MsgOrigin, WriteError};
use chappe_tl::{Identifiable, Serializable, Sink};
use chappe_tl_mtproto::{functions, types};
use rand_core::CryptoRng;

use super::ClientSession;
use super::binding::Binding;
use super::call::CallId;
use super::epoch::{Epoch, Role, SaltsAsked};
use super::outbox::{Departure, Outbox};
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
        write: impl FnOnce(&mut FrameBuf) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
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
        plan: &Plan,
        rng: &mut (impl CryptoRng + ?Sized),
        load: &mut Load<'_, '_>,
    ) -> Result<(), WriteError> {
        if plan.messages() > 0 {
            self.load_lists(now, plan, load)?;
            self.load_questions(now, plan, load)?;
            self.load_replies(now, plan, load)?;
        }
        for place in 0..self.outbox.batch.len() {
            let call = self.outbox.batch[place];
            self.load_call(now, call, rng, load)?;
        }
        Ok(())
    }

    /// Puts the messages that are lists of ids: acknowledgements, state request, resend request.
    fn load_lists(&mut self, now: Now, plan: &Plan, load: &mut Load<'_, '_>) -> Result<(), WriteError> {
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
                // Never more than a list may hold.
                let resend = core::mem::take(&mut session.service.resend);
                write_ids(out, types::MsgResendReq::CONSTRUCTOR_ID, resend.iter().copied());
            })?;
        }
        Ok(())
    }

    /// Puts the questions that a service answers: salts, ping, destruction.
    fn load_questions(&mut self, now: Now, plan: &Plan, load: &mut Load<'_, '_>) -> Result<(), WriteError> {
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

    /// Puts answers to the server, answers that are given up, and what keeps an HTTP request open.
    fn load_replies(&mut self, now: Now, plan: &Plan, load: &mut Load<'_, '_>) -> Result<(), WriteError> {
        for _ in 0..plan.replies {
            let Some(reply) = self.service.replies.pop_front() else { break };
            self.put(now, Content::Unrelated, What::Other, load, |_, out| out.append(&reply))?;
        }
        for _ in 0..plan.drops {
            let Some((call, req_msg_id)) = self.service.drop.pop_front() else { break };
            let query = functions::RpcDropAnswer { req_msg_id: req_msg_id.to_raw() };
            self.put(now, Content::Related, What::DropAnswer(call), load, |_, out| put_object(out, &query))?;
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

    #[inline]
    fn load_call(
        &mut self,
        now: Now,
        call: CallId,
        rng: &mut (impl CryptoRng + ?Sized),
        load: &mut Load<'_, '_>,
    ) -> Result<(), WriteError> {
        let outbox = &mut *self.outbox;
        let Some((slot, epoch)) = outbox.get(call).zip(self.current.as_deref_mut()) else {
            return Err(WriteError::UnsendableBody { len: 0 });
        };
        let kept_id = slot.keeps_id && slot.era == self.era;
        let header = if kept_id {
            MessageHeader { msg_id: slot.msg_id, seq_no: slot.seq_no }
        } else {
            let msg_id = self.ids.next(self.clock.at(now.mono), MsgOrigin::Client);
            MessageHeader { msg_id, seq_no: epoch.seq.next_content_related() }
        };
        let msg_id = header.msg_id;
        let init = self.config.init.as_ref().filter(|_| !epoch.is_initialized && !slot.is_binding);
        load.put(header, |out| {
            if slot.is_binding {
                if let Some(binding) = binding_of(epoch, self.permanent.as_ref()) {
                    binding.write(msg_id, rng, out);
                }
                return Ok(());
            }
            write_after(outbox, &slot.after, out);
            if let Some(init) = init {
                out.append(init.as_bytes());
            }
            out.append(&slot.body);
            Ok(())
        })?;
        self.wants_quick_ack |= slot.quick_ack;
        self.counters.resent += u64::from(slot.attempts > 0);
        if !kept_id {
            self.sent.push(Sent { msg_id, what: What::Call(call) });
        }
        let departure = Departure { header, kept_id, wrapped: init.is_some(), era: self.era };
        outbox.on_sent(call, departure, now.mono + self.config.limits.ask_state_after);
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
    ) -> Result<MsgId, WriteError> {
        let header = self.number(now, content).ok_or(WriteError::UnsendableBody { len: 0 })?;
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
    if after.is_empty() {
        return;
    }
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
