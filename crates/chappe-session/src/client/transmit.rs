//! Making packets: what goes into the next one, and in which wrappers.
//!
//! One call makes one packet. Service messages ride along with calls; if there is more than one message,
//! a container is made. Bodies are copied once, from the outbox into the frame, and sealed there.

use core::time::Duration;

use chappe_crypto::{QuickAckToken, Side};
use chappe_framing::{ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgOrigin};
use chappe_tl::Identifiable;
use chappe_tl_mtproto::types;
use rand_core::CryptoRng;

use super::binding::BINDING_LEN;
use super::call::{CallId, SendOptions};
use super::epoch::{BindingState, Epoch, Role, SaltsAsked};
use super::load::{Content, Load};
use super::outbox::Room;
use super::sent::{Sent, What};
use super::{ClientSession, Link, SALT_MARGIN, SALT_PAUSE};
use crate::service::write_ids;
use crate::time::Now;
use crate::{MAX_IDS_PER_LIST, Transmit};

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
pub(super) struct Plan {
    pub(super) acks: usize,
    pub(super) replies: usize,
    pub(super) state_req: bool,
    pub(super) resend_req: bool,
    pub(super) salts: bool,
    pub(super) ping: bool,
    pub(super) drops: usize,
    pub(super) destroy_sessions: usize,
    pub(super) destroy_key: bool,
    pub(super) http_wait: bool,
}

impl Plan {
    /// Messages besides calls.
    #[inline]
    pub(super) fn messages(&self) -> usize {
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
        self.compact(now);
        self.begin_binding(now);
        self.gather_calls();
        let plan = self.plan(now)?;
        let session_id = self.current.as_mut()?.session(rng);
        let count = plan.messages() + self.outbox.batch.len();
        let mut writer = EncryptedWriter::begin(out);
        let message = if count == 1 && !self.keeps_old_id() {
            let mut load = Load::Alone(writer.body(), None);
            self.load(now, &plan, rng, &mut load).ok()?;
            let Load::Alone(_, header) = load else { unreachable!("it was made so above") };
            header?
        } else {
            let before = self.sent.len();
            let mut container = ContainerWriter::begin(writer.body());
            self.load(now, &plan, rng, &mut Load::Container(&mut container)).ok()?;
            container.finish();
            let new = self.sent.len() - before;
            let header = self.number(now, Content::Unrelated)?;
            self.sent.push(Sent { msg_id: header.msg_id, what: What::Container });
            self.sent.seal_container(new);
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

    /// Tells whether a call in the batch goes under its old id: such a message must not stand alone (SEC-106).
    #[inline]
    fn keeps_old_id(&self) -> bool {
        let keeps_id =
            |call: &CallId| self.outbox.get(*call).is_some_and(|slot| slot.keeps_id && slot.era == self.era);
        self.outbox.batch.iter().any(keeps_id)
    }

    /// Returns the key before if what comes under it is still acknowledged.
    #[inline]
    pub(super) fn previous_to_ack(&self) -> Option<&Epoch> {
        let is_bound = self.current.as_ref().is_some_and(|epoch| epoch.is_usable());
        self.previous.as_deref().filter(|_| !is_bound)
    }

    /// Acknowledges what came under the key before, until the new one is bound: then the server has
    /// forgotten it and would answer -404.
    fn transmit_old_acks(
        &mut self,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> bool {
        if self.previous_to_ack().is_none() {
            return false;
        }
        let limits = &self.config.limits;
        let server_time = self.clock.at(now.mono);
        let Some(epoch) = self.previous.as_mut() else {
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
        self.sent.push(Sent { msg_id, what: What::Acks });
        sealed.is_ok()
    }

    /// Makes the call that binds a temporary key, if that has not been done.
    #[inline]
    fn begin_binding(&mut self, now: Now) {
        let Some(epoch) = self.current.as_mut() else {
            return;
        };
        let Role::Temporary { binding: binding @ BindingState::Wanted, .. } = &mut epoch.role else {
            return;
        };
        let (call, body) = self.outbox.open(self.calls);
        self.calls = self.calls.wrapping_add(1);
        // Stands for its length only; the real one needs the msg_id.
        body.resize(BINDING_LEN, 0);
        *binding = BindingState::Asked(call);
        self.outbox.admit(call, &mut SendOptions::default(), now.mono);
        if let Some(slot) = self.outbox.get_mut(call) {
            slot.is_binding = true;
        }
        self.outbox.prefer(call);
    }

    /// Moves calls from the queue to the batch of the next packet.
    #[inline]
    fn gather_calls(&mut self) {
        let Some(outbox) = self.outbox.present_mut() else {
            return;
        };
        let Some(epoch) = self.current.as_ref().filter(|_| outbox.queued() > 0) else {
            outbox.batch.clear();
            return;
        };
        let limits = &self.config.limits;
        let init = self.config.init.as_ref().filter(|_| !epoch.is_initialized);
        outbox.gather(&Room {
            messages: limits.container_messages.saturating_sub(64).max(1),
            bytes: limits.container_bytes,
            around: MessageHeader::LEN + init.map_or(0, |init| init.as_bytes().len()),
            binding_only: !epoch.is_usable(),
        });
    }

    /// Decides which service messages go along; `None` if there is nothing at all to send.
    #[inline]
    fn plan(&mut self, now: Now) -> Option<Plan> {
        let limits = &self.config.limits;
        let is_waiting = self.outbox.waiting() > 0 || !self.outbox.batch.is_empty();
        let wants_salts = self.wants_salts(now);
        let epoch = self.current.as_ref()?;
        let service = &self.service;
        let mut plan = Plan {
            acks: 0,
            replies: service.replies.len().min(AT_ONCE),
            state_req: !service.ask.is_empty() && service.asked_as.is_none(),
            resend_req: !service.resend.is_empty(),
            salts: wants_salts,
            ping: self.live.wants_ping(self.liveness(), now.mono, is_waiting),
            drops: service.drop.len().min(AT_ONCE),
            destroy_sessions: service.destroy_sessions.len().min(AT_ONCE),
            destroy_key: service.destroy_key,
            http_wait: service.http_wait,
        };
        // Whether anybody wants a packet at all; acknowledgements that can wait do not, and neither do salts
        // unless they are needed, since they come with the first call.
        let has_company = !self.outbox.batch.is_empty() || plan.messages() > 0;
        if !has_company && !epoch.acks.is_due(now.mono, limits.acks_at_once) {
            return None;
        }
        plan.acks = epoch.acks.len().min(MAX_IDS_PER_LIST);
        plan.http_wait |= self.http.is_some();
        Some(plan)
    }

    #[inline]
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

    /// Remembers which calls a quick acknowledgement of the packet just made will speak of.
    #[inline]
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
            if self.outbox.get(call).is_some_and(|slot| slot.quick_ack)
                && self.service.quick_acks.len() < MOST
            {
                self.service.quick_acks.push_back((token, call));
                wanted = Some(token);
            }
        }
        wanted
    }

    /// Drops notes about messages sent long ago.
    #[inline]
    pub(super) fn compact(&mut self, now: Now) {
        if self.sent.wants_compaction() {
            let limits = &self.config.limits;
            self.drop_sent(now, limits.sent_memory, limits.sent_service_ids);
        }
    }

    /// Drops notes about messages sent longer ago than `memory`, and all but the last `services` service messages
    /// of those that are left.
    pub(super) fn drop_sent(&mut self, now: Now, memory: Duration, services: usize) {
        let oldest = self.clock.at(now.mono).saturating_sub(memory);
        let mut services_left = self.sent.services().saturating_sub(services);
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
