//! The calls of a client: each from the moment it is accepted until it ends, exactly once.
//!
//! A call is serialized once into its slot and stays there until it is answered, since it may have to be
//! sent again: under a new `msg_id` after a changed salt, on a new connection, or in a new session. Slots
//! are reused with their memory, so sending allocates nothing once warm.
//!
//! Not here: when to send again ([`super::recovery`]) and what goes around a body ([`super::load`]).

mod batch;
mod deadlines;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cmp::Reverse;

use chappe_framing::{MessageHeader, MsgId};

pub(super) use self::batch::Room;
use self::deadlines::Deadlines;
use super::call::{CallId, SendOptions, Slot, Stage};
use crate::rare::Absent;
use crate::time::MonoTime;

/// All calls that have not ended.
#[derive(Debug)]
pub(super) struct Outbox {
    slots: Vec<Slot>,
    /// The first free slot; each names the next. One past the end if there is none.
    free: u32,
    /// Memory that free slots keep for the next calls.
    kept_bytes: usize,
    /// Calls to be sent, in order; those whose stage is no longer `Queued` are skipped.
    queue: VecDeque<CallId>,
    deadlines: Deadlines,
    /// The calls of the packet being made.
    pub(super) batch: Vec<CallId>,
    pending: usize,
    pending_bytes: usize,
    /// Calls in stage `Sent`, `Acked` or `Uncertain`.
    waiting: usize,
    queued: usize,
}

/// Memory that a free slot may keep for the next call, and all of them together.
const KEPT_BODY: usize = 1024;
const KEPT_BODIES: usize = 64 << 10;

impl Absent for Outbox {
    const NEW: Self = Self {
        slots: Vec::new(),
        free: NONE,
        kept_bytes: 0,
        queue: VecDeque::new(),
        deadlines: Deadlines::NEW,
        batch: Vec::new(),
        pending: 0,
        pending_bytes: 0,
        waiting: 0,
        queued: 0,
    };

    fn absent() -> &'static Self {
        static ABSENT: Outbox = Outbox::NEW;
        &ABSENT
    }
}

/// How a call went out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    pub(super) header: MessageHeader,
    pub(super) kept_id: bool,
    pub(super) wrapped: bool,
    pub(super) era: u32,
}

/// No slot.
const NONE: u32 = u32::MAX;

impl Outbox {
    /// Returns the number of calls that have not ended.
    pub(super) const fn pending(&self) -> usize {
        self.pending
    }

    /// Returns the bytes of their bodies.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Returns the number of calls that were sent and wait for an answer.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the number of calls that wait to be sent.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    /// Takes a slot; the caller fills its body and then calls [`Outbox::admit`].
    ///
    /// `generation` must differ from call to call, so that no id is ever used twice.
    #[inline]
    pub(super) fn open(&mut self, generation: u32) -> (CallId, &mut Vec<u8>) {
        let place = match self.free {
            NONE => {
                if self.slots.len() == self.slots.capacity() {
                    // Not four at once, as a vector would: most sessions have one call at a time.
                    self.slots.reserve_exact(self.slots.len().max(1));
                }
                self.slots.push(Slot::EMPTY);
                self.slots.len() as u32 - 1
            }
            free => free,
        };
        let slot = &mut self.slots[place as usize];
        if place == self.free {
            self.free = slot.next_free;
            self.kept_bytes -= slot.body.capacity();
        }
        slot.generation = generation;
        slot.body.clear();
        (CallId::new(place, generation), &mut slot.body)
    }

    /// Gives a slot back that was opened but not admitted.
    pub(super) fn abandon(&mut self, call: CallId) {
        if let Some(slot) = self.slots.get_mut(call.slot() as usize) {
            slot.body.clear();
            let kept = slot.body.capacity();
            if kept > KEPT_BODY || self.kept_bytes + kept > KEPT_BODIES {
                slot.body = Vec::new();
            }
            self.kept_bytes += slot.body.capacity();
            slot.next_free = self.free;
            self.free = call.slot();
        }
    }

