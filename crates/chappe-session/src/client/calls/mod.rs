//! The calls of a client: each from the moment it is accepted until it ends, exactly once.
//!
//! A call is serialized once into its slot and stays there until it is answered, since it may have to be
//! sent again: under a new `msg_id` after a changed salt, on a new connection, or in a new session. Slots
//! are reused with their memory, so sending allocates nothing once warm.
//!
//! Not here: what goes around a body ([`super::packet`]), and what a complaint means ([`super::complaints`]).

mod choice;
mod deadlines;
mod id;
mod options;
mod overload;
mod slot;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cmp::Reverse;

use chappe_crypto::QuickAckToken;
use chappe_framing::{MAX_BODY_LEN, MsgId, UnixTime};
use chappe_tl::EncodeError;

pub(super) use self::choice::Room;
use self::deadlines::Deadlines;
pub use self::id::CallId;
pub use self::options::{Packing, Repeat, SendOptions};
use self::overload::Overload;
use self::slot::Fate;
pub(super) use self::slot::{Evidence, QueuedAs, Receipt, SentAs, Slot, Stage};
use super::events::Record;
use super::key_session::Generation;
use super::{CallFailure, DropOutcome, SendError};
use crate::SessionLimits;
use crate::counters::Counters;
use crate::event_log::EventLog;
use crate::gzip::Gzip;
use crate::service::Status;
use crate::time::MonoTime;

/// All calls that have not ended.
#[derive(Debug)]
pub(super) struct Calls {
    slots: Vec<Slot>,
    /// The first free slot; each names the next. [`NONE`] if there is none.
    free: u32,
    /// Memory that free slots keep for the next calls.
    kept_bytes: u32,
    /// Calls to be sent, in order; those that are no longer queued are skipped.
    queue: VecDeque<CallId>,
    deadlines: Deadlines,
    /// The calls of the packet being made, and their bytes.
    chosen: Vec<CallId>,
    chosen_bytes: u32,
    // Counts of slots, whose numbers have 32 bits.
    /// Calls that were sent and wait for an answer.
    waiting: u32,
    queued: u32,
    /// Bytes of the bodies of all calls.
    pending_bytes: u32,
    /// Quick acknowledgements that are expected, and for which calls.
    quick_acks: Option<Box<QuickAcks>>,
    /// What is known of the server's limit, if it ever refused calls.
    overload: Option<Box<Overload>>,
}

/// Memory that a free slot may keep for the next call, and all of them together.
const KEPT_BODY: usize = 1024;
const KEPT_BODIES: usize = 64 << 10;

/// Room that is left in the largest body for the wrappers around it.
const WRAPPERS: usize = 64 << 10;

/// Most quick acknowledgements that are expected at once; beyond it none is requested.
const QUICK_ACKS: usize = 256;

/// Quick acknowledgements that are expected. Few sessions ask for any.
type QuickAcks = Vec<(QuickAckToken, CallId)>;

/// No slot.
const NONE: u32 = u32::MAX;

impl Default for Calls {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            kept_bytes: 0,
            queue: VecDeque::new(),
            deadlines: Deadlines::default(),
            chosen: Vec::new(),
            chosen_bytes: 0,
            pending_bytes: 0,
            waiting: 0,
            queued: 0,
            quick_acks: None,
            overload: None,
        }
    }
}

/// What packs a body.
#[derive(Debug)]
pub(super) struct Packer<'s> {
    pub(super) gzip: &'s mut Gzip,
    pub(super) counters: &'s mut Counters,
}

/// Looking at calls.
impl Calls {
    /// Returns the number of calls that have not ended.
    pub(super) const fn pending(&self) -> usize {
        self.queued() + self.waiting()
    }

