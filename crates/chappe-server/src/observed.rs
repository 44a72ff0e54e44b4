//! What an engine counts and tells.

use std::sync::atomic::Ordering;

use crate::event::{Events, ServerEvent};
use crate::metrics::Activity;
use crate::session::Attached;

/// What an engine counts and tells. Its sessions share it.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) activity: Activity,
    pub(crate) events: Events,
}

impl Observed {
    pub(crate) fn note_session_begun(&self, session: &Attached) {
        self.activity.sessions_begun.fetch_add(1, Ordering::Relaxed);
        self.events.push(ServerEvent::SessionBegan { session: session.clone() });
    }

    pub(crate) fn note_session_ended(&self, session: &Attached) {
        self.activity.sessions_ended.fetch_add(1, Ordering::Relaxed);
        self.events.push(ServerEvent::SessionEnded { session: session.clone() });
    }
}
