//! Giving memory back: a server has many sessions, and most of them are quiet.

use alloc::collections::VecDeque;

use super::ServerSession;
use super::event::Log;
use crate::QUIET;
use crate::time::MonoTime;

/// Places of a list that a quiet session may keep.
const KEPT_PLACES: usize = 4;

impl ServerSession {
    /// Returns when memory is to be given back that only frames need, if there is any.
    pub(super) fn rests_at(&self) -> Option<MonoTime> {
        let is_large = self.deflater.is_some()
            || self.inflater.is_some()
            || self.log.scratch.capacity() > 0
            || self.log.records.capacity() > KEPT_PLACES
            || self.acks.keeps_more_than(KEPT_PLACES)
            || (self.replies.is_empty() && self.replies.capacity() > KEPT_PLACES);
        is_large.then(|| self.last_frame + QUIET)
    }

    /// Gives it back if no frame has come for a while.
    pub(super) fn rest(&mut self, now: MonoTime) {
        if self.rests_at().is_some_and(|at| at <= now) {
            self.release_memory();
        }
    }

    /// Gives it back at once.
    pub(super) fn release_memory(&mut self) {
        (self.deflater, self.inflater) = (None, None);
        self.log = Log::default();
        self.acks.release();
        if self.replies.is_empty() {
            self.replies = VecDeque::new();
        }
    }
}
