//! Commands: what a caller asks of its session, and how calls end without an answer.

use alloc::boxed::Box;
use alloc::vec::Vec;

use chappe_framing::{Deflater, MAX_BODY_LEN, SessionId};
use chappe_tl::{EncodeError, Serializable};

use super::call::{CallId, Packing, SendOptions};
use super::service_queue::SERVICE_QUEUE;
use super::{AuthorizationTrouble, CallFailure, ClientSession, DropOutcome, Event, SendError};
use crate::liveness::LivenessPolicy;
use crate::service::HttpWait;
use crate::time::Now;

/// Smallest part of a large body that is packed on trial before all of it is.
const PROBE_LEN: usize = 4096;

/// Commands.
impl ClientSession {
    /// Accepts a call and serializes it; it goes out with the next packet.
    ///
    /// # Errors
    ///
    /// Fails if the call cannot be encoded, if too much is pending, or if the session has ended.
    pub fn send<S: Serializable + ?Sized>(
        &mut self,
        now: Now,
        call: &S,
        options: SendOptions,
    ) -> Result<CallId, SendError> {
        self.send_with(now, options, |body| {
            body.reserve(call.serialized_len());
            call.serialize(body)
        })
    }

    /// Accepts a call that is serialized already, constructor id first.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_bytes(&mut self, now: Now, body: &[u8], options: SendOptions) -> Result<CallId, SendError> {
        self.send_with(now, options, |out| {
            out.extend_from_slice(body);
            Ok(())
        })
    }

    #[inline]
    pub(super) fn send_with(
        &mut self,
        now: Now,
        mut options: SendOptions,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<CallId, SendError> {
        if self.terminated {
            return Err(SendError::Terminated);
        }
        let limits = &self.config.limits;
        let (pending, bytes) = (self.outbox.pending(), self.outbox.pending_bytes());
        if pending >= limits.pending_calls {
            return Err(SendError::TooManyPending { pending });
        }
        let (call, body) = self.outbox.open(self.calls);
        let written = write(body);
        let (len, max) = (body.len(), limits.body_bytes.min(MAX_BODY_LEN - (64 << 10)));
        let refused = match written {
            Err(error) => Some(error.into()),
            Ok(()) if len < 4 || !len.is_multiple_of(4) || len > max => {
                Some(SendError::BodyLength { len, max })
            }
            Ok(()) if bytes + len > limits.pending_bytes => Some(SendError::TooManyBytes { pending: bytes }),
            Ok(()) => None,
        };
        if let Some(error) = refused {
            self.outbox.abandon(call);
            return Err(error);
        }
        if options.packing == Packing::Auto && len >= self.config.limits.gzip_from {
            let deflater = self.deflater.get_or_insert_with(|| Box::new(Deflater::new()));
            if let Some(packed) = pack(deflater, body) {
                self.counters.gzip_in += len as u64;
                self.counters.gzip_out += packed.len() as u64;
                body.clear();
                body.extend_from_slice(packed);
            }
        }
        if self.outbox.waiting() == 0 {
            self.live.on_waiting(now.mono);
        }
        self.calls = self.calls.wrapping_add(1);
        self.outbox.admit(call, &mut options, now.mono);
        Ok(call)
    }

    /// Gives a call up. Returns whether it was still pending.
    ///
    /// A call that was not sent ends at once; for one under way the server is asked to drop the answer, and
    /// the call ends with what the server says, or with its answer if that comes first.
    pub fn cancel(&mut self, call: CallId) -> bool {
        let Some(slot) = self.outbox.get_mut(call) else {
            return false;
        };
        if slot.attempts == 0 {
            self.fail(call, CallFailure::Cancelled(DropOutcome::NotSent));
        } else {
            slot.cancelled = true;
            self.drop_answer(call);
        }
        true
    }

    /// Has another session of the same key destroyed.
    pub fn destroy_session(&mut self, session_id: SessionId) {
        if self.service.destroy_sessions.len() < SERVICE_QUEUE && self.session_id() != Some(session_id) {
            self.service.destroy_sessions.push_back(session_id);
        }
    }

    /// Has the key in use destroyed, after a logout.
    pub fn destroy_auth_key(&mut self) {
        self.service.destroy_key = true;
    }

    /// Uses HTTP's long polling: each packet then carries `http_wait`, and
    /// [`request_http_wait`](Self::request_http_wait) asks for one without other content.
    pub const fn set_http_wait(&mut self, wait: Option<HttpWait>) {
        self.http = wait;
    }

    /// Has a packet made although nothing but `http_wait` may be in it: over HTTP one request must be out.
    pub fn request_http_wait(&mut self) {
        self.service.http_wait = self.http.is_some();
    }

    /// Replaces the policy of pings, for instance when an application goes to the background.
    pub fn set_liveness(&mut self, policy: LivenessPolicy) {
        self.policy = Some(Box::new(policy));
    }
}

/// Ends of calls.
impl ClientSession {
    /// Ends the session for good: every call ends, and no more are taken.
    pub(super) fn terminate(&mut self, trouble: AuthorizationTrouble) {
        self.terminated = true;
        self.fail_all(CallFailure::Terminated);
        self.events.plain(Event::Authorization(trouble));
    }

    pub(super) fn fail_all(&mut self, failure: CallFailure) {
        let calls: Vec<CallId> = self.outbox.iter().map(|(call, _)| call).collect();
        for call in calls {
            self.fail(call, failure);
        }
    }

    /// Ends a call without an answer, and tells so unless it is one of our own.
    pub(super) fn fail(&mut self, call: CallId, failure: CallFailure) {
        let is_ours = self.outbox.get(call).is_some_and(|slot| slot.is_binding);
        if self.outbox.end(call) && !is_ours {
            self.events.plain(Event::CallFailed { call, failure });
        }
    }

    /// Has the server asked to drop the answer to a call that was sent.
    pub(super) fn drop_answer(&mut self, call: CallId) {
        let Some(msg_id) = self.outbox.get(call).filter(|slot| slot.attempts > 0).map(|slot| slot.msg_id)
        else {
            return;
        };
        if self.service.drop.len() < SERVICE_QUEUE && !self.service.drop.contains(&(call, msg_id)) {
            self.service.drop.push_back((call, msg_id));
        }
    }
}

/// Packs a body if that pays. Of a large one the beginning is tried first: files do not shrink, and
/// finding that out by packing all of them costs more than it could save.
fn pack<'d>(deflater: &'d mut Deflater, body: &[u8]) -> Option<&'d [u8]> {
    if body.len() >= 4 * PROBE_LEN {
        let middle = body.len() / 2;
        deflater.pack(&body[middle..middle + PROBE_LEN])?;
    }
    deflater.pack(body)
}
