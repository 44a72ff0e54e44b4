//! Where the events of a session go: to the calls, to the queue of updates, and to what the core does next.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use chappe_session::client::{AuthorizationTrouble, CallFailure, CallId, Event, ReconnectReason};
use chappe_session::{KeyDestruction, MonoTime};

use super::destruction::Destructions;
use crate::client::pending::Slot;
use crate::client::updates::{Gap, Update, UpdateQueue};
use crate::client::{ClientMetrics, ConnectError, InvokeError};

/// What the core must do after an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    Reconnect(ReconnectReason),
    MakeTemporaryKey,
    Bound,
    Trouble(AuthorizationTrouble),
    KeyDestroyed(KeyDestruction),
}

#[derive(Debug)]
pub(super) struct Sink {
    /// Calls under way, and when they were accepted.
    pub(super) calls: HashMap<CallId, (Arc<Slot>, MonoTime)>,
    pub(super) metrics: ClientMetrics,
    updates: Arc<UpdateQueue>,
    pub(super) destructions: Destructions,
    /// Why there is no connection at present.
    pub(super) link_error: Option<Arc<ConnectError>>,
    pub(super) next: Vec<Next>,
    /// Calls that ended with the session. A later event holds the reason.
    orphans: Vec<Arc<Slot>>,
    pub(super) wakers: Wakers,
}

/// The waiters to wake after the engine's lock is released: earlier they would only wait for it.
#[derive(Debug, Default)]
#[must_use = "the waiters must be woken"]
pub(crate) struct Wakers {
    /// Most frames answer one call.
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakers {
    pub(crate) fn extend(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        for waker in wakers {
            match &self.first {
                None => self.first = Some(waker),
                Some(_) => self.more.push(waker),
            }
        }
    }

    /// Notifies all waiters.
    pub(crate) fn wake(self) {
        self.first.into_iter().chain(self.more).for_each(Waker::wake);
    }
}

impl Sink {
    pub(super) fn new(updates: Arc<UpdateQueue>) -> Self {
        Self {
            calls: HashMap::new(),
            metrics: ClientMetrics::default(),
            updates,
            destructions: Destructions::default(),
            link_error: None,
            next: Vec::new(),
            orphans: Vec::new(),
            wakers: Wakers::default(),
        }
    }

    /// Accepts a call.
    pub(super) fn begin(&mut self, now: MonoTime, call: CallId, slot: &Arc<Slot>) {
        self.metrics.calls.made += 1;
        self.calls.insert(call, (Arc::clone(slot), now));
    }

    /// Forgets a call whose caller is gone. Returns whether it was under way.
    pub(super) fn cancel(&mut self, call: CallId) -> bool {
        let is_known = self.calls.remove(&call).is_some();
        self.metrics.calls.cancelled += u64::from(is_known);
        is_known
    }

    pub(super) fn on_event(&mut self, now: MonoTime, event: Event<'_>) {
        match event {
            Event::Answer { call, body } => {
                if let Some((slot, since)) = self.calls.remove(&call) {
                    self.metrics.calls.answered += 1;
                    self.metrics.latency.record(now.since(since));
                    self.wakers.extend(slot.settle(Ok(body.to_vec())));
                }
            }
            Event::CallError { call, error } => {
                if let Some((slot, since)) = self.calls.remove(&call) {
                    self.metrics.calls.rejected += 1;
                    self.metrics.latency.record(now.since(since));
                    self.wakers.extend(slot.settle(Err(InvokeError::Call(error.into()))));
                }
            }
            Event::CallFailed { call, failure: CallFailure::Terminated } => {
                self.orphans.extend(self.calls.remove(&call).map(|(slot, _)| slot));
            }
            Event::CallFailed { call, failure } => {
                if let Some((slot, _)) = self.calls.remove(&call) {
                    self.on_failure(&slot, failure);
                }
            }
            Event::QuickAcked { call } => {
                if let Some((slot, _)) = self.calls.get(&call) {
                    self.wakers.extend(slot.note_received());
                }
            }
            Event::Update { msg_id, body } => {
                self.metrics.updates += 1;
                self.wakers.extend(self.updates.push_object(msg_id, body).into_wakers());
            }
            Event::UpdatesMayBeMissing => {
                self.metrics.gaps += 1;
                self.push_update(Update::Gap(Gap::NewSession));
            }
            Event::TemporaryKeyBound => self.next.push(Next::Bound),
            Event::NeedTemporaryKey => self.next.push(Next::MakeTemporaryKey),
            Event::Reconnect(reason) => self.next.push(Next::Reconnect(reason)),
            Event::SessionDestroyed { session_id, existed } => {
                for slot in self.destructions.take_session(session_id) {
                    self.wakers.extend(slot.settle(Ok(vec![existed.into()])));
                }
            }
            Event::KeyDestroyed(destruction) => {
                for slot in self.destructions.take_keys() {
                    self.wakers.extend(slot.settle(Ok(vec![destruction as u8])));
                }
                self.next.push(Next::KeyDestroyed(destruction));
            }
            Event::Authorization(trouble) => self.next.push(Next::Trouble(trouble)),
            _ => {}
        }
    }

    /// Appends something other than an object to the updates.
    pub(super) fn push_update(&mut self, update: Update) {
        self.wakers.extend(self.updates.push(update).into_wakers());
    }

    /// Ends the updates.
    pub(super) fn finish_updates(&mut self) {
        self.wakers.extend(self.updates.finish().into_wakers());
    }

    /// Ends a call that has no answer.
    fn on_failure(&mut self, slot: &Slot, failure: CallFailure) {
        let error = if failure == CallFailure::TimedOut {
            self.metrics.calls.timed_out += 1;
            InvokeError::TimedOut { connection: self.link_error.clone() }
        } else {
            self.metrics.calls.failed += 1;
            InvokeError::Failed(failure)
        };
        self.wakers.extend(slot.settle(Err(error)));
    }

    /// Returns who is to be told what happened.
    pub(super) fn take_wakers(&mut self) -> Wakers {
        mem::take(&mut self.wakers)
    }

    /// Ends every call.
    pub(super) fn finish_all(&mut self, error: &InvokeError) {
        self.metrics.calls.failed += (self.calls.len() + self.orphans.len()) as u64;
        let calls = self.calls.drain().map(|(_, (slot, _))| slot).chain(self.orphans.drain(..));
        for slot in calls.chain(self.destructions.take_all()) {
            self.wakers.extend(slot.settle(Err(error.clone())));
        }
    }
}