    /// Returns the number of calls that were sent and wait for an answer.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting as usize
    }

    /// Returns the number of calls that wait to be sent.
    pub(super) const fn queued(&self) -> usize {
        self.queued as usize
    }

    /// Returns a call that has not ended.
    #[inline]
    pub(super) fn get(&self, call: CallId) -> Option<&Slot> {
        self.slots
            .get(call.slot() as usize)
            .filter(|slot| slot.generation == call.generation() && !slot.is_free())
    }

    /// Returns a call that has not ended, to change anything but its stage.
    #[inline]
    pub(super) fn get_mut(&mut self, call: CallId) -> Option<&mut Slot> {
        self.slots
            .get_mut(call.slot() as usize)
            .filter(|slot| slot.generation == call.generation() && !slot.is_free())
    }

    /// Returns whether a call waits for an answer to the message with this id.
    pub(super) fn is_in_flight_as(&self, call: CallId, msg_id: MsgId) -> bool {
        self.get(call).is_some_and(|slot| slot.is_in_flight_as(msg_id))
    }

    /// Lists the calls that have not ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = (CallId, &Slot)> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.is_free())
            .map(|(place, slot)| (CallId::new(place as u32, slot.generation), slot))
    }

    /// Lists the calls in flight that `is_meant` accepts, in the order in which they were last sent.
    pub(super) fn in_flight(&self, is_meant: impl Fn(&SentAs) -> bool) -> Vec<CallId> {
        let mut calls: Vec<(MsgId, CallId)> = self
            .iter()
            .filter_map(|(call, slot)| slot.in_flight().map(|sent| (call, sent)))
            .filter(|(_, sent)| is_meant(sent))
            .map(|(call, sent)| (sent.header.msg_id, call))
            .collect();
        calls.sort_unstable();
        calls.into_iter().map(|(_, call)| call).collect()
    }

    /// Lists the calls whose state must be asked for on a new connection.
    pub(super) fn uncertain(&self) -> Vec<(CallId, MsgId)> {
        let is_uncertain = |slot: &Slot| matches!(slot.stage, Stage::Uncertain(_));
        self.iter()
            .filter(|(_, slot)| is_uncertain(slot))
            .filter_map(|(call, slot)| Some((call, slot.msg_id()?)))
            .collect()
    }
}

/// Accepting and ending calls.
impl Calls {
    /// Accepts a call: `write` serializes its body, which is packed if that pays, and queued.
    ///
    /// `generation` must differ from call to call, so that no id is ever used twice.
    #[inline]
    pub(super) fn accept(
        &mut self,
        generation: u32,
        now: MonoTime,
        mut options: SendOptions,
        limits: &SessionLimits,
        packer: Packer<'_>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<CallId, SendError> {
        let (pending, bytes) = (self.pending(), self.pending_bytes as usize);
        if pending >= limits.pending_calls {
            return Err(SendError::TooManyPending { pending });
        }
        let (call, body) = self.open(generation);
        let written = write(body);
        let (len, max) = (body.len(), limits.body_bytes.min(MAX_BODY_LEN - WRAPPERS));
        let refused = match written {
            Err(error) => Some(error.into()),
            Ok(()) if len < 4 || !len.is_multiple_of(4) || len > max => {
                Some(SendError::BodyLength { len, max })
            }
            Ok(()) if bytes + len > limits.pending_bytes.min(u32::MAX as usize) => {
                Some(SendError::TooManyBytes { pending: bytes })
            }
            Ok(()) => None,
        };
        if let Some(error) = refused {
            self.release_slot(call);
            return Err(error);
        }
        if options.packing == Packing::Auto && len >= limits.gzip_from {
            self.pack_body(call, packer);
        }
        self.admit(call, &mut options, now);
        Ok(call)
    }

    /// Takes a slot for a call whose body the caller fills.
    #[inline]
    fn open(&mut self, generation: u32) -> (CallId, &mut Vec<u8>) {
        let place = match self.free {
            NONE => {
                if self.slots.len() == self.slots.capacity() {
                    // Not four at once, as a vector would: most sessions have one call at a time.
                    self.slots.reserve_exact(self.slots.len().max(1));
                }
                self.slots.push(Slot::free(NONE));
                self.slots.len() as u32 - 1
            }
            free => free,
        };
        let slot = &mut self.slots[place as usize];
        if place == self.free
            && let Stage::Free { next } = slot.stage
        {
            self.free = next;
            self.kept_bytes -= slot.body.capacity() as u32;
        }
        slot.generation = generation;
        slot.body.clear();
        (CallId::new(place, generation), &mut slot.body)
    }

    fn pack_body(&mut self, call: CallId, Packer { gzip, counters }: Packer<'_>) {
        if let Some(slot) = self.slots.get_mut(call.slot() as usize)
            && let Some(packed) = gzip.pack(&slot.body, counters)
        {
            slot.body.clear();
            slot.body.extend_from_slice(packed);
        }
    }

    /// Queues a call whose body is in place. Takes the chain out of the options.
    #[inline]
    fn admit(&mut self, call: CallId, options: &mut SendOptions, now: MonoTime) {
        let slot = &mut self.slots[call.slot() as usize];
        self.pending_bytes += slot.body.len() as u32;
        slot.stage = Stage::Queued(QueuedAs::First);
        slot.repeat = options.repeat;
        slot.attempts = 0;
        slot.quick_ack = options.quick_ack;
        slot.alone = false;
        slot.cancelled = false;
        if !options.after.is_empty() {
            slot.after = core::mem::take(&mut options.after).into_boxed_slice();
        }
        self.queued += 1;
        if self.queue.len() == self.queue.capacity() {
            // Not four at once, as for the slots.
            self.queue.reserve_exact(self.queue.len().max(1));
        }
        self.queue.push_back(call);
        if let Some(timeout) = options.timeout {
            self.deadlines.timeouts.get_or_insert_default().push(Reverse((now + timeout, call)));
        }
    }

