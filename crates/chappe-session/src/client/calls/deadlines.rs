//! When a call needs attention: its state is asked for, or its time is over.
//!
//! Both lists may hold notes about calls that have ended. These are skipped, and removed when they outnumber the
//! others.

use alloc::boxed::Box;
use alloc::collections::{BinaryHeap, VecDeque};
use core::cmp::Reverse;

use chappe_framing::MsgId;

use super::{CallId, Calls, Slot};
use crate::time::MonoTime;

/// Calls by the time at which they end without an answer.
type Timeouts = BinaryHeap<Reverse<(MonoTime, CallId)>>;

/// Which calls need attention, and when.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Calls in flight by the time at which their state is asked for. At most one note for each message.
    pub(super) unanswered: VecDeque<(MonoTime, CallId, MsgId)>,
    pub(super) timeouts: Option<Box<Timeouts>>,
}

impl Calls {
    /// Schedules the question about the state of a call for `ask_at`, unless one is scheduled.
    #[inline]
    pub(in crate::client) fn watch(&mut self, call: CallId, msg_id: MsgId, ask_at: MonoTime) {
        match self.get_mut(call).and_then(Slot::last_sent_mut) {
            // A server may mention one call any number of times; a single note bounds the memory.
            Some(sent) if !sent.watched => sent.watched = true,
            _ => return,
        }
        if self.deadlines.unanswered.len() == self.deadlines.unanswered.capacity() {
            self.make_room();
        }
        self.deadlines.unanswered.push_back((ask_at, call, msg_id));
    }

    /// Removes what is settled; takes more memory only if that did not free half of it.
    #[cold]
    fn make_room(&mut self) {
        let mut unanswered = core::mem::take(&mut self.deadlines.unanswered);
        unanswered.retain(|entry| self.get(entry.1).is_some_and(|slot| slot.msg_id() == Some(entry.2)));
        if unanswered.len() * 2 >= unanswered.capacity() {
            unanswered.reserve_exact(unanswered.len().max(1));
        }
        self.deadlines.unanswered = unanswered;
    }

    /// Removes and returns the next call whose state must be asked for.
    ///
    /// That includes calls that were acknowledged, since their answer may have been lost.
    pub(in crate::client) fn pop_unanswered(&mut self, now: MonoTime) -> Option<(CallId, MsgId)> {
        self.skip_settled();
        let (at, call, msg_id) = *self.deadlines.unanswered.front()?;
        if at > now {
            return None;
        }
        self.pop_watched();
        Some((call, msg_id))
    }

    fn pop_watched(&mut self) {
        if let Some((_, call, msg_id)) = self.deadlines.unanswered.pop_front()
            && let Some(sent) = self.get_mut(call).and_then(Slot::last_sent_mut)
            && sent.header.msg_id == msg_id
        {
            sent.watched = false;
        }
    }

    /// Schedules no questions any more: nothing can be asked without a connection.
    pub(super) fn forget_watches(&mut self) {
        while !self.deadlines.unanswered.is_empty() {
            self.pop_watched();
        }
    }

    fn skip_settled(&mut self) {
        while let Some(&(_, call, msg_id)) = self.deadlines.unanswered.front() {
            if self.is_in_flight_as(call, msg_id) {
                return;
            }
            self.pop_watched();
        }
    }

    /// Removes and returns the next call whose time is over.
    pub(in crate::client) fn pop_timed_out(&mut self, now: MonoTime) -> Option<CallId> {
        while let Some(&Reverse((at, call))) = self.deadlines.timeouts.as_ref()?.peek() {
            if self.get(call).is_some() && at > now {
                return None;
            }
            self.deadlines.timeouts.as_mut()?.pop();
            if self.get(call).is_some() {
                return Some(call);
            }
        }
        None
    }

    /// Returns when a state is to be asked for, the time of a call is over, or refused calls may go again.
    pub(in crate::client) fn deadline(&mut self) -> Option<MonoTime> {
        self.skip_settled();
        self.shrink();
        let ask = self.deadlines.unanswered.front().map(|entry| entry.0);
        let timeout =
            self.deadlines.timeouts.as_ref().and_then(|timeouts| timeouts.peek()).map(|entry| entry.0.0);
        ask.into_iter().chain(timeout).chain(self.release_due()).min()
    }

    /// Removes notes about calls that have ended, when they outnumber the others.
    fn shrink(&mut self) {
        let most = 2 * self.pending() + 64;
        if let Some(mut timeouts) = self.deadlines.timeouts.take_if(|timeouts| timeouts.len() > most) {
            timeouts.retain(|entry| self.get(entry.0.1).is_some());
            self.deadlines.timeouts = Some(timeouts);
        }
        if self.queue.len() > most {
            let mut queue = core::mem::take(&mut self.queue);
            queue.retain(|call| self.get(*call).is_some_and(Slot::is_queued));
            self.queue = queue;
        }
        self.shrink_held(most);
    }
}
