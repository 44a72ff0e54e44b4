//! Answers to calls and to service messages.

use chappe_framing::{FrameError, GZIP_PACKED, MessageHeader, MsgId, RPC_ERROR, constructor_id};
use chappe_tl::Identifiable;
use chappe_tl::deserialize::Cursor;
use chappe_tl_mtproto::types;
use chappe_types::Rule;

use super::call::{CallId, Stage};
use super::epoch::{BindingState, Role, SaltsAsked};
use super::event::{Record, Span, text};
use super::keys::Sign;
use super::receive::Origin;
use super::sent::What;
use super::service_queue::SERVICE_QUEUE;
use super::{AuthorizationTrouble, CallFailure, ClientSession, DropOutcome, Event};
use crate::service::{RPC_ANSWER_DROPPED, RPC_ANSWER_DROPPED_RUNNING, Service, Status};

const BOOL_TRUE: u32 = 0x9972_75b5;

/// Where the text of an `rpc_error` starts if it is shorter than 254 bytes: behind id, code and length.
const ERROR_TEXT_AT: usize = 9;

impl ClientSession {
    pub(super) fn on_rpc_result(
        &mut self,
        origin: Origin,
        msg_id: MsgId,
        req_msg_id: MsgId,
        result: &[u8],
        span: Span,
    ) -> Result<(), FrameError> {
        let id = constructor_id(result)?;
        if id == GZIP_PACKED {
            return self.with_unpacked(origin, result, |session, origin, result, span| {
                session.on_rpc_result(origin, msg_id, req_msg_id, result, span)
            });
        }
        let Some(sent) = self.sent.take_notice(req_msg_id) else {
            self.count_unmatched();
            return Ok(());
        };
        let change = self.clock.observe_answer(origin.now.mono, msg_id, req_msg_id);
        self.note_clock(origin.now, change);
        match sent.what {
            What::Call(call) if self.outbox.get(call).is_none() => self.count_unmatched(),
            What::Call(call) if id == RPC_ERROR => self.on_rpc_error(origin, call, result, span)?,
            What::Call(call) => self.on_answer(origin, call, id, span),
            What::DropAnswer(call) => self.on_drop_answer(call, id),
            // An error to a service message of ours: it must not stop anything.
            what => self.settle_service(origin, what),
        }
        Ok(())
    }

    fn count_unmatched(&mut self) {
        self.counters.unmatched += 1;
        self.counters.refused.count(Rule::new(98));
    }

    fn settle_service(&mut self, origin: Origin, what: What) {
        if what == What::FutureSalts
            && let Some(epoch) = self.epoch(origin.under)
        {
            epoch.salts_asked = SaltsAsked::Settled(origin.now.mono);
        }
    }

    fn on_answer(&mut self, origin: Origin, call: CallId, id: u32, span: Span) {
        let Some(slot) = self.outbox.get(call) else {
            return;
        };
        let (is_binding, wrapped, cancelled) = (slot.is_binding, slot.wrapped, slot.cancelled);
        self.on_success();
        if is_binding {
            self.outbox.end(call);
            if id == BOOL_TRUE {
                self.on_bound(call);
            } else {
                self.on_key_sign(origin.now, Sign::TemporaryUnusable);
            }
            return;
        }
        if id == RPC_ANSWER_DROPPED_RUNNING && cancelled {
            self.fail(call, CallFailure::Cancelled(DropOutcome::Running));
            return;
        }
        if wrapped && let Some(epoch) = self.epoch(origin.under) {
            epoch.is_initialized = true;
        }
        self.outbox.end(call);
        self.events.push(Record::Answer(call, span));
    }

    /// The server answers: whatever went wrong before has been overcome.
    fn on_success(&mut self) {
        self.resets = 0;
        self.complaints = 0;
        self.key_signs = 0;
    }

    fn on_bound(&mut self, call: CallId) {
        let Some(epoch) = self.current.as_mut() else {
            return;
        };
        if let Role::Temporary { binding, .. } = &mut epoch.role
            && *binding == BindingState::Asked(call)
        {
            *binding = BindingState::Bound;
            epoch.is_initialized = false;
            self.key_wanted_at = None;
            if let Some(before) = self.previous.as_mut() {
                before.acks.clear();
            }
            self.events.plain(Event::TemporaryKeyBound);
        }
    }

