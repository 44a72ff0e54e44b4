//! Faults on purpose: what a datacenter does to queries and envelopes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chappe_carrier::lock;
use chappe_transport::TransportErrorCode;

/// What goes wrong with an envelope that is about to be sent.
///
/// Over HTTP, where each request has exactly one response, [`Delay`](Self::Delay), [`Duplicate`](Self::Duplicate) and
/// [`Swap`](Self::Swap) have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It arrives late, and everything after it too.
    Delay(Duration),
    /// It arrives twice.
    Duplicate,
    /// It arrives after the next one.
    Swap,
    /// Only this many of its first bytes arrive, and the connection ends.
    CloseAfter(usize),
    /// A transport error arrives instead, and the connection ends.
    Error(TransportErrorCode),
}

/// What a datacenter does to a query instead of answering it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// `bad_msg_notification` with this code.
    BadMsg {
        /// From 16 to 64, or any other.
        code: i32,
    },
    /// `bad_server_salt` with this salt.
    BadServerSalt {
        /// The salt that the client is told to use.
        new_salt: i64,
    },
    /// `rpc_error` with this code and text.
    RpcError {
        /// Such as 420.
        code: i32,
        /// Such as `FLOOD_WAIT_3`.
        message: String,
    },
    /// No answer at all.
    Silence,
}

/// A list of faults, applied in order. Clones share the list; entries may be added at any time.
#[derive(Clone, Debug, Default)]
pub struct FaultScript {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    envelopes: Mutex<VecDeque<Option<Fault>>>,
    queries: Mutex<VecDeque<Option<Misbehaviour>>>,
    refuses: AtomicBool,
}

impl FaultScript {
    /// Makes an empty list: nothing goes wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault for one envelope: the first that no earlier entry is for.
    pub fn next(&self, fault: Fault) {
        lock(&self.inner.envelopes).push_back(Some(fault));
    }

    /// Lets `count` envelopes pass unharmed.
    pub fn skip(&self, count: usize) {
        lock(&self.inner.envelopes).extend(std::iter::repeat_n(None, count));
    }

    /// Adds a misbehaviour for one query: the first that no earlier entry is for.
    pub fn next_query(&self, misbehaviour: Misbehaviour) {
        lock(&self.inner.queries).push_back(Some(misbehaviour));
    }

    /// Lets `count` queries be answered normally.
    pub fn skip_queries(&self, count: usize) {
        lock(&self.inner.queries).extend(std::iter::repeat_n(None, count));
    }

    /// Sets whether new connections are closed at once.
    pub fn refuse_connections(&self, refuse: bool) {
        self.inner.refuses.store(refuse, Ordering::Relaxed);
    }

    /// Removes all entries, and accepts connections again.
    pub fn clear(&self) {
        lock(&self.inner.envelopes).clear();
        lock(&self.inner.queries).clear();
        self.refuse_connections(false);
    }

    /// Returns whether all entries have been used.
    pub fn is_used_up(&self) -> bool {
        lock(&self.inner.envelopes).is_empty() && lock(&self.inner.queries).is_empty()
    }

    pub(crate) fn take_query(&self) -> Option<Misbehaviour> {
        lock(&self.inner.queries).pop_front().flatten()
    }

    pub(crate) fn take_envelope(&self) -> Option<Fault> {
        lock(&self.inner.envelopes).pop_front().flatten()
    }

    pub(crate) fn refuses(&self) -> bool {
        self.inner.refuses.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_used_once_and_in_order() {
        let script = FaultScript::new();
        script.skip(1);
        script.next(Fault::Drop);
        assert_eq!([(); 3].map(|()| script.take_envelope()), [None, Some(Fault::Drop), None]);
    }
}
