//! How often a client is told that something is wrong.

use core::time::Duration;

use crate::time::MonoTime;

/// The time within which complaints are counted. A client that sends nothing but bad messages must not draw as many
/// packets from the server as it sends.
const PERIOD: Duration = Duration::from_secs(10);

/// Limits complaints (`bad_msg_notification`, `bad_server_salt`) to so many in ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ComplaintLimit {
    count: u16,
    since: MonoTime,
}

impl ComplaintLimit {
    /// Counts a complaint; returns whether it may be sent.
    pub(super) fn allows(&mut self, now: MonoTime, most: u16) -> bool {
        if self.since + PERIOD <= now {
            *self = Self { count: 0, since: now };
        }
        let is_allowed = self.count < most;
        self.count += u16::from(is_allowed);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_so_often_in_ten_seconds_and_not_more() {
        let mut limit = ComplaintLimit::default();
        let told: [bool; 6] = [0, 1, 9, 10, 10, 10].map(|second| {
            let now = MonoTime::from_duration(Duration::from_secs(second));
            limit.allows(now, 2)
        });
        assert_eq!(told, [true, true, false, true, true, false]);
    }
}
