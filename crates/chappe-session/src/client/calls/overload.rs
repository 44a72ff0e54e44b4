//! Calls that the server has no room for: how many it takes at once, and which of them wait to be sent again.
//!
//! A server answers a query beyond its limit by `FLOOD_WAIT_1` and does not execute it. The number of calls that are in
//! flight then is the limit; it is learnt from nothing else. It grows by one each time that so many calls were answered, and
//! after a pause without room, which doubles while nothing is answered: calls may take long.
//!
//! Service messages are not calls, so they always pass.

use alloc::collections::VecDeque;
use core::time::Duration;

use chappe_framing::MsgId;

use super::{CallId, Calls, QueuedAs, Slot, Stage};
use crate::time::MonoTime;

/// How long a call waits that was refused: what `FLOOD_WAIT_1` asks for.
const WAIT: Duration = Duration::from_secs(1);

/// Time without room and without an answer between the first call that is tried nevertheless and the next. It doubles each
/// time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Most time between two calls that are tried without room.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// What is known of a server that refused calls.
#[derive(Debug)]
pub(super) struct Overload {
    /// Most calls in flight.
    limit: u32,
    /// Calls that were answered since the limit last changed.
    answered: u32,
    /// When one more call is tried although none was answered.
    try_at: MonoTime,
    /// How long to wait after that for the next.
    pause: Duration,
    /// Calls that were refused, and when each may go again.
    held: VecDeque<(MonoTime, CallId)>,
}

impl Overload {
    const fn new(now: MonoTime) -> Self {
        Self { limit: u32::MAX, answered: 0, try_at: now, pause: FIRST_PAUSE, held: VecDeque::new() }
    }

    fn on_refused(&mut self, now: MonoTime, in_flight: u32) {
        self.limit = self.limit.min(in_flight);
        self.answered = 0;
        self.try_at = self.try_at.max(now + WAIT);
    }

    const fn on_answered(&mut self) {
        self.pause = FIRST_PAUSE;
        self.answered += 1;
        if self.answered >= self.limit {
            self.grow();
        }
    }

    const fn grow(&mut self) {
        self.limit = self.limit.saturating_add(1);
        self.answered = 0;
    }

    #[cfg(test)]
    pub(super) fn held_len(&self) -> usize {
        self.held.len()
    }
}

impl Calls {
    /// The server refused a message with a call for want of room: the call is sent again later, under a new id, since it was
    /// not executed.
    ///
    /// Returns `false` if no other call is in flight. Then it is not for want of room, and the answer is the caller's.
    pub(in crate::client) fn hold_back(&mut self, call: CallId, msg_id: MsgId, now: MonoTime) -> bool {
        let Some(slot) = self.get(call) else { return false };
        let Some(sent) = slot.last_sent().filter(|sent| sent.header.msg_id == msg_id).copied() else {
            // It was sent under another id since, or will be: that one decides.
            return true;
        };
        let is_in_flight = !slot.is_queued();
        if is_in_flight && self.waiting <= 1 {
            return false;
        }
        self.set_stage(call, Stage::Queued(QueuedAs::NewId(sent)));
        if is_in_flight {
            let overload = self.overload.get_or_insert_with(|| Overload::new(now).into());
            overload.on_refused(now, self.waiting);
            overload.held.push_back((now + WAIT, call));
        }
        true
    }

    /// A call was answered, by a result or by an error: it ends.
    #[inline]
    pub(in crate::client) fn end_answered(&mut self, call: CallId) {
        if self.end(call)
            && let Some(overload) = &mut self.overload
        {
            overload.on_answered();
        }
    }

    /// Returns how many more calls the server takes, as far as is known.
    #[inline]
    pub(in crate::client) fn free_places(&self) -> usize {
        let free = self.overload.as_ref().map_or(u32::MAX, |known| known.limit.saturating_sub(self.waiting));
        free as usize
    }

    /// Queues refused calls whose wait is over, in front of those not sent yet, and tries one more call after a pause
    /// without room.
    pub(in crate::client) fn release_held(&mut self, now: MonoTime) {
        let has_room = self.free_places() > 0;
        let Some(overload) = &mut self.overload else { return };
        let due = overload.held.iter().take_while(|(at, _)| *at <= now).count();
        for (_, call) in overload.held.drain(..due).rev() {
            self.queue.push_front(call);
        }
        if !has_room && overload.try_at <= now {
            overload.grow();
            overload.try_at = now + overload.pause;
            overload.pause = (2 * overload.pause).min(LONGEST_PAUSE);
        }
    }

    /// Returns when [`release_held`](Self::release_held) has something to do.
    pub(super) fn release_due(&self) -> Option<MonoTime> {
        let overload = self.overload.as_ref()?;
        let held = overload.held.front().map(|entry| entry.0);
        let waits_for_room = !self.queue.is_empty() && self.free_places() == 0;
        held.into_iter().chain(waits_for_room.then_some(overload.try_at)).min()
    }

    /// Removes held calls that have ended, when there are more than `most`.
    pub(super) fn shrink_held(&mut self, most: usize) {
        if let Some(mut overload) = self.overload.take() {
            if overload.held.len() > most {
                overload.held.retain(|entry| self.get(entry.1).is_some_and(Slot::is_queued));
            }
            self.overload = Some(overload);
        }
    }
}
