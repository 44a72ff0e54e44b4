//! Service messages of a client, and what they are answered with.

use alloc::vec::Vec;
use core::time::Duration;

use chappe_framing::MsgId;
use chappe_tl::{Identifiable, Serializable, Sink};
use chappe_tl_mtproto::types;
use chappe_types::Rule;

use super::hold::Hold;
use super::{ServerEvent, ServerSession};
use crate::MAX_IDS_PER_LIST;
use crate::service::{Ids, RPC_ANSWER_DROPPED, RPC_ANSWER_DROPPED_RUNNING, RPC_ANSWER_UNKNOWN, Service};
use crate::time::Now;

impl ServerSession {
    pub(super) fn on_service(&mut self, now: Now, msg_id: MsgId, service: Service<'_>) {
        match service {
            Service::MsgsAck(ids) if ids.len() > MAX_IDS_PER_LIST => {
                self.counters.refused.count(Rule::new(103));
            }
            Service::MsgsAck(ids) => {
                for id in ids.iter() {
                    if self.outgoing.ack(id) {
                        self.log.plain(ServerEvent::Acked { msg_id: id });
                    }
                }
            }
            Service::StateReq(ids) => self.tell_states(msg_id, ids),
            Service::ResendReq(ids) => self.resend(msg_id, ids),
            Service::Ping { ping_id, disconnect_delay } => {
                self.on_ping(now, msg_id, ping_id, disconnect_delay);
            }
            Service::GetFutureSalts { count } => self.tell_salts(now, msg_id, count),
            Service::DropAnswer { req_msg_id } => self.on_drop_answer(msg_id, req_msg_id),
            Service::DestroySession { session_id } => {
                self.log.plain(ServerEvent::DestroySession { session_id });
            }
            Service::DestroyAuthKey => self.log.plain(ServerEvent::DestroyAuthKey),
            Service::HttpWait(wait) => {
                // The last one in a container counts.
                let mut hold = Hold::new(wait, now.mono);
                if self.has_messages() {
                    hold.on_message(now.mono);
                }
                self.hold = self.is_http.then_some(hold);
                self.log.plain(ServerEvent::HttpWait(wait.clamped()));
            }
            // Answers of the client to questions of ours, and what only a server says.
            _ => {}
        }
    }

    fn on_ping(&mut self, now: Now, msg_id: MsgId, ping_id: i64, disconnect_delay: Option<i32>) {
        if let Some(delay) = disconnect_delay {
            let delay = Duration::from_secs(u64::try_from(delay).unwrap_or(0));
            self.disconnect_at = Some(now.mono + delay.min(self.config.disconnect_delay));
        }
        self.reply(|out| {
            out.put_u32(types::Pong::CONSTRUCTOR_ID);
            out.put(&msg_id.to_bytes());
            out.put(&ping_id.to_le_bytes());
        });
    }

    fn tell_salts(&mut self, now: Now, msg_id: MsgId, count: i32) {
        let salts = self.salts.clone();
        let future = salts.future(self.key.id(), now.unix, count);
        self.reply(|out| {
            out.put_u32(types::FutureSalts::CONSTRUCTOR_ID);
            out.put(&msg_id.to_bytes());
            out.put(&now.unix.to_tl_int().to_le_bytes());
            out.put_u32(future.len() as u32);
            for salt in future {
                out.put(&(salt.valid_since as u32).to_le_bytes());
                out.put(&(salt.valid_until as u32).to_le_bytes());
                out.put(&salt.salt.to_raw().to_le_bytes());
            }
        });
    }

    fn tell_states(&mut self, msg_id: MsgId, ids: Ids<'_>) {
        if ids.len() > MAX_IDS_PER_LIST {
            self.counters.refused.count(Rule::new(103));
            return;
        }
        let info: Vec<u8> = ids.iter().map(|id| self.status_of(id)).collect();
        self.reply(|out| {
            out.put_u32(types::MsgsStateInfo::CONSTRUCTOR_ID);
            out.put(&msg_id.to_bytes());
            // Cannot fail: the list is far shorter than a TL string may be.
            let _ = info.serialize(out);
        });
    }

    /// Sends messages again; if one of them is unknown, says what is known of them all instead (SEC-105).
    fn resend(&mut self, msg_id: MsgId, ids: Ids<'_>) {
        if ids.len() > MAX_IDS_PER_LIST {
            self.counters.refused.count(Rule::new(103));
        } else if ids.iter().all(|id| self.outgoing.get(id).is_some()) {
            ids.iter().for_each(|id| self.outgoing.repeat(id));
        } else {
            self.counters.refused.count(Rule::new(105));
            self.tell_states(msg_id, ids);
        }
    }

    fn on_drop_answer(&mut self, msg_id: MsgId, req_msg_id: MsgId) {
        let mut answer = Vec::new();
        if self.running.contains(&req_msg_id) {
            self.end_query(req_msg_id);
            self.log.plain(ServerEvent::Dropped { req_msg_id });
            answer.put_u32(RPC_ANSWER_DROPPED_RUNNING);
            self.answer(req_msg_id, answer.clone());
        } else if let Some((dropped, message)) = self.outgoing.take_answer(req_msg_id) {
            answer.put_u32(RPC_ANSWER_DROPPED);
            answer.put(&dropped.to_bytes());
            answer.put(&message.seq_no.to_raw().to_le_bytes());
            answer.put(&(message.len() as i32).to_le_bytes());
        } else {
            answer.put_u32(RPC_ANSWER_UNKNOWN);
        }
        self.answer(msg_id, answer);
    }

    /// Answers in an `rpc_result` whatever waits already: these answers are small.
    ///
    /// Beyond the bound of what may wait they are left out (SEC-175): the client acknowledges nothing.
    fn answer(&mut self, req_msg_id: MsgId, result: Vec<u8>) {
        if self.outgoing.len() >= self.config.unacked_messages {
            self.counters.refused.count(Rule::new(175));
            return;
        }
        self.outgoing.push(Some(req_msg_id), result);
    }
}

/// Whether a service message is answered, which acknowledges it.
pub(super) fn has_answer(service: &Service<'_>) -> bool {
    matches!(
        service,
        Service::Ping { .. }
            | Service::GetFutureSalts { .. }
            | Service::StateReq(_)
            | Service::DropAnswer { .. }
            | Service::DestroySession { .. }
            | Service::DestroyAuthKey
    )
}