    /// Gives a slot back.
    fn release_slot(&mut self, call: CallId) {
        if let Some(slot) = self.slots.get_mut(call.slot() as usize) {
            slot.body.clear();
            let kept = slot.body.capacity();
            if kept > KEPT_BODY || self.kept_bytes as usize + kept > KEPT_BODIES {
                slot.body = Vec::new();
            }
            self.kept_bytes += slot.body.capacity() as u32;
            slot.stage = Stage::Free { next: self.free };
            self.free = call.slot();
        }
    }

    /// Ends a call; returns whether it was still pending.
    #[inline]
    pub(super) fn end(&mut self, call: CallId) -> bool {
        let Some(slot) = self.get_mut(call) else {
            return false;
        };
        slot.after = Box::default();
        let (stage, bytes) = (slot.stage, slot.body.len());
        self.pending_bytes -= bytes as u32;
        *self.count_of(stage) -= 1;
        self.release_slot(call);
        true
    }

    /// Ends a call without an answer, and reports it.
    pub(super) fn fail(&mut self, call: CallId, failure: CallFailure, events: &mut EventLog<Record>) {
        if self.end(call) {
            events.call_failed(call, failure);
        }
    }

    /// Ends all calls.
    pub(super) fn fail_all(&mut self, failure: CallFailure, events: &mut EventLog<Record>) {
        let calls: Vec<CallId> = self.iter().map(|(call, _)| call).collect();
        for call in calls {
            self.fail(call, failure, events);
        }
    }
}

/// Sending calls, once and again.
impl Calls {
    fn set_stage(&mut self, call: CallId, stage: Stage) {
        let Some(slot) = self.get_mut(call) else {
            return;
        };
        let before = core::mem::replace(&mut slot.stage, stage);
        *self.count_of(before) -= 1;
        *self.count_of(stage) += 1;
    }

    /// Returns the number of calls that are queued, or that wait for an answer.
    #[inline]
    const fn count_of(&mut self, stage: Stage) -> &mut u32 {
        if matches!(stage, Stage::Queued(_)) { &mut self.queued } else { &mut self.waiting }
    }

    /// Records that a call went out; its state is asked for at `ask_at`.
    #[inline]
    pub(super) fn on_sent(&mut self, call: CallId, sent: SentAs, ask_at: MonoTime) {
        let Some(slot) = self.get_mut(call) else {
            return;
        };
        slot.attempts = slot.attempts.saturating_add(1);
        self.set_stage(call, Stage::Sent(sent));
        self.watch(call, sent.header.msg_id, ask_at);
    }

    /// Queues calls again under new ids, in front of those not sent yet and in the order given. Those that were cancelled
    /// end.
    pub(super) fn requeue(&mut self, calls: &[CallId], events: &mut EventLog<Record>) {
        for call in calls.iter().rev() {
            self.requeue_as(*call, QueuedAs::NewId, events);
        }
    }

    /// Queues a call again, or ends it if it was cancelled. The server was asked to drop its answer, and may have forgotten
    /// with it that it executed the call.
    fn requeue_as(&mut self, call: CallId, queued: fn(SentAs) -> QueuedAs, events: &mut EventLog<Record>) {
        let Some(slot) = self.get(call) else { return };
        let Some(sent) = slot.in_flight().copied() else { return };
        if slot.cancelled {
            return self.fail(call, CallFailure::Cancelled(DropOutcome::Unknown), events);
        }
        self.set_stage(call, Stage::Queued(queued(sent)));
        self.queue.push_front(call);
    }

    /// Records that the server has a message, so that a lost connection does not lead to a second execution.
    pub(super) fn on_received(&mut self, call: CallId, msg_id: MsgId) {
        let Some(sent) = self.get(call).and_then(Slot::in_flight).copied() else {
            return;
        };
        if sent.header.msg_id == msg_id {
            self.set_stage(call, Stage::Sent(SentAs { receipt: Receipt::Confirmed, ..sent }));
        }
    }

    /// The server does not know the key, it says, that calls were sent under since it was last heard.
    pub(super) fn on_denied(&mut self, heard_at: UnixTime) {
        for slot in &mut self.slots {
            if let Stage::Sent(sent) = &mut slot.stage
                && sent.receipt == Receipt::Unknown
                && sent.header.msg_id.time() >= heard_at
            {
                sent.receipt = Receipt::Denied;
            }
        }
    }

