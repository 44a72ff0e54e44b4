//! The server's time, as a client knows it.
//!
//! [`ServerClock`] runs on the monotonic clock once it is set, so that a jump of the wall clock moves
//! nothing (SEC-177). It is moved only by messages that were authenticated *and* refer to a message this
//! client sent recently (SEC-81); the callers of this module make sure of that.
//!
//! Three things move it:
//! - an answer stamped later than our clock: time cannot run backwards, so ours is late;
//! - an answer stamped well before its question: ours was fast when the question was sent;
//! - `bad_msg_notification` 16 and 17, whose own `msg_id` carries the right time.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#notice-of-ignored-error-message>.

use core::time::Duration;

use chappe_framing::{MsgId, UnixTime};

use crate::time::{MonoTime, Now};

/// How far before its question an answer must be stamped to prove that our clock was fast: less may be the
/// difference between two clocks of the datacenter.
const FAST_CLOCK_PROOF: Duration = Duration::from_secs(15);

/// Smallest correction that is reported.
const REPORTED_FROM: Duration = Duration::from_secs(1);

/// How an observation changed the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockChange {
    /// Not at all, or by less than a second.
    None,
    /// It was set forward.
    Forward,
    /// It was set back; ids made from now on may be lower than ones already sent.
    Backward,
}

/// The server's clock, derived from a monotonic one.
#[derive(Clone, Debug)]
pub struct ServerClock {
    /// The server's time was `server` when the monotonic clock read `mono`.
    mono: MonoTime,
    server: UnixTime,
    is_synchronized: bool,
}

impl ServerClock {
    /// Starts with the wall clock corrected by `offset_seconds`, which is a guess until the server answers.
    pub(crate) fn unsynchronized(now: Now, offset_seconds: i32) -> Self {
        let server = now.unix.saturating_offset(i64::from(offset_seconds) * 1_000_000_000);
        Self { mono: now.mono, server, is_synchronized: false }
    }

    /// Starts with an offset that a handshake has just measured.
    pub(crate) fn synchronized(now: Now, offset_seconds: i32) -> Self {
        Self { is_synchronized: true, ..Self::unsynchronized(now, offset_seconds) }
    }

    /// Returns the server's time at a moment of the monotonic clock.
    #[inline]
    pub fn at(&self, mono: MonoTime) -> UnixTime {
        // In whole nanoseconds: this is asked several times for each message.
        let (server, now, then) = (self.server.as_nanos(), mono.as_nanos(), self.mono.as_nanos());
        UnixTime::from_nanos(if now >= then {
            server.saturating_add(now - then)
        } else {
            server.saturating_sub(then - now)
        })
    }

    /// Returns the server's time in whole seconds.
    #[inline]
    pub fn seconds(&self, mono: MonoTime) -> i64 {
        self.at(mono).as_secs() as i64
    }

    /// Returns when the monotonic clock will show, or showed, a second of the server's.
    pub(crate) fn when(&self, server_seconds: i64) -> MonoTime {
        let then = UnixTime::from_secs(u64::try_from(server_seconds).unwrap_or(0));
        let ahead = then.saturating_since(self.server);
        if ahead.is_zero() {
            let behind = self.server.saturating_since(then);
            return MonoTime::from_duration(self.mono.as_duration().saturating_sub(behind));
        }
        self.mono + ahead
    }

    /// Returns what must be added to the wall clock to get the server's time, in seconds.
    pub fn offset_seconds(&self, now: Now) -> i32 {
        let seconds = self.at(now.mono).offset_from(now.unix).div_euclid(1_000_000_000);
        i32::try_from(seconds).unwrap_or(if seconds < 0 { i32::MIN } else { i32::MAX })
    }

    /// Returns whether the server has confirmed the time in this run.
    pub const fn is_synchronized(&self) -> bool {
        self.is_synchronized
    }

    /// Takes the time from `answer`, the id of an authenticated message that answers our message `question`.
    pub(crate) fn observe_answer(&mut self, mono: MonoTime, answer: MsgId, question: MsgId) -> ClockChange {
        self.is_synchronized = true;
        let stamp = answer.time();
        // An answer that is stamped well before its question shows that our clock is ahead.
        if stamp.saturating_add(FAST_CLOCK_PROOF) < question.time() {
            return self.set(mono, stamp);
        }
        // The stamp was the time when the answer was written. It can show that we are behind; an old one shows only that the
        // answer was late.
        if stamp > self.at(mono) { self.set(mono, stamp) } else { ClockChange::None }
    }

    /// Takes the time from `notification`, the id of a `bad_msg_notification` with code 16 or 17.
    pub(crate) fn reset(&mut self, mono: MonoTime, notification: MsgId) -> ClockChange {
        self.is_synchronized = true;
        self.set(mono, notification.time())
    }

    fn set(&mut self, mono: MonoTime, server: UnixTime) -> ClockChange {
        let moved = server.offset_from(self.at(mono));
        self.mono = mono;
        self.server = server;
        if moved.unsigned_abs() < REPORTED_FROM.as_nanos() as u64 {
            ClockChange::None
        } else if moved > 0 {
            ClockChange::Forward
        } else {
            ClockChange::Backward
        }
    }
}

#[cfg(test)]
mod tests {
    use chappe_framing::MsgOrigin;

    use super::*;

    fn now(mono: u64, unix: u64) -> Now {
        Now::new(MonoTime::from_duration(Duration::from_secs(mono)), UnixTime::from_secs(unix))
    }

    fn stamp(seconds: u64, origin: MsgOrigin) -> MsgId {
        MsgId::at(UnixTime::from_secs(seconds), origin)
    }

    #[test]
    fn a_jump_of_the_wall_clock_moves_nothing() {
        let clock = ServerClock::synchronized(now(10, 1000), 5);
        assert_eq!(clock.at(now(20, 9_999_999).mono), UnixTime::from_secs(1015));
        assert_eq!(clock.offset_seconds(now(20, 2000)), -985);
    }

    #[test]
    fn an_answer_stamped_later_than_our_clock_moves_it_forward() {
        let mut clock = ServerClock::unsynchronized(now(0, 1000), 0);
        let change = clock.observe_answer(
            now(1, 0).mono,
            stamp(1500, MsgOrigin::Response),
            stamp(1000, MsgOrigin::Client),
        );
        assert_eq!(change, ClockChange::Forward);
        assert!(clock.is_synchronized());
        assert_eq!(clock.seconds(now(2, 0).mono), 1501);
    }

    #[test]
    fn an_old_answer_does_not_move_it_back() {
        let mut clock = ServerClock::synchronized(now(0, 1000), 0);
        let question = stamp(1000, MsgOrigin::Client);
        let change = clock.observe_answer(now(200, 0).mono, stamp(1001, MsgOrigin::Response), question);
        assert_eq!(change, ClockChange::None);
        assert_eq!(clock.seconds(now(200, 0).mono), 1200);
    }

    #[test]
    fn an_answer_stamped_before_its_question_proves_a_fast_clock() {
        let mut clock = ServerClock::unsynchronized(now(0, 5000), 0);
        let question = stamp(5000, MsgOrigin::Client);
        assert_eq!(
            clock.observe_answer(now(1, 0).mono, stamp(4990, MsgOrigin::Response), question),
            ClockChange::None,
            "ten seconds may be the resolution of somebody's clock"
        );
        assert_eq!(
            clock.observe_answer(now(1, 0).mono, stamp(1000, MsgOrigin::Response), question),
            ClockChange::Backward
        );
        assert_eq!(clock.seconds(now(1, 0).mono), 1000);
    }
}