    fn on_rpc_error(
        &mut self,
        origin: Origin,
        call: CallId,
        result: &[u8],
        span: Span,
    ) -> Result<(), FrameError> {
        let mut cursor = Cursor::from_slice(result);
        cursor.expect_id("rpc_error", RPC_ERROR)?;
        let code = cursor.read_i32()?;
        let message = cursor.read_bytes()?;
        cursor.finish()?;
        let is_short = message.len() < 254;
        let span = span.part(ERROR_TEXT_AT + if is_short { 0 } else { 3 }, message.len());
        let Some(slot) = self.outbox.get(call) else {
            return Ok(());
        };
        let message = text(message);
        if slot.is_binding {
            self.outbox.end(call);
            self.on_binding_error(origin, call, code, message);
            return Ok(());
        }
        self.on_success();
        if self.goes_again(origin, call, code, message) {
            return Ok(());
        }
        self.outbox.end(call);
        self.events.push(Record::CallError(call, code, span));
        self.on_authorization_error(code, message);
        Ok(())
    }

    /// Sends a call again if the error says no more than that it came in the wrong wrapper or too early.
    fn goes_again(&mut self, origin: Origin, call: CallId, code: i32, message: &str) -> bool {
        let Some(slot) = self.outbox.get(call) else {
            return false;
        };
        let (attempts, chained) = (slot.attempts, !slot.after.is_empty());
        if attempts >= self.config.limits.attempts {
            return false;
        }
        match (code, message) {
            (400, "CONNECTION_NOT_INITED" | "CONNECTION_LAYER_INVALID") if self.config.init.is_some() => {
                if let Some(epoch) = self.epoch(origin.under) {
                    epoch.is_initialized = false;
                }
            }
            (400, "MSG_WAIT_FAILED" | "MSG_WAIT_TIMEOUT") if chained => {}
            (401, "AUTH_KEY_PERM_EMPTY") if self.permanent.is_some() => {
                if let Some(Role::Temporary { binding: binding @ BindingState::Bound, .. }) =
                    self.epoch(origin.under).map(|epoch| &mut epoch.role)
                {
                    *binding = BindingState::Wanted;
                }
            }
            _ => return false,
        }
        self.requeue(&[call]);
        true
    }

    fn on_authorization_error(&mut self, code: i32, message: &str) {
        let trouble = match (code, message) {
            (406, "AUTH_KEY_DUPLICATED") => AuthorizationTrouble::Duplicated,
            (401, "AUTH_KEY_UNREGISTERED") => AuthorizationTrouble::Unregistered,
            (401, "AUTH_KEY_INVALID") => AuthorizationTrouble::Invalid,
            (401, "SESSION_REVOKED") => AuthorizationTrouble::SessionRevoked,
            (401, "SESSION_EXPIRED") => AuthorizationTrouble::SessionExpired,
            (401, "USER_DEACTIVATED" | "USER_DEACTIVATED_BAN") => AuthorizationTrouble::UserDeactivated,
            _ => return,
        };
        if trouble.is_terminal() {
            self.terminate(trouble);
        } else {
            self.events.plain(Event::Authorization(trouble));
        }
    }

    fn on_binding_error(&mut self, origin: Origin, call: CallId, code: i32, message: &str) {
        let is_current = self.current.as_ref().is_some_and(|epoch| {
            matches!(epoch.role, Role::Temporary { binding: BindingState::Asked(asked), .. } if asked == call)
        });
        if !is_current {
            return;
        }
        match (code, message) {
            (400, "ENCRYPTED_MESSAGE_INVALID") => self.on_key_sign(origin.now, Sign::BindingInvalid),
            _ => self.on_key_sign(origin.now, Sign::TemporaryUnusable),
        }
    }

    fn on_drop_answer(&mut self, call: CallId, id: u32) {
        let outcome = match id {
            RPC_ANSWER_DROPPED_RUNNING => DropOutcome::Running,
            RPC_ANSWER_DROPPED => DropOutcome::Dropped,
            _ => DropOutcome::Unknown,
        };
        self.fail(call, CallFailure::Cancelled(outcome));
    }