    /// A message of the server set the clock back: the ids of what was sent before are ahead of the times of what follows.
    pub(super) fn on_clock_set_back(&mut self) {
        for slot in &mut self.slots {
            if let Stage::Sent(sent) = &mut slot.stage
                && sent.receipt == Receipt::Unknown
            {
                sent.receipt = Receipt::Passed;
            }
        }
    }

    /// Expects a quick acknowledgement of the packet just made, if a call in it requests one; returns whether one does.
    #[inline]
    pub(super) fn expect_quick_ack(&mut self, token: QuickAckToken) -> bool {
        let mut is_wanted = false;
        for place in 0..self.chosen.len() {
            let call = self.chosen[place];
            let wants = self.get(call).is_some_and(|slot| slot.quick_ack);
            let quick_acks = self.quick_acks.as_ref().map_or(0, |acks| acks.len());
            if wants && quick_acks < QUICK_ACKS {
                self.quick_acks.get_or_insert_default().push((token, call));
                is_wanted = true;
            }
        }
        is_wanted
    }

    /// Removes and returns a call that a quick acknowledgement is about. Several may have travelled in one packet.
    pub(super) fn pop_quick_acked(&mut self, token: QuickAckToken) -> Option<CallId> {
        let quick_acks = self.quick_acks.as_mut()?;
        let place = quick_acks.iter().position(|entry| entry.0 == token)?;
        Some(quick_acks.remove(place).1)
    }

    /// Forgets the quick acknowledgements that are expected.
    pub(super) fn forget_quick_acks(&mut self) {
        self.quick_acks = None;
    }

    /// The connection is gone, and it is unknown what arrived.
    pub(super) fn on_disconnected(&mut self, events: &mut EventLog<Record>) {
        self.quick_acks = None;
        self.forget_watches();
        let mut again = Vec::new();
        for call in self.in_flight(|_| true) {
            let Some((slot, sent)) = self.get(call).and_then(|slot| Some((slot, *slot.in_flight()?))) else {
                continue;
            };
            if slot.cancelled || (slot.repeat == Repeat::Freely && sent.receipt != Receipt::Confirmed) {
                again.push(call);
            } else {
                self.set_stage(call, Stage::Uncertain(sent));
            }
        }
        self.requeue(&again, events);
    }

    /// The session that these calls were sent in has ended, at the client or at the server, and their answers are lost.
    ///
    /// Those that may not be sent again by `evidence` fail: they may have been executed.
    pub(super) fn on_session_left(
        &mut self,
        calls: Vec<CallId>,
        evidence: Evidence,
        events: &mut EventLog<Record>,
    ) {
        let may_repeat = |call: &CallId| self.get(*call).is_some_and(|slot| slot.may_repeat(evidence));
        let (again, uncertain): (Vec<_>, Vec<_>) = calls.into_iter().partition(may_repeat);
        for call in uncertain {
            self.fail(call, CallFailure::Uncertain, events);
        }
        self.requeue(&again, events);
    }

    /// Handles the states that the server reported of messages in flight.
    pub(super) fn on_statuses(
        &mut self,
        statuses: impl Iterator<Item = (CallId, MsgId, Status)>,
        rules: &StatusRules,
        events: &mut EventLog<Record>,
    ) {
        let mut missing = Vec::new();
        for (call, msg_id, status) in statuses {
            if !self.is_in_flight_as(call, msg_id) {
                continue;
            }
            if status.is_received() {
                self.on_received(call, msg_id);
                self.watch(call, msg_id, rules.ask_at);
            } else if status.is_missing() {
                missing.push((msg_id, call, status));
            } else {
                // The specification gives it no meaning, so it is no evidence of anything.
                self.watch(call, msg_id, rules.ask_at);
            }
        }
        // From the last to the first: each is put in front of the queue.
        missing.sort_unstable_by_key(|entry| core::cmp::Reverse(entry.0));
        let mut failed = Vec::new();
        for (msg_id, call, status) in missing {
            let Some(slot) = self.get(call) else { continue };
            match slot.fate(status, rules) {
                Fate::Wait => self.watch(call, msg_id, rules.ask_at),
                Fate::NewId => self.requeue_as(call, QueuedAs::NewId, events),
                Fate::SameId => self.requeue_as(call, QueuedAs::SameId, events),
                Fate::Fail(failure) => failed.push((call, failure)),
            }
        }
        for (call, failure) in failed.into_iter().rev() {
            self.fail(call, failure, events);
        }
    }
}

/// What decides about calls whose states were reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusRules {
    /// When the state is asked for again of what was received, or of what the status was unclear.
    pub(super) ask_at: MonoTime,
    /// How often a call is sent at most.
    pub(super) attempts: u8,
    /// The session in use. A message keeps its id only there.
    pub(super) generation: Option<Generation>,
}
