//! The request that binds a temporary key, until it is answered.

use core::time::Duration;

use chappe_framing::MsgId;

use crate::time::MonoTime;

/// How long the answer to a binding may take before it is sent again. Binding the same key twice does no harm.
const PATIENCE: Duration = Duration::from_secs(10);

/// The request that binds a temporary key. It repeats its own `msg_id`, so it is built anew for each message.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Binding {
    sent: Option<(MsgId, MonoTime)>,
    attempts: u8,
}

impl Binding {
    /// Returns whether the request must go out.
    pub(in super::super) const fn is_wanted(&self) -> bool {
        self.sent.is_none()
    }

    /// Returns whether the message with this id is the request that waits for its answer.
    pub(super) fn is_sent_as(&self, msg_id: MsgId) -> bool {
        self.sent.is_some_and(|(sent, _)| sent == msg_id)
    }

    pub(in super::super) const fn on_sent(&mut self, msg_id: MsgId, now: MonoTime) {
        self.sent = Some((msg_id, now));
        self.attempts = self.attempts.saturating_add(1);
    }

    /// The request or its answer is lost: it is sent again. Returns how often it was sent.
    pub(super) const fn lose(&mut self) -> u8 {
        self.sent = None;
        self.attempts
    }

    /// What was sent before this message is lost.
    pub(super) fn lose_before(&mut self, first: MsgId) {
        self.sent = self.sent.filter(|(msg_id, _)| *msg_id >= first);
    }

    /// Sends the request again if its answer is overdue.
    pub(super) fn renew(&mut self, now: MonoTime) {
        self.sent = self.sent.filter(|(_, at)| *at + PATIENCE > now);
    }

    /// Returns when the request is sent again.
    pub(super) fn due(&self) -> Option<MonoTime> {
        self.sent.map(|(_, at)| at + PATIENCE)
    }
}
