//! Whether a connection is alive.
//!
//! [`LivenessPolicy`] holds the numbers, with presets for a person waiting, for a bot and for a battery. `Liveness` measures
//! round trips and decides by them.
//!
//! Two clocks run here, and neither replaces the other:
//!
//! - **the datacenter's timer**: it closes the connection `disconnect_delay` after the last `ping_delay_disconnect`,
//!   whatever else it receives. So pings go out at the pace of that timer, however lively the connection is.
//! - **life**: what proves that the datacenter is there is an authenticated message. Bytes that arrive before one is
//!   whole prove only that the link moves, and anyone on the path can make them. They prolong a connection as long as
//!   they come at a KiB a second or faster.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#deferred-connection-closure--ping>.

use core::time::Duration;

use crate::time::MonoTime;

/// Bytes a second at which a connection counts as slow and not as dead.
pub(crate) const SLOWEST_RATE: u64 = 1024;

/// Most unauthenticated bytes that prolong a connection: the largest frame, and what surrounds it.
const MOST_UNPROVEN: u32 = (16 << 20) + (64 << 10);

/// Longest silence that a slow round trip excuses. A round trip that was measured while the machine slept or the network
/// was away is no measure of the link.
const LONGEST_PATIENCE: u64 = 60 * 1_000_000_000;

/// When to ping and when to give up. All times have a floor and grow with the round trip, up to a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LivenessPolicy {
    /// Time between two pings, whatever else is sent or received. It must be shorter than `disconnect_delay` by more
    /// than a round trip.
    pub keep_alive: Duration,
    /// Silence after which a ping goes out while calls are unanswered, at least.
    pub busy_ping: Duration,
    /// The same in round trips; the larger of both counts.
    pub busy_ping_rtts: u32,
    /// Time without any byte, after a ping went out, that ends the connection, at least.
    pub dead_after: Duration,
    /// The same in round trips; the larger of both counts.
    pub dead_after_rtts: u32,
    /// The server is asked to close the connection this long after the last ping (`ping_delay_disconnect`).
    pub disconnect_delay: Duration,
}

impl LivenessPolicy {
    chappe_types::with!();
}

impl LivenessPolicy {
    /// Somebody waits in front of a screen: a dead connection is noticed within seconds.
    pub const INTERACTIVE: Self = Self {
        keep_alive: Duration::from_secs(30),
        busy_ping: Duration::from_secs(3),
        busy_ping_rtts: 3,
        dead_after: Duration::from_secs(5),
        dead_after_rtts: 5,
        disconnect_delay: Duration::from_secs(60),
    };

    /// A program that runs for months behind proxies which drop idle connections. Telegram's own clients ping at
    /// this pace.
    pub const BOT: Self = Self {
        keep_alive: Duration::from_secs(60),
        busy_ping: Duration::from_secs(15),
        busy_ping_rtts: 5,
        dead_after: Duration::from_secs(15),
        dead_after_rtts: 10,
        disconnect_delay: Duration::from_secs(75),
    };

    /// A device that sleeps: few pings, and much patience.
    pub const BATTERY: Self = Self {
        keep_alive: Duration::from_secs(270),
        busy_ping: Duration::from_secs(30),
        busy_ping_rtts: 10,
        dead_after: Duration::from_secs(30),
        dead_after_rtts: 10,
        disconnect_delay: Duration::from_secs(330),
    };

    /// In nanoseconds, as is the round trip.
    #[inline]
    fn busy_ping(&self, rtt: u64) -> u64 {
        Self::patience(self.busy_ping, rtt, self.busy_ping_rtts)
    }

    /// In nanoseconds, as is the round trip.
    fn dead_after(&self, rtt: u64) -> u64 {
        Self::patience(self.dead_after, rtt, self.dead_after_rtts)
    }

