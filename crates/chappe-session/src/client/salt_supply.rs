//! The salts of one key, and when more are requested.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#request-for-several-future-salts>.

use core::time::Duration;

use crate::clock::ServerClock;
use crate::salts::SaltTable;
use crate::time::MonoTime;

/// Seconds before the last salt ends at which the next ones are requested.
const MARGIN: i64 = 60;

/// Least time between two requests: a server that refuses them is not asked with every packet.
const PAUSE: Duration = Duration::from_secs(60);

/// The salts of one key.
#[derive(Debug)]
pub(super) struct SaltSupply {
    pub(super) table: SaltTable,
    request: Request,
}

/// The last request for salts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    None,
    /// It was sent then, and its answer has not come.
    Sent(MonoTime),
    /// Its answer came then, or an error.
    Answered(MonoTime),
}

impl SaltSupply {
    pub(super) const fn new(table: SaltTable) -> Self {
        Self { table, request: Request::None }
    }

    /// Returns whether salts should be requested with the next packet that goes out.
    #[inline]
    pub(super) fn wants_request(&self, now: MonoTime, clock: &ServerClock) -> bool {
        let has_paused = match self.request {
            Request::None => true,
            Request::Sent(at) | Request::Answered(at) => at + PAUSE <= now,
        };
        has_paused && self.table.runs_low(clock.seconds(now), MARGIN)
    }

    /// Returns when salts must be requested; `None` before the first request, which goes out with the first call.
    pub(super) fn request_due(&self, clock: &ServerClock) -> Option<MonoTime> {
        let runs_out = clock.when(self.table.as_slice().last()?.valid_until - MARGIN);
        match self.request {
            Request::None => None,
            Request::Sent(at) | Request::Answered(at) => Some(runs_out.max(at + PAUSE)),
        }
    }

    pub(super) const fn on_requested(&mut self, now: MonoTime) {
        self.request = Request::Sent(now);
    }

    pub(super) const fn on_answered(&mut self, now: MonoTime) {
        self.request = Request::Answered(now);
    }

    /// The connection is gone, and with it the answer to a request.
    pub(super) fn on_disconnected(&mut self) {
        if matches!(self.request, Request::Sent(_)) {
            self.request = Request::None;
        }
    }

    /// Forgets that salts were requested.
    pub(super) const fn forget_request(&mut self) {
        self.request = Request::None;
    }
}
