//! `http_wait`: how long the answer to a request over HTTP is held back.
//!
//! Over HTTP a server can speak only in the answer to a request, so a request that finds nothing waits: at most
//! `max_wait` while there is nothing, then `wait_after` after each message and at most `max_delay` after the first.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#http-wait-long-poll>.

use core::time::Duration;

use crate::service::HttpWait;
use crate::time::MonoTime;

/// A request that is out, and how long its answer may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    wait: HttpWait,
    since: MonoTime,
    /// When the first and the last message came that wait to be sent.
    messages: Option<(MonoTime, MonoTime)>,
}

impl Hold {
    /// A request came. The last `http_wait` in it counts.
    pub(super) fn new(wait: HttpWait, now: MonoTime) -> Self {
        Self { wait: wait.clamped(), since: now, messages: None }
    }

    /// Another message waits to be sent.
    pub(super) fn on_message(&mut self, now: MonoTime) {
        let first = self.messages.map_or(now, |(first, _)| first);
        self.messages = Some((first, now));
    }

    /// Tells whether no message is known to wait.
    pub(super) const fn is_empty(&self) -> bool {
        self.messages.is_none()
    }

    /// Returns when the answer must go out: `max_wait` has priority over `max_delay`, and that over `wait_after`.
    pub(super) fn deadline(&self) -> MonoTime {
        let end = self.since + millis(self.wait.max_wait);
        let Some((first, last)) = self.messages else {
            return end;
        };
        let delay = first + millis(self.wait.max_delay);
        end.min(delay.min(last + millis(self.wait.wait_after)))
    }
}

fn millis(time: i32) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_millis(millis))
    }

    #[test]
    fn the_three_times_have_their_priorities() {
        let wait = HttpWait { max_delay: 500, wait_after: 200, max_wait: 1000 };
        let mut hold = Hold::new(wait, at(0));
        assert_eq!(hold.deadline(), at(1000), "nothing to say");
        hold.on_message(at(100));
        assert_eq!(hold.deadline(), at(300));
        hold.on_message(at(250));
        assert_eq!(hold.deadline(), at(450), "each message begins the shorter wait anew");
        hold.on_message(at(440));
        assert_eq!(hold.deadline(), at(600), "but not for longer than the first may wait");
        let mut hold = Hold::new(wait, at(0));
        hold.on_message(at(900));
        assert_eq!(hold.deadline(), at(1000), "and never longer than all of it");
    }

    #[test]
    fn the_defaults_answer_the_first_message_at_once() {
        let mut hold = Hold::new(HttpWait::default(), at(0));
        assert_eq!(hold.deadline(), at(25_000));
        hold.on_message(at(7));
        assert_eq!(hold.deadline(), at(7));
    }
}