    #[inline]
    fn patience(least: Duration, rtt: u64, rtts: u32) -> u64 {
        let slow = rtt.saturating_mul(rtts.into()).min(LONGEST_PATIENCE);
        MonoTime::from_duration(least).as_nanos().max(slow)
    }
}

impl Default for LivenessPolicy {
    /// [`LivenessPolicy::BOT`].
    fn default() -> Self {
        Self::BOT
    }
}

/// Pings and signs of life of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Liveness {
    /// Smoothed round trip in nanoseconds, zero before the first measurement.
    rtt: u64,
    /// When the last authenticated message came, or the connection opened.
    heard_at: MonoTime,
    /// When the datacenter's timer was last set, or the connection opened.
    timer_set_at: MonoTime,
    /// How long that timer runs, in seconds; zero before the first ping of a connection.
    timer_seconds: u32,
    /// When a call last began to wait, so that its silence is not counted from long before.
    waiting_since: MonoTime,
    ping: Option<Ping>,
    /// Milliseconds that bytes of ours take which went out before it.
    ahead_millis: u32,
    /// A ping is to go out although none is due.
    is_asked: bool,
    /// Bytes that moved since the last authenticated message and the first unanswered ping, at most [`MOST_UNPROVEN`].
    unproven: u32,
    /// When the last of them moved.
    moved_at: MonoTime,
}

/// The first ping that is unanswered.
#[derive(Clone, Copy, Debug)]
struct Ping {
    id: i64,
    sent_at: MonoTime,
    /// The last ping, which set the datacenter's timer: this one, or one that went out behind it.
    last_id: i64,
}

impl Liveness {
    /// Starts with a connection just opened.
    pub(crate) const fn new(now: MonoTime) -> Self {
        Self {
            rtt: 0,
            heard_at: now,
            timer_set_at: now,
            timer_seconds: 0,
            ahead_millis: 0,
            waiting_since: now,
            ping: None,
            is_asked: false,
            unproven: 0,
            moved_at: now,
        }
    }

