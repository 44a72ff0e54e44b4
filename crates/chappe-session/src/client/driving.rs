//! What drivers ask for besides calls: a sign of life now, acknowledgements before they leave.

use chappe_types::Rule;

use super::{ClientSession, ReceiveError};
use crate::time::Now;

impl ClientSession {
    /// Has a ping go out with the next packet, so that a new connection shows whether anybody is there.
    ///
    /// Without it an idle session would find out only when its next ping is due.
    pub const fn request_ping(&mut self) {
        self.live.request_ping();
    }

    /// Has waiting acknowledgements go out with the next packet, before a connection is closed.
    ///
    /// What is not acknowledged is sent again by the server on the next connection.
    pub fn flush_acks(&mut self, now: Now) {
        for epoch in [self.current.as_mut(), self.previous.as_mut()].into_iter().flatten() {
            epoch.acks.hurry(now.mono);
        }
    }

    /// Tells whether calls can go out: a key is there, and if it is a temporary one, it is bound.
    pub fn is_usable(&self) -> bool {
        self.current.as_ref().is_some_and(|epoch| epoch.is_usable())
    }
}

impl ReceiveError {
    /// Returns the rule that the frame broke. `None` if the frame was not looked at.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Frame(error) => Some(error.rule()),
            Self::EventsWaiting => None,
        }
    }
}
