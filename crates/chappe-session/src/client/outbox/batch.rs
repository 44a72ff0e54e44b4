//! Which calls go into the next packet.

use super::Outbox;
use crate::client::call::{CallId, Stage};

/// What the next packet has room for.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Room {
    pub(in crate::client) messages: usize,
    pub(in crate::client) bytes: usize,
    /// Bytes that each call takes besides its body and the calls it is chained to.
    pub(in crate::client) around: usize,
    /// Nothing goes but the call that binds a temporary key.
    pub(in crate::client) binding_only: bool,
}

/// Id and vector of `invokeAfterMsgs`.
const CHAIN_LEN: usize = 12;

impl Outbox {
    /// Moves calls from the queue to the batch of the next packet: at least one if any may go at all.
    #[inline]
    pub(in crate::client) fn gather(&mut self, room: &Room) {
        self.batch.clear();
        let (mut bytes, mut deferred) = (0, 0);
        while let Some(&call) = self.queue.front() {
            let Some(slot) = self.get(call).filter(|slot| slot.stage == Stage::Queued) else {
                // It ended while it waited, or stands in the queue twice.
                self.queue.pop_front();
                continue;
            };
            if room.binding_only && !slot.is_binding {
                break;
            }
            let (len, alone) = (slot.body.len() + room.around + CHAIN_LEN + 8 * slot.after.len(), slot.alone);
            let is_full = self.batch.len() >= room.messages || bytes + len > room.bytes;
            if !self.batch.is_empty() && (is_full || alone) {
                break;
            }
            let waits = self.waits_for_unsent(&slot.after);
            self.queue.pop_front();
            if waits {
                self.queue.push_back(call);
                deferred += 1;
                if deferred > self.queued {
                    break;
                }
                continue;
            }
            bytes += len;
            self.batch.push(call);
            if alone {
                break;
            }
        }
    }

    /// Tells whether a call that must come first waits to be sent, and not in this packet.
    fn waits_for_unsent(&self, after: &[CallId]) -> bool {
        after.iter().any(|call| {
            self.get(*call).is_some_and(|slot| slot.stage == Stage::Queued) && !self.batch.contains(call)
        })
    }
}