    /// Returns the smoothed round trip, or `None` before the first measurement.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        (self.rtt > 0).then_some(Duration::from_nanos(self.rtt))
    }

    /// A new connection begins: pings of the old one are forgotten.
    pub(crate) const fn on_connected(&mut self, now: MonoTime) {
        *self = Self { rtt: self.rtt, ..Self::new(now) };
    }

    /// A new session begins on the same connection: pongs of the old one do not come any more, so a ping goes out in the
    /// new one. The datacenter's timer and the last sign of life belong to the connection, and stay.
    pub(crate) const fn on_new_session(&mut self) {
        self.ping = None;
        self.is_asked = true;
    }

    /// Requests a ping with the next packet.
    pub(crate) const fn request_ping(&mut self) {
        self.is_asked = true;
    }

    /// An authenticated message arrived whose time is plausible.
    pub(crate) const fn on_received(&mut self, now: MonoTime) {
        self.heard_at = now;
        (self.unproven, self.moved_at) = (0, now);
    }

    /// Bytes were read from the connection, or accepted by it. Nothing authenticates them.
    pub(crate) const fn on_bytes(&mut self, now: MonoTime, count: u64) {
        if count > 0 && self.unproven < MOST_UNPROVEN {
            let room = MOST_UNPROVEN - self.unproven;
            self.unproven = if count < room as u64 { self.unproven + count as u32 } else { MOST_UNPROVEN };
            self.moved_at = now;
        }
    }

    /// A call was sent while none was waiting.
    pub(crate) const fn on_waiting(&mut self, now: MonoTime) {
        self.waiting_since = now;
    }

    /// A ping went out.
    pub(crate) const fn on_ping_sent(&mut self, now: MonoTime, id: i64) {
        self.timer_set_at = now;
        self.is_asked = false;
        if let Some(ping) = &mut self.ping {
            // It sets the datacenter's timer and nothing else: patience counts from the first ping.
            ping.last_id = id;
        } else {
            self.ping = Some(Ping { id, sent_at: now, last_id: id });
            self.ahead_millis = 0;
            (self.unproven, self.moved_at) = (0, now);
        }
    }

    /// The same for a ping that sets the datacenter's timer to so many seconds, and that went out behind bytes of ours which
    /// take so long.
    pub(crate) fn on_ping_behind(&mut self, now: MonoTime, id: i64, ahead: Duration, timer_seconds: u32) {
        self.on_ping_sent(now, id);
        self.timer_seconds = timer_seconds;
        if self.ping.is_some_and(|ping| ping.id == id) {
            self.ahead_millis = u32::try_from(ahead.as_millis()).unwrap_or(u32::MAX);
        }
    }

    /// Returns when the datacenter closes the connection unless another ping sets its timer.
    pub(crate) fn timer_ends(&self) -> Option<MonoTime> {
        let seconds = Duration::from_secs(self.timer_seconds.into());
        (!seconds.is_zero()).then(|| self.timer_set_at + seconds)
    }

    /// Returns how long the answer to a ping may take.
    pub(crate) fn patience(&self, policy: &LivenessPolicy) -> Duration {
        Duration::from_nanos(policy.dead_after(self.rtt))
    }

    /// Returns whether a ping is out.
    pub(crate) const fn awaits_pong(&self) -> bool {
        self.ping.is_some()
    }

    /// The ping that is out was refused, because of its salt perhaps: another goes out with the next packet.
    pub(crate) fn on_ping_lost(&mut self) {
        self.is_asked |= self.ping.take().is_some();
    }

    /// A pong arrived; returns whether it answers a ping that is out (SEC-108).
    pub(crate) fn on_pong(&mut self, now: MonoTime, id: i64) -> bool {
        let Some(Ping { id: first_id, sent_at, last_id }) = self.ping else {
            return false;
        };
        let sent_at = if id == first_id {
            sent_at
        } else if id == last_id {
            self.timer_set_at
        } else {
            return false;
        };
        // Pongs come in order, so the pong of the last ping ends the wait for that of the first.
        self.ping = (id != last_id).then_some(Ping { id: last_id, sent_at: self.timer_set_at, last_id });
        if self.ahead_millis > 0 {
            // It measures the bytes in front of the ping more than the round trip.
            return true;
        }
        let sample = u64::try_from(now.since(sent_at).as_nanos()).unwrap_or(u64::MAX);
        let smooth = if self.rtt == 0 { sample } else { self.rtt - self.rtt / 8 + sample / 8 };
        // Zero means "not measured", so a loopback's round trip counts as a nanosecond.
        self.rtt = smooth.max(1);
        true
    }

    /// Returns when the next ping is due, or when the connection is given up if that is sooner.
    #[inline]
    pub(crate) fn deadline(&self, policy: &LivenessPolicy, is_waiting: bool) -> MonoTime {
        let keep_alive = self.timer_set_at + policy.keep_alive;
        match self.ping {
            Some(ping) => keep_alive.min(self.dead_at(policy, ping)),
            None if is_waiting => keep_alive
                .min(self.heard_at.max(self.waiting_since).saturating_add_nanos(policy.busy_ping(self.rtt))),
            None => keep_alive,
        }
    }

    /// Returns when the connection is given up for want of an answer to a ping; `None` while none is out.
    pub(crate) fn dead_deadline(&self, policy: &LivenessPolicy) -> Option<MonoTime> {
        self.ping.map(|ping| self.dead_at(policy, ping))
    }

    /// Returns when the connection is given up for want of an answer to a ping.
    fn dead_at(&self, policy: &LivenessPolicy, ping: Ping) -> MonoTime {
        let patience = policy.dead_after(self.rtt);
        let begun = ping.sent_at + Duration::from_millis(self.ahead_millis.into());
        let begun = begun.max(self.heard_at);
        let silent = begun.saturating_add_nanos(patience);
        // Each byte buys the time it takes at the slowest rate. Bytes that come faster than that keep the connection
        // for as long as they come; one that trickles in now and then does not.
        let bought = u64::from(self.unproven).saturating_mul(1_000_000_000 / SLOWEST_RATE);
        silent.max(silent.saturating_add_nanos(bought).min(self.moved_at.saturating_add_nanos(patience)))
    }

    /// Returns when the last authenticated message came, or the connection opened.
    pub(crate) const fn heard_at(&self) -> MonoTime {
        self.heard_at
    }

    /// Returns whether nothing was heard for a time.
    pub(crate) fn is_quiet(&self, now: MonoTime, time: Duration) -> bool {
        self.heard_at + time <= now
    }

    /// Returns whether a ping should go out now.
    #[inline]
    pub(crate) fn wants_ping(&self, policy: &LivenessPolicy, now: MonoTime, is_waiting: bool) -> bool {
        if self.awaits_pong() {
            // Bytes keep a slow connection alive without a pong, but only a ping sets the datacenter's timer.
            return self.timer_set_at + policy.keep_alive <= now;
        }
        self.is_asked || self.deadline(policy, is_waiting) <= now
    }

    /// Returns whether a ping has gone unanswered for too long.
    pub(crate) fn is_dead(&self, policy: &LivenessPolicy, now: MonoTime) -> bool {
        self.ping.is_some_and(|ping| self.dead_at(policy, ping) <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOT: LivenessPolicy = LivenessPolicy::BOT;

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_secs(seconds))
    }

    #[test]
    fn an_idle_connection_is_pinged_and_a_dead_one_noticed() {
        let mut live = Liveness::new(at(0));
        assert!(!live.wants_ping(&BOT, at(59), false));
        assert!(live.wants_ping(&BOT, at(60), false));
        live.on_ping_sent(at(60), 7);
        assert!(!live.wants_ping(&BOT, at(119), false), "one ping at a time");
        assert!(!live.is_dead(&BOT, at(74)));
        assert!(live.is_dead(&BOT, at(75)));
    }

    #[test]
    fn the_datacenters_timer_is_set_again_in_time_however_lively_the_connection_is() {
        for policy in [LivenessPolicy::INTERACTIVE, BOT, LivenessPolicy::BATTERY] {
            let mut live = Liveness::new(at(0));
            let mut timer_ends = None;
            for second in 0..3600 {
                live.on_received(at(second));
                if live.wants_ping(&policy, at(second), second % 2 == 0) {
                    live.on_ping_sent(at(second), second as i64);
                    timer_ends = Some(at(second) + policy.disconnect_delay);
                    assert!(live.on_pong(at(second), second as i64));
                }
                assert!(timer_ends.is_none_or(|ends| at(second) < ends), "closed after {second} s");
            }
            assert!(timer_ends.is_some());
        }
    }

    #[test]
    fn the_datacenters_timer_is_set_again_on_a_slow_link_while_a_ping_is_unanswered() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        let mut timer_ends = at(0) + BOT.disconnect_delay;
        for second in 1..300 {
            live.on_bytes(at(second), SLOWEST_RATE);
            assert!(live.deadline(&BOT, true) < timer_ends, "{second} s");
            if live.wants_ping(&BOT, at(second), true) {
                live.on_ping_sent(at(second), 1 + second as i64);
                timer_ends = at(second) + BOT.disconnect_delay;
            }
            assert!(at(second) < timer_ends, "closed after {second} s");
        }
        assert!(live.wants_ping(&BOT, at(300), true));
        live.on_ping_sent(at(300), 301);
        assert!(!live.is_dead(&BOT, at(313)));
        assert!(live.is_dead(&BOT, at(314)), "a ping of ours is no sign of life");
    }

    #[test]
    fn either_of_two_pings_may_be_answered_and_each_measures_its_own_round_trip() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        live.on_ping_sent(at(60), 2);
        let mut late = live.clone();
        assert!(live.on_pong(at(70), 2) && !live.awaits_pong());
        assert_eq!(live.rtt(), Some(Duration::from_secs(10)));
        assert!(late.on_pong(at(65), 1) && late.awaits_pong());
        assert_eq!(late.rtt(), Some(Duration::from_secs(65)));
        assert!(late.on_pong(at(70), 2) && !late.awaits_pong());
    }

    #[test]
    fn a_new_session_is_pinged_and_does_not_move_the_datacenters_timer() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        live.on_new_session();
        assert!(!live.awaits_pong() && live.wants_ping(&BOT, at(1), false));
        assert_eq!(live.deadline(&BOT, false), at(60));
    }

    #[test]
    fn a_ping_that_is_asked_for_goes_out_once() {
        let mut live = Liveness::new(at(0));
        live.request_ping();
        assert!(live.wants_ping(&BOT, at(0), false));
        live.on_ping_sent(at(0), 7);
        assert!(live.on_pong(at(1), 7));
        assert!(!live.wants_ping(&BOT, at(1), false));
    }

    #[test]
    fn a_waiting_call_makes_silence_suspicious_sooner() {
        let mut live = Liveness::new(at(0));
        live.on_waiting(at(20));
        assert!(!live.wants_ping(&BOT, at(34), true));
        assert!(live.wants_ping(&BOT, at(35), true));
        live.on_received(at(30));
        assert!(!live.wants_ping(&BOT, at(44), true));
        assert!(live.wants_ping(&BOT, at(45), true));
    }

    #[test]
    fn a_slow_link_is_not_taken_for_a_dead_one() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        assert!(live.on_pong(at(5), 1));
        assert_eq!(live.rtt(), Some(Duration::from_secs(5)));
        live.on_ping_sent(at(20), 2);
        assert!(!live.is_dead(&BOT, at(69)));
        assert!(live.is_dead(&BOT, at(70)));
    }

    #[test]
    fn a_round_trip_across_a_sleep_does_not_keep_a_dead_connection() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        assert!(live.on_pong(at(3600), 1));
        assert!(live.wants_ping(&BOT, at(3660), true));
        live.on_ping_sent(at(3660), 2);
        assert!(!live.is_dead(&BOT, at(3719)));
        assert!(live.is_dead(&BOT, at(3720)));
    }

    #[test]
    fn sec_108_a_pong_with_another_id_is_ignored() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        assert!(!live.on_pong(at(1), 2));
        assert!(live.on_pong(at(1), 1));
        assert!(!live.on_pong(at(1), 1), "a pong counts once");
    }

    #[test]
    fn bytes_that_arrive_count_as_a_sign_of_life() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        live.on_received(at(14));
        assert!(!live.is_dead(&BOT, at(20)));
        assert!(live.is_dead(&BOT, at(29)));
    }

    #[test]
    fn a_frame_that_comes_in_slowly_keeps_the_connection_until_it_stops() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        for second in 1..=600 {
            live.on_bytes(at(second), SLOWEST_RATE);
            assert!(!live.is_dead(&BOT, at(second)), "{second} s");
        }
        assert!(!live.is_dead(&BOT, at(614)));
        assert!(live.is_dead(&BOT, at(615)));
    }

    #[test]
    fn bytes_that_anyone_could_have_made_do_not_keep_a_connection_without_bound() {
        // One byte every ten seconds buys a hundredth of a second.
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        (1..=3).for_each(|n| live.on_bytes(at(10 * n), 1));
        assert!(live.is_dead(&BOT, at(30)));
        // A flood buys no more than the largest frame would take.
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        let dead_at = (1..100_000_u64).find(|second| {
            live.on_bytes(at(*second), 1 << 20);
            live.is_dead(&BOT, at(*second))
        });
        assert!(dead_at.is_some_and(|second| second < 60), "{dead_at:?}");
    }
}
