//! The choice of calls for the next packet.

use super::{CallId, Calls};

/// What the next packet has room for.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Room {
    pub(in crate::client) messages: usize,
    pub(in crate::client) bytes: usize,
    /// Bytes that each call takes besides its body and the calls it is chained to.
    pub(in crate::client) around: usize,
}

/// Id and vector of `invokeAfterMsgs`.
const CHAIN_LEN: usize = 12;

impl Calls {
    /// Moves calls from the queue to the choice for the next packet: at least one if any may go at all.
    #[inline]
    pub(in crate::client) fn choose(&mut self, room: &Room) {
        self.chosen.clear();
        let (mut bytes, mut deferred) = (0, 0);
        while let Some(&call) = self.queue.front() {
            let Some(slot) = self.get(call).filter(|slot| slot.is_queued()) else {
                // It ended while it waited, or stands in the queue twice.
                self.queue.pop_front();
                continue;
            };
            let (len, alone) = (slot.body.len() + room.around + CHAIN_LEN + 8 * slot.after.len(), slot.alone);
            let is_full = self.chosen.len() >= room.messages || bytes + len > room.bytes;
            if !self.chosen.is_empty() && (is_full || alone) {
                break;
            }
            let waits = self.waits_for_unsent(&slot.after);
            self.queue.pop_front();
            if waits {
                self.queue.push_back(call);
                deferred += 1;
                if deferred > self.queued() {
                    break;
                }
                continue;
            }
            bytes += len;
            if self.chosen.len() == self.chosen.capacity() {
                self.chosen.reserve_exact(self.chosen.len().max(1));
            }
            self.chosen.push(call);
            if alone {
                break;
            }
        }
        self.chosen_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    /// Puts the choice back into the queue: the calls go with a later packet.
    pub(in crate::client) fn put_back(&mut self) {
        while let Some(call) = self.chosen.pop() {
            self.queue.push_front(call);
        }
        self.chosen_bytes = 0;
    }

    /// Chooses nothing for the next packet.
    pub(in crate::client) fn choose_none(&mut self) {
        self.chosen.clear();
        self.chosen_bytes = 0;
    }

    /// Returns the bytes of the calls chosen for the next packet.
    #[inline]
    pub(in crate::client) const fn chosen_bytes(&self) -> usize {
        self.chosen_bytes as usize
    }

    /// Returns the calls chosen for the next packet.
    #[inline]
    pub(in crate::client) fn chosen(&self) -> &[CallId] {
        &self.chosen
    }

    /// Returns whether a call that must come first waits to be sent, and not in this packet.
    fn waits_for_unsent(&self, after: &[CallId]) -> bool {
        after
            .iter()
            .any(|call| self.get(*call).is_some_and(super::Slot::is_queued) && !self.chosen.contains(call))
    }
}
