//! The calls of a client: each from the moment it is accepted until it ends, exactly once.
//!
//! A call is serialized once into its slot and stays there until it is answered, since it may have to be
//! sent again: under a new `msg_id` after a changed salt, on a new connection, or in a new session. Slots
//! are reused with their memory, so sending allocates nothing once warm.
//!
//! Not here: when to send again ([`super::recovery`]) and what goes around a body ([`super::transmit`]).

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;

use chappe_framing::{MessageHeader, MsgId};

use super::call::{CallId, SendOptions, Slot, Stage};
use crate::rare::Absent;
use crate::time::MonoTime;

/// All calls that have not ended.
#[derive(Debug)]
pub(super) struct Outbox {
    slots: Vec<Slot>,
    /// The first free slot; each names the next. One past the end if there is none.
    free: u32,
    free_slots: usize,
    /// Calls to be sent, in order; those whose stage is no longer `Queued` are skipped.
    queue: VecDeque<CallId>,
    /// Calls that went unacknowledged, by the time their state is to be asked for.
    unacked: VecDeque<(MonoTime, CallId, MsgId)>,
    timeouts: BinaryHeap<Reverse<(MonoTime, CallId)>>,
    /// The calls of the packet being made.
    pub(super) batch: Vec<CallId>,
    pending: usize,
    pending_bytes: usize,
    /// Calls in stage `Sent`, `Acked` or `Uncertain`.
    waiting: usize,
    queued: usize,
}

/// Memory that a free slot may keep for the next call.
const KEPT_BODY: usize = 1024;

/// Free slots that keep memory for the next calls.
const KEPT_SLOTS: usize = 32;

