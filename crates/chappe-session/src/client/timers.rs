//! Output but packets: timers and events.

use super::epoch::SaltsAsked;
use super::event::Events;
use super::outbox::Outbox;
use super::{ClientSession, SALT_MARGIN, SALT_PAUSE};
use crate::time::MonoTime;

/// Output: timers and events. Packets are in `transmit`.
impl ClientSession {
    /// Returns when [`handle_timeout`](Self::handle_timeout) must be called, or
    /// [`poll_transmit`](Self::poll_transmit) asked again; `None` if nothing is to be waited for.
    pub fn poll_timeout(&mut self) -> Option<MonoTime> {
        let calls = self.outbox.present_mut().and_then(Outbox::deadline);
        if !self.is_connected() {
            return calls;
        }
        let live = self.live.deadline(self.liveness(), self.outbox.waiting() > 0);
        let state = self.service.asked_as.map(|(_, at)| at + self.config.limits.ask_state_after);
        let acks = self.current.as_ref().and_then(|epoch| epoch.acks.deadline());
        let old_acks = self.previous_to_ack().and_then(|epoch| epoch.acks.deadline());
        let salts = self.salts_due();
        let key = self.key_due();
        [calls, Some(live), state, acks, old_acks, salts, key].into_iter().flatten().min()
    }

    /// Hands out the events of commands and timers. Those of frames come from
    /// [`handle_frame`](Self::handle_frame), which hands these out as well.
    pub fn events(&mut self) -> Events<'_> {
        self.take_events(&[])
    }

    pub(super) fn take_events<'a>(&'a mut self, frame: &'a [u8]) -> Events<'a> {
        match self.events.present_mut() {
            Some(events) => events.take(frame),
            None => Events::new(&[], frame, &[]),
        }
    }

    /// When salts should be asked for.
    pub(super) fn salts_due(&self) -> Option<MonoTime> {
        let epoch = self.current.as_ref()?;
        let last = epoch.salts.as_slice().last()?;
        let runs_out = self.clock.when(last.valid_until - SALT_MARGIN);
        match epoch.salts_asked {
            SaltsAsked::Never => None,
            SaltsAsked::At(at) | SaltsAsked::Settled(at) => Some(runs_out.max(at + SALT_PAUSE)),
        }
    }
}