    pub(super) fn on_service(
        &mut self,
        origin: Origin,
        msg_id: MsgId,
        service: Service<'_>,
        span: Span,
    ) -> Result<(), FrameError> {
        let now = origin.now;
        self.learn_time(origin, msg_id, &service);
        match service {
            Service::MsgsAck(ids) => {
                // The list cannot be longer than a frame; ids we do not know cost a look-up each.
                ids.iter().for_each(|id| self.on_acked(id));
            }
            Service::BadMsg(bad) => self.on_bad_msg(origin, msg_id, bad),
            Service::StateReq(ids) => self.on_state_req(origin, msg_id, ids),
            Service::StateInfo { req_msg_id, info } => self.on_state_info(origin, req_msg_id, info),
            Service::AllInfo { ids, info } => self.on_all_info(origin, ids, info),
            Service::DetailedInfo { msg_id, answer, status, .. } => {
                self.on_detailed_info(origin, msg_id, answer, Status(status));
            }
            Service::ResendReq(ids) => self.on_resend_req(origin, msg_id, ids),
            Service::FutureSalts { req_msg_id, salts } => self.on_future_salts(origin, req_msg_id, salts),
            Service::Pong { ping_id, .. } => {
                if !self.live.on_pong(now.mono, ping_id) {
                    self.counters.refused.count(Rule::new(108));
                }
            }
            Service::SessionDestroyed { session_id, existed } => {
                if let Some(service) = self.service.present_mut() {
                    service.destroying.retain(|entry| entry.1 != session_id);
                }
                self.events.plain(Event::SessionDestroyed { session_id, existed });
            }
            Service::NewSession { first_msg_id, unique_id, salt } => {
                self.on_new_session(origin, first_msg_id, unique_id, salt);
            }
            Service::KeyDestroyed(destruction) => self.events.plain(Event::KeyDestroyed(destruction)),
            Service::Copy { original, seq_no, body } => {
                let span = span.part(20, body.len());
                return self.on_copy(origin, MessageHeader { msg_id: original, seq_no }, body, span);
            }
            Service::Ping { ping_id, .. } => self.on_ping(msg_id, ping_id),
            // Only a client asks these; the server that does is ignored.
            Service::GetFutureSalts { .. }
            | Service::DropAnswer { .. }
            | Service::DestroySession { .. }
            | Service::DestroyAuthKey
            | Service::HttpWait(_) => {}
        }
        Ok(())
    }

    /// Learns the time from answers to recent messages of ours (SEC-81).
    fn learn_time(&mut self, origin: Origin, answer: MsgId, service: &Service<'_>) {
        if matches!(service, Service::BadMsg(_) | Service::MsgsAck(_) | Service::AllInfo { .. }) {
            return;
        }
        let mut question = None;
        service.refers_to(|msg_id| {
            question = self.sent.get(msg_id).map(|sent| sent.msg_id);
            question.is_some()
        });
        if let Some(question) = question {
            let change = self.clock.observe_answer(origin.now.mono, answer, question);
            self.note_clock(origin.now, change);
        }
    }

    fn on_future_salts(&mut self, origin: Origin, req_msg_id: MsgId, salts: crate::service::Salts<'_>) {
        let is_ours = self.sent.get(req_msg_id).is_some_and(|sent| sent.what == What::FutureSalts);
        if !is_ours {
            self.counters.refused.count(Rule::new(88));
            return;
        }
        let seconds = self.clock.seconds(origin.now.mono);
        let now = origin.now.mono;
        if let Some(epoch) = self.epoch(origin.under) {
            epoch.salts.extend(salts.iter(), seconds);
            epoch.salts_asked = SaltsAsked::Settled(now);
        }
    }

    fn on_ping(&mut self, msg_id: MsgId, ping_id: i64) {
        let mut reply = alloc::vec::Vec::with_capacity(20);
        reply.extend_from_slice(&types::Pong::CONSTRUCTOR_ID.to_le_bytes());
        reply.extend_from_slice(&msg_id.to_bytes());
        reply.extend_from_slice(&ping_id.to_le_bytes());
        self.reply(reply);
    }

    pub(super) fn reply(&mut self, reply: alloc::vec::Vec<u8>) {
        if self.service.replies.len() < SERVICE_QUEUE {
            self.service.replies.push_back(reply);
        }
    }

    /// The server has a message: no need to ask about it soon.
    fn on_acked(&mut self, msg_id: MsgId) {
        let Some(sent) = self.sent.get(msg_id) else {
            return;
        };
        match sent.what {
            What::Call(call) => self.mark_acked(call, msg_id),
            What::Container if self.sent.on_container_acked(msg_id) => {
                let members: alloc::vec::Vec<_> = self.sent.members(msg_id).collect();
                for member in members {
                    if let What::Call(call) = member.what {
                        self.mark_acked(call, member.msg_id);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn mark_acked(&mut self, call: CallId, msg_id: MsgId) {
        let is_latest = self.outbox.get(call).is_some_and(|slot| {
            slot.msg_id == msg_id && matches!(slot.stage, Stage::Sent | Stage::Uncertain)
        });
        if is_latest {
            self.outbox.set_stage(call, Stage::Acked);
        }
    }
}