    /// Accepts a call whose body is in place, and queues it. Takes the chain out of the options.
    #[inline]
    pub(super) fn admit(&mut self, call: CallId, options: &mut SendOptions, now: MonoTime) {
        let slot = &mut self.slots[call.slot() as usize];
        self.pending_bytes += slot.body.len();
        slot.stage = Stage::Queued;
        slot.msg_id = MsgId::from_raw(0);
        slot.keeps_id = false;
        slot.kept_id = false;
        slot.attempts = 0;
        slot.repeat = options.repeat;
        slot.quick_ack = options.quick_ack;
        slot.alone = false;
        slot.wrapped = false;
        slot.cancelled = false;
        slot.is_binding = false;
        if !options.after.is_empty() {
            slot.after = core::mem::take(&mut options.after);
        }
        self.pending += 1;
        self.queued += 1;
        self.queue.push_back(call);
        if let Some(timeout) = options.timeout {
            self.deadlines.timeouts.push(Reverse((now + timeout, call)));
        }
    }

    /// Moves a call that was just admitted to the front.
    pub(super) fn prefer(&mut self, call: CallId) {
        if self.queue.back() == Some(&call) {
            self.queue.pop_back();
            self.queue.push_front(call);
        }
    }

    /// Returns a call that has not ended.
    #[inline]
    pub(super) fn get(&self, call: CallId) -> Option<&Slot> {
        self.slots
            .get(call.slot() as usize)
            .filter(|slot| slot.generation == call.generation() && slot.stage != Stage::Free)
    }

    /// Returns a call that has not ended, to change anything but its stage.
    #[inline]
    pub(super) fn get_mut(&mut self, call: CallId) -> Option<&mut Slot> {
        self.slots
            .get_mut(call.slot() as usize)
            .filter(|slot| slot.generation == call.generation() && slot.stage != Stage::Free)
    }

    /// Lists the calls that have not ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = (CallId, &Slot)> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.stage != Stage::Free)
            .map(|(place, slot)| (CallId::new(place as u32, slot.generation), slot))
    }

    /// Ends a call; returns whether it was still pending.
    #[inline]
    pub(super) fn end(&mut self, call: CallId) -> bool {
        let Some(slot) = self.get_mut(call) else {
            return false;
        };
        let (stage, bytes) = (slot.stage, slot.body.len());
        slot.stage = Stage::Free;
        slot.after = Vec::new();
        self.pending -= 1;
        self.pending_bytes -= bytes;
        self.count(stage, Stage::Free);
        self.abandon(call);
        true
    }

    /// Moves a call to another stage, neither from nor to `Free`.
    pub(super) fn set_stage(&mut self, call: CallId, stage: Stage) {
        let Some(slot) = self.get_mut(call) else {
            return;
        };
        let before = core::mem::replace(&mut slot.stage, stage);
        self.count(before, stage);
    }

    #[inline]
    fn count(&mut self, before: Stage, after: Stage) {
        match before {
            Stage::Queued => self.queued -= 1,
            Stage::Sent | Stage::Acked | Stage::Uncertain => self.waiting -= 1,
            Stage::Free => {}
        }
        match after {
            Stage::Queued => self.queued += 1,
            Stage::Sent | Stage::Acked | Stage::Uncertain => self.waiting += 1,
            Stage::Free => {}
        }
    }

    /// Queues calls again, in front of those not sent yet and in the order given.
    pub(super) fn requeue(&mut self, calls: impl DoubleEndedIterator<Item = CallId>) {
        for call in calls.rev() {
            if self.get(call).is_some_and(|slot| slot.stage != Stage::Queued) {
                self.set_stage(call, Stage::Queued);
                self.queue.push_front(call);
            }
        }
    }

    /// Notes that a call went out, under its old id or a new one.
    #[inline]
    pub(super) fn on_sent(&mut self, call: CallId, departure: Departure, ask_at: MonoTime) {
        let Some(slot) = self.get_mut(call) else {
            return;
        };
        let msg_id = departure.header.msg_id;
        slot.msg_id = msg_id;
        slot.seq_no = departure.header.seq_no;
        slot.keeps_id = false;
        slot.kept_id = departure.kept_id;
        slot.wrapped = departure.wrapped;
        slot.era = departure.era;
        slot.is_watched = false;
        slot.attempts = slot.attempts.saturating_add(1);
        let before = core::mem::replace(&mut slot.stage, Stage::Sent);
        self.count(before, Stage::Sent);
        self.watch(call, msg_id, ask_at);
    }
}
