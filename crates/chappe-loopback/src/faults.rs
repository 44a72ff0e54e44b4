//! What goes wrong on purpose.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chappe_server::{Fault, Faults};

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
        /// What the client is to use from now on.
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

/// A list of things to go wrong, in their order. Clones are the same list; it may be added to at any time.
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

    /// Lets one envelope be sent with a fault: the first that no earlier entry speaks for.
    pub fn next(&self, fault: Fault) {
        lock(&self.inner.envelopes).push_back(Some(fault));
    }

    /// Lets `count` envelopes be sent as they should.
    pub fn skip(&self, count: usize) {
        lock(&self.inner.envelopes).extend(std::iter::repeat_n(None, count));
    }

    /// Lets one query be met with misbehaviour: the first that no earlier entry speaks for.
    pub fn next_query(&self, misbehaviour: Misbehaviour) {
        lock(&self.inner.queries).push_back(Some(misbehaviour));
    }

    /// Lets `count` queries be answered as they should.
    pub fn skip_queries(&self, count: usize) {
        lock(&self.inner.queries).extend(std::iter::repeat_n(None, count));
    }

    /// Closes new connections at once, or no longer.
    pub fn refuse_connections(&self, refuse: bool) {
        self.inner.refuses.store(refuse, Ordering::Relaxed);
    }

    /// Forgets what is still to go wrong.
    pub fn clear(&self) {
        lock(&self.inner.envelopes).clear();
        lock(&self.inner.queries).clear();
        self.refuse_connections(false);
    }

    /// Says whether nothing is left that is to go wrong.
    pub fn is_used_up(&self) -> bool {
        lock(&self.inner.envelopes).is_empty() && lock(&self.inner.queries).is_empty()
    }

    pub(crate) fn take_query(&self) -> Option<Misbehaviour> {
        lock(&self.inner.queries).pop_front().flatten()
    }
}

impl Faults for FaultScript {
    fn outgoing(&self, _connection: u64) -> Option<Fault> {
        lock(&self.inner.envelopes).pop_front().flatten()
    }

    fn refuses(&self) -> bool {
        self.inner.refuses.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_used_once_and_in_order() {
        let script = FaultScript::new();
        script.skip(1);
        script.next(Fault::Drop);
        assert_eq!([0, 0, 0].map(|connection| script.outgoing(connection)), [None, Some(Fault::Drop), None]);
    }
}