impl Absent for Outbox {
    const NEW: Self = Self {
        slots: Vec::new(),
        free: NONE,
        free_slots: 0,
        queue: VecDeque::new(),
        unacked: VecDeque::new(),
        timeouts: BinaryHeap::new(),
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
            free => {
                self.free_slots -= 1;
                free
            }
        };
        let slot = &mut self.slots[place as usize];
        if place == self.free {
            self.free = slot.next_free;
        }
        slot.generation = generation;
        slot.body.clear();
        (CallId { slot: place, generation }, &mut slot.body)
    }

    /// Gives a slot back that was opened but not admitted.
    pub(super) fn abandon(&mut self, call: CallId) {
        if let Some(slot) = self.slots.get_mut(call.slot as usize) {
            slot.next_free = self.free;
            self.free = call.slot;
            self.free_slots += 1;
        }
    }

    /// Accepts a call whose body is in place, and queues it.
    pub(super) fn admit(&mut self, call: CallId, options: SendOptions, now: MonoTime) {
        let slot = &mut self.slots[call.slot as usize];
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
        slot.after = options.after;
        self.pending += 1;
        self.queued += 1;
        self.queue.push_back(call);
        if let Some(timeout) = options.timeout {
            self.timeouts.push(Reverse((now + timeout, call)));
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
    pub(super) fn get(&self, call: CallId) -> Option<&Slot> {
        self.slots
            .get(call.slot as usize)
            .filter(|slot| slot.generation == call.generation && slot.stage != Stage::Free)
    }

    /// Returns a call that has not ended, to change anything but its stage.
    pub(super) fn get_mut(&mut self, call: CallId) -> Option<&mut Slot> {
        self.slots
            .get_mut(call.slot as usize)
            .filter(|slot| slot.generation == call.generation && slot.stage != Stage::Free)
    }

    /// Lists the calls that have not ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = (CallId, &Slot)> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.stage != Stage::Free)
            .map(|(place, slot)| (CallId { slot: place as u32, generation: slot.generation }, slot))
    }

    /// Ends a call; returns whether it was still pending.
    pub(super) fn end(&mut self, call: CallId) -> bool {
        let kept = self.free_slots < KEPT_SLOTS;
        let Some(slot) = self.get_mut(call) else {
            return false;
        };
        let (stage, bytes) = (slot.stage, slot.body.len());
        slot.stage = Stage::Free;
        slot.after = Vec::new();
        slot.body.clear();
        if !kept || slot.body.capacity() > KEPT_BODY {
            slot.body = Vec::new();
        }
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

    /// Returns the next call to be sent without taking it.
    pub(super) fn front(&mut self) -> Option<CallId> {
        while let Some(&call) = self.queue.front() {
            if self.get(call).is_some_and(|slot| slot.stage == Stage::Queued) {
                return Some(call);
            }
            self.queue.pop_front();
        }
        None
    }

    /// Takes the call that [`Outbox::front`] returned.
    pub(super) fn pop_front(&mut self) {
        self.queue.pop_front();
    }

    /// Takes a call out of the order; it is queued again by [`Outbox::requeue`] only after a change of stage.
    pub(super) fn push_back(&mut self, call: CallId) {
        self.queue.push_back(call);
    }

    /// Notes that a call went out.
    pub(super) fn on_sent(&mut self, call: CallId, header: MessageHeader, ask_at: MonoTime) {
        let Some(slot) = self.get_mut(call) else {
            return;
        };
        let msg_id = header.msg_id;
        slot.msg_id = msg_id;
        slot.seq_no = header.seq_no;
        slot.kept_id = core::mem::take(&mut slot.keeps_id);
        slot.attempts = slot.attempts.saturating_add(1);
        self.set_stage(call, Stage::Sent);
        self.watch(call, msg_id, ask_at);
    }

    /// Has the state of a call asked for at `ask_at` unless it changes until then.
    pub(super) fn watch(&mut self, call: CallId, msg_id: MsgId, ask_at: MonoTime) {
        if self.unacked.len() == self.unacked.capacity() {
            self.unacked.reserve_exact(self.unacked.len().max(1));
        }
        self.unacked.push_back((ask_at, call, msg_id));
    }

    /// Takes the next call whose state must be asked for.
    ///
    /// A call that was acknowledged is asked about as well, since its answer may have been lost.
    pub(super) fn pop_unwatched(&mut self, now: MonoTime) -> Option<(CallId, MsgId)> {
        self.skip_settled();
        let (at, call, msg_id) = *self.unacked.front()?;
        if at > now {
            return None;
        }
        self.unacked.pop_front();
        Some((call, msg_id))
    }

    fn skip_settled(&mut self) {
        while let Some(&(_, call, msg_id)) = self.unacked.front() {
            let is_current = self.get(call).is_some_and(|slot| {
                slot.msg_id == msg_id && matches!(slot.stage, Stage::Sent | Stage::Acked)
            });
            if is_current {
                return;
            }
            self.unacked.pop_front();
        }
    }

    /// Takes the next call whose time is over.
    pub(super) fn pop_timed_out(&mut self, now: MonoTime) -> Option<CallId> {
        while let Some(&Reverse((at, call))) = self.timeouts.peek() {
            if self.get(call).is_some() && at > now {
                return None;
            }
            self.timeouts.pop();
            if self.get(call).is_some() {
                return Some(call);
            }
        }
        None
    }

    /// Returns when a state is to be asked for or a call's time is over.
    pub(super) fn deadline(&mut self) -> Option<MonoTime> {
        self.skip_settled();
        self.shrink();
        let ask = self.unacked.front().map(|entry| entry.0);
        let timeout = self.timeouts.peek().map(|entry| entry.0.0);
        ask.into_iter().chain(timeout).min()
    }

    /// Drops notes about calls that have ended, when they outnumber the others.
    fn shrink(&mut self) {
        let most = 2 * self.pending + 64;
        if self.timeouts.len() > most {
            let mut timeouts = core::mem::take(&mut self.timeouts);
            timeouts.retain(|entry| self.get(entry.0.1).is_some());
            self.timeouts = timeouts;
        }
        if self.unacked.len() > most {
            let mut unacked = core::mem::take(&mut self.unacked);
            unacked.retain(|entry| self.get(entry.1).is_some_and(|slot| slot.msg_id == entry.2));
            self.unacked = unacked;
        }
        if self.queue.len() > most {
            let mut queue = core::mem::take(&mut self.queue);
            queue.retain(|call| self.get(*call).is_some_and(|slot| slot.stage == Stage::Queued));
            self.queue = queue;
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use chappe_framing::SeqNo;

    use super::*;

    fn header(raw: i64) -> MessageHeader {
        MessageHeader { msg_id: MsgId::from_raw(raw), seq_no: SeqNo::from_raw(1) }
    }

    fn outbox_with(count: usize) -> (Outbox, Vec<CallId>) {
        let mut outbox = Outbox::NEW;
        let calls = (0..count)
            .map(|n| {
                let (call, body) = outbox.open(n as u32);
                body.extend_from_slice(&(n as u32).to_le_bytes());
                outbox.admit(call, SendOptions::default(), MonoTime::ZERO);
                call
            })
            .collect();
        (outbox, calls)
    }

    fn send_all(outbox: &mut Outbox) {
        let mut id = 4;
        while let Some(call) = outbox.front() {
            outbox.pop_front();
            outbox.on_sent(call, header(id), MonoTime::from_nanos(10));
            id += 4;
        }
    }

    #[test]
    fn a_call_ends_once() {
        let (mut outbox, calls) = outbox_with(1);
        assert!(outbox.end(calls[0]));
        assert!(!outbox.end(calls[0]));
        assert_eq!((outbox.pending(), outbox.pending_bytes(), outbox.queued()), (0, 0, 0));
        assert_eq!(outbox.front(), None, "what has ended is not sent");
        let (next, _) = outbox.open(1);
        assert_ne!(next, calls[0], "its slot is reused under another id");
    }

    #[test]
    fn calls_sent_again_go_first_and_keep_their_order() {
        let (mut outbox, calls) = outbox_with(3);
        send_all(&mut outbox);
        let (late, body) = outbox.open(3);
        body.push(0);
        outbox.admit(late, SendOptions::default(), MonoTime::ZERO);
        outbox.requeue(calls.iter().copied());
        outbox.requeue(calls.iter().copied());
        let mut order = Vec::new();
        while let Some(call) = outbox.front() {
            outbox.pop_front();
            outbox.set_stage(call, Stage::Sent);
            order.push(call);
        }
        assert_eq!(order, [&calls[..], &[late]].concat());
    }

    #[test]
    fn only_calls_that_still_wait_are_asked_about() {
        let (mut outbox, calls) = outbox_with(3);
        send_all(&mut outbox);
        outbox.end(calls[0]);
        assert_eq!(outbox.pop_unwatched(MonoTime::from_nanos(9)), None);
        assert_eq!(outbox.pop_unwatched(MonoTime::from_nanos(10)).map(|found| found.0), Some(calls[1]));
        assert_eq!(outbox.pop_unwatched(MonoTime::from_nanos(10)).map(|found| found.0), Some(calls[2]));
        assert_eq!(outbox.deadline(), None);
    }

    #[test]
    fn notes_about_ended_calls_do_not_pile_up() {
        let mut outbox = Outbox::NEW;
        for round in 0..10_000 {
            let (call, body) = outbox.open(round as u32);
            body.push(1);
            let options = SendOptions { timeout: Some(Duration::from_secs(60)), ..SendOptions::default() };
            outbox.admit(call, options, MonoTime::ZERO);
            outbox.front();
            outbox.pop_front();
            outbox.on_sent(call, header(4 * round), MonoTime::from_nanos(100));
            outbox.end(call);
            outbox.deadline();
        }
        assert!(outbox.timeouts.len() <= 65 && outbox.unacked.len() <= 65 && outbox.slots.len() == 1);
    }
}
