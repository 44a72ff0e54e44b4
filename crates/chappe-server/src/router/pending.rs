//! A call that has come and has no answer yet.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chappe_framing::{MsgId, constructor_id};
use chappe_session::MonoTime;

use super::context::CallContext;
use super::limits::CallLimits;
use crate::metrics::{Activity, subtract};

/// A call as it came, without its wrappers.
#[derive(Clone)]
pub struct RawCall {
    /// The origin of the call.
    pub context: CallContext,
    /// The call, constructor id first.
    pub body: Vec<u8>,
}

impl RawCall {
    /// Returns the constructor id of the function; 0 for a body without one.
    pub fn constructor_id(&self) -> u32 {
        constructor_id(&self.body).unwrap_or_default()
    }
}

impl fmt::Debug for RawCall {
    /// Omits the fields of the call, which may be a password or a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCall")
            .field("constructor_id", &format_args!("{:08x}", self.constructor_id()))
            .field("len", &self.body.len())
            .field("msg_id", &self.context.msg_id())
            .finish_non_exhaustive()
    }
}

/// What all calls of a server hold.
#[derive(Debug, Default)]
pub(super) struct HeldCalls {
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

impl HeldCalls {
    /// Takes a call in, if there is room.
    pub(super) fn admit(self: &Arc<Self>, call: RawCall, limits: &CallLimits) -> Option<Pending> {
        let bytes = call.body.len();
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let begun = call.context.engine().clock_time();
        let pending = Pending { bytes, load: Arc::clone(self), begun, call };
        pending.activity().calls_under_way.fetch_add(1, Ordering::Relaxed);
        let has_room = calls < limits.in_all && held.saturating_add(bytes) <= limits.bytes;
        has_room.then_some(pending)
    }
}

/// A call that has come and has no answer yet. It counts until it is dropped.
#[derive(Debug)]
pub(super) struct Pending {
    call: RawCall,
    bytes: usize,
    load: Arc<HeldCalls>,
    begun: MonoTime,
}

impl Pending {
    pub(super) const fn context(&self) -> &CallContext {
        &self.call.context
    }

    pub(super) const fn msg_id(&self) -> MsgId {
        self.call.context.msg_id()
    }

    /// Takes the body out, for the handler.
    pub(super) fn take_call(&mut self) -> RawCall {
        RawCall { context: self.call.context.clone(), body: std::mem::take(&mut self.call.body) }
    }

    fn activity(&self) -> &Activity {
        self.call.context.engine().activity()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.load.calls.fetch_sub(1, Ordering::Relaxed);
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        let activity = self.activity();
        subtract(&activity.calls_under_way, 1);
        let took = self.call.context.engine().clock_time().since(self.begun);
        activity.call_seconds.record(took.as_secs_f64());
    }
}
