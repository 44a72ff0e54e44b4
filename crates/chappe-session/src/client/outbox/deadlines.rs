//! When something must be done about a call: its state asked for, or its end declared.
//!
//! Both lists may hold notes about calls that have ended; these are skipped, and swept out when they outnumber the
//! others.

use alloc::collections::{BinaryHeap, VecDeque};
use core::cmp::Reverse;

use chappe_framing::MsgId;

use super::Outbox;
use crate::client::call::{CallId, Stage};
use crate::time::MonoTime;

/// What is to be looked at, and when.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// Calls that went unacknowledged, by the time their state is to be asked for. Of each message one note.
    pub(super) unacked: VecDeque<(MonoTime, CallId, MsgId)>,
    pub(super) timeouts: BinaryHeap<Reverse<(MonoTime, CallId)>>,
}

impl Deadlines {
    pub(super) const NEW: Self = Self { unacked: VecDeque::new(), timeouts: BinaryHeap::new() };
}

impl Outbox {
    /// Has the state of a call asked for at `ask_at` unless it changes until then, or at the time noted before.
    #[inline]
    pub(in crate::client) fn watch(&mut self, call: CallId, msg_id: MsgId, ask_at: MonoTime) {
        match self.get_mut(call) {
            // A server may speak of one call as often as it likes.
            Some(slot) if !slot.is_watched => slot.is_watched = true,
            _ => return,
        }
        if self.deadlines.unacked.len() == self.deadlines.unacked.capacity() {
            self.make_room();
        }
        self.deadlines.unacked.push_back((ask_at, call, msg_id));
    }

    /// Sweeps out what is settled; takes more memory only if that did not free half of it.
    #[cold]
    fn make_room(&mut self) {
        let mut unacked = core::mem::take(&mut self.deadlines.unacked);
        unacked.retain(|entry| self.get(entry.1).is_some_and(|slot| slot.msg_id == entry.2));
        if unacked.len() * 2 >= unacked.capacity() {
            unacked.reserve_exact(unacked.len().max(1));
        }
        self.deadlines.unacked = unacked;
    }

    /// Takes the next call whose state must be asked for.
    ///
    /// A call that was acknowledged is asked about as well, since its answer may have been lost.
    pub(in crate::client) fn pop_unwatched(&mut self, now: MonoTime) -> Option<(CallId, MsgId)> {
        self.skip_settled();
        let (at, call, msg_id) = *self.deadlines.unacked.front()?;
        if at > now {
            return None;
        }
        self.pop_watched();
        Some((call, msg_id))
    }

    fn pop_watched(&mut self) {
        if let Some((_, call, msg_id)) = self.deadlines.unacked.pop_front()
            && let Some(slot) = self.get_mut(call).filter(|slot| slot.msg_id == msg_id)
        {
            slot.is_watched = false;
        }
    }

    fn skip_settled(&mut self) {
        while let Some(&(_, call, msg_id)) = self.deadlines.unacked.front() {
            let is_current = self.get(call).is_some_and(|slot| {
                slot.msg_id == msg_id && matches!(slot.stage, Stage::Sent | Stage::Acked)
            });
            if is_current {
                return;
            }
            self.pop_watched();
        }
    }

    /// Takes the next call whose time is over.
    pub(in crate::client) fn pop_timed_out(&mut self, now: MonoTime) -> Option<CallId> {
        while let Some(&Reverse((at, call))) = self.deadlines.timeouts.peek() {
            if self.get(call).is_some() && at > now {
                return None;
            }
            self.deadlines.timeouts.pop();
            if self.get(call).is_some() {
                return Some(call);
            }
        }
        None
    }

    /// Returns when a state is to be asked for or a call's time is over.
    pub(in crate::client) fn deadline(&mut self) -> Option<MonoTime> {
        self.skip_settled();
        self.shrink();
        let ask = self.deadlines.unacked.front().map(|entry| entry.0);
        let timeout = self.deadlines.timeouts.peek().map(|entry| entry.0.0);
        ask.into_iter().chain(timeout).min()
    }

    /// Drops notes about calls that have ended, when they outnumber the others.
    fn shrink(&mut self) {
        let most = 2 * self.pending + 64;
        if self.deadlines.timeouts.len() > most {
            let mut timeouts = core::mem::take(&mut self.deadlines.timeouts);
            timeouts.retain(|entry| self.get(entry.0.1).is_some());
            self.deadlines.timeouts = timeouts;
        }
        if self.queue.len() > most {
            let mut queue = core::mem::take(&mut self.queue);
            queue.retain(|call| self.get(*call).is_some_and(|slot| slot.stage == Stage::Queued));
            self.queue = queue;
        }
    }
}
