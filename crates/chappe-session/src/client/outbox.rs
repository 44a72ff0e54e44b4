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
use core::time::Duration;

use chappe_framing::{MessageHeader, MsgId, SeqNo};

use crate::time::MonoTime;

/// A call accepted by [`ClientSession::send`](super::ClientSession::send), until it ends.
///
/// Ids are never used twice in the life of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// May a call be sent a second time if nobody knows whether the first one was executed?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// Executing it twice does no harm: it may be sent again without asking.
    Freely,
    /// The server is asked first whether it received the call (SEC-107). What fits most calls.
    #[default]
    AfterAsking,
    /// It is sent again only if the server refused it or certainly did not receive it; else it fails with
    /// [`CallFailure::Uncertain`](super::CallFailure::Uncertain).
    Never,
}

/// Should a body be packed with gzip?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packing {
    /// If it is large enough and becomes clearly smaller.
    #[default]
    Auto,
    /// Never: for parts of files, which do not shrink.
    Never,
}

/// How to send a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Calls that must be executed before this one (`invokeAfterMsg`, `invokeAfterMsgs`). Those that
    /// ended already are left out.
    pub after: Vec<CallId>,
    /// Whether it may be sent twice.
    pub repeat: Repeat,
    /// Whether it may be packed.
    pub packing: Packing,
    /// Ask the transport for a quick acknowledgement.
    pub quick_ack: bool,
    /// How long the call may take from now on; without it, it may take for ever.
    pub timeout: Option<Duration>,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The slot is free.
    Free,
    /// Waits for the next packet.
    Queued,
    /// Sent on this connection; nothing heard of it.
    Sent,
    /// The server has it and has not answered yet.
    Acked,
    /// Sent, but perhaps lost with the connection: its state must be asked for.
    Uncertain,
}

/// A call.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "marks that hold or not whatever the others say")]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) stage: Stage,
    /// Serialized query, perhaps packed, without any wrapper.
    pub(super) body: Vec<u8>,
    /// The last id it was sent under.
    pub(super) msg_id: MsgId,
    /// The number it was last sent with.
    pub(super) seq_no: SeqNo,
    /// It goes again under its old id, inside a container: whatever of it may still be under way, the server
    /// executes it once.
    pub(super) keeps_id: bool,
    /// It was: a complaint that arrives now may speak of the first frame with it, and proves nothing.
    pub(super) kept_id: bool,
    pub(super) attempts: u8,
    pub(super) repeat: Repeat,
    pub(super) quick_ack: bool,
    /// Which session it was last sent in: they are counted.
    pub(super) era: u32,
    /// It goes without company: a container with it was refused.
    pub(super) alone: bool,
    /// It went out inside `initConnection`.
    pub(super) wrapped: bool,
    /// The server is asked to drop the answer.
    pub(super) cancelled: bool,
    /// It binds a temporary key, and is built anew for every `msg_id`.
    pub(super) is_binding: bool,
    /// Calls that must be executed before.
    pub(super) after: Vec<CallId>,
}

/// All calls that have not ended.
#[derive(Debug)]
pub(super) struct Outbox {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Calls to be sent, in order; those whose stage is no longer `Queued` are skipped.
    queue: VecDeque<CallId>,
    /// Calls that went unacknowledged, by the time their state is to be asked for.
    unacked: VecDeque<(MonoTime, CallId, MsgId)>,
    timeouts: BinaryHeap<Reverse<(MonoTime, CallId)>>,
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

impl Outbox {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            unacked: VecDeque::new(),
            timeouts: BinaryHeap::new(),
            pending: 0,
            pending_bytes: 0,
            waiting: 0,
            queued: 0,
        }
    }

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
    pub(super) fn open(&mut self) -> (CallId, &mut Vec<u8>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::empty());
            self.slots.len() as u32 - 1
        });
        let entry = &mut self.slots[slot as usize];
        entry.body.clear();
        (CallId { slot, generation: entry.generation }, &mut entry.body)
    }

    /// Gives a slot back that was opened but not admitted.
    pub(super) fn abandon(&mut self, call: CallId) {
        self.free.push(call.slot);
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
        let kept = self.free.len() < KEPT_SLOTS;
        let Some(slot) = self.get_mut(call) else {
            return false;
        };
        let (stage, bytes) = (slot.stage, slot.body.len());
        slot.stage = Stage::Free;
        slot.generation = slot.generation.wrapping_add(1);
        slot.after = Vec::new();
        slot.body.clear();
        if !kept || slot.body.capacity() > KEPT_BODY {
            slot.body = Vec::new();
        }
        self.pending -= 1;
        self.pending_bytes -= bytes;
        self.count(stage, Stage::Free);
        self.free.push(call.slot);
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

impl Slot {
    const fn empty() -> Self {
        Self {
            generation: 0,
            stage: Stage::Free,
            body: Vec::new(),
            msg_id: MsgId::from_raw(0),
            seq_no: SeqNo::from_raw(0),
            keeps_id: false,
            kept_id: false,
            attempts: 0,
            repeat: Repeat::AfterAsking,
            quick_ack: false,
            era: 0,
            alone: false,
            wrapped: false,
            cancelled: false,
            is_binding: false,
            after: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(raw: i64) -> MessageHeader {
        MessageHeader { msg_id: MsgId::from_raw(raw), seq_no: SeqNo::from_raw(1) }
    }

    fn outbox_with(count: usize) -> (Outbox, Vec<CallId>) {
        let mut outbox = Outbox::new();
        let calls = (0..count)
            .map(|n| {
                let (call, body) = outbox.open();
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
        let (next, _) = outbox.open();
        assert_ne!(next, calls[0], "its slot is reused under another id");
    }

    #[test]
    fn calls_sent_again_go_first_and_keep_their_order() {
        let (mut outbox, calls) = outbox_with(3);
        send_all(&mut outbox);
        let (late, body) = outbox.open();
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
        let mut outbox = Outbox::new();
        for round in 0..10_000 {
            let (call, body) = outbox.open();
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
