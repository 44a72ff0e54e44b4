//! Is the connection still alive?
//!
//! [`Liveness`] measures round trips and says when to ping and when to give a connection up.
//! [`LivenessPolicy`] holds the numbers, with presets for a person waiting, for a bot and for a battery.
//! Everything scales with the measured round trip, so a slow link is not taken for a dead one and a dead
//! one is noticed quickly, while idle as well as while waiting.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#ping-messages-pingpong>.

use core::time::Duration;

use crate::time::MonoTime;

/// When to ping and when to give up. All times have a floor and grow with the round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LivenessPolicy {
    /// Silence after which a ping goes out while nothing is awaited.
    pub idle_ping: Duration,
    /// Silence after which a ping goes out while calls are unanswered, at least.
    pub busy_ping: Duration,
    /// The same in round trips; the larger of both counts.
    pub busy_ping_rtts: u32,
    /// Time without any byte, after a ping went out, that ends the connection, at least.
    pub dead_after: Duration,
    /// The same in round trips; the larger of both counts.
    pub dead_after_rtts: u32,
    /// The server is asked to close the connection when it hears nothing for this long
    /// (`ping_delay_disconnect`). Must exceed `idle_ping`.
    pub disconnect_delay: Duration,
}

impl LivenessPolicy {
    chappe_types::setters! {
        with_idle_ping => idle_ping: Duration,
        with_busy_ping => busy_ping: Duration,
        with_busy_ping_rtts => busy_ping_rtts: u32,
        with_dead_after => dead_after: Duration,
        with_dead_after_rtts => dead_after_rtts: u32,
        with_disconnect_delay => disconnect_delay: Duration,
    }
}

impl LivenessPolicy {
    /// Somebody waits in front of a screen: a dead connection is noticed within seconds.
    pub const INTERACTIVE: Self = Self {
        idle_ping: Duration::from_secs(30),
        busy_ping: Duration::from_secs(3),
        busy_ping_rtts: 3,
        dead_after: Duration::from_secs(5),
        dead_after_rtts: 5,
        disconnect_delay: Duration::from_secs(60),
    };

    /// A program that runs for months behind proxies which drop idle connections.
    pub const BOT: Self = Self {
        idle_ping: Duration::from_secs(55),
        busy_ping: Duration::from_secs(15),
        busy_ping_rtts: 5,
        dead_after: Duration::from_secs(15),
        dead_after_rtts: 10,
        disconnect_delay: Duration::from_secs(75),
    };

    /// A device that sleeps: few pings, and much patience.
    pub const BATTERY: Self = Self {
        idle_ping: Duration::from_secs(270),
        busy_ping: Duration::from_secs(30),
        busy_ping_rtts: 10,
        dead_after: Duration::from_secs(30),
        dead_after_rtts: 10,
        disconnect_delay: Duration::from_secs(330),
    };

    /// In nanoseconds, as is the round trip.
    #[inline]
    fn busy_ping(&self, rtt: u64) -> u64 {
        MonoTime::from_duration(self.busy_ping).as_nanos().max(rtt.saturating_mul(self.busy_ping_rtts.into()))
    }

    /// In nanoseconds, as is the round trip.
    fn dead_after(&self, rtt: u64) -> u64 {
        MonoTime::from_duration(self.dead_after)
            .as_nanos()
            .max(rtt.saturating_mul(self.dead_after_rtts.into()))
    }
}

impl Default for LivenessPolicy {
    /// [`LivenessPolicy::BOT`].
    fn default() -> Self {
        Self::BOT
    }
}

/// Pings and silence of one connection.
#[derive(Clone, Debug)]
pub struct Liveness {
    /// Smoothed round trip in nanoseconds, zero before the first measurement.
    rtt: u64,
    heard_at: MonoTime,
    /// When a call last began to wait, so that its silence is not counted from long before.
    waiting_since: MonoTime,
    ping: Option<Ping>,
    /// A ping is to go out although none is due.
    is_asked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    id: i64,
    sent_at: MonoTime,
}

impl Liveness {
    /// Starts with a connection just opened.
    pub const fn new(now: MonoTime) -> Self {
        Self { rtt: 0, heard_at: now, waiting_since: now, ping: None, is_asked: false }
    }

    /// Returns the smoothed round trip, or `None` before the first measurement.
    pub fn rtt(&self) -> Option<Duration> {
        (self.rtt > 0).then_some(Duration::from_nanos(self.rtt))
    }

    /// A new connection begins: pings of the old one are forgotten.
    pub fn on_connected(&mut self, now: MonoTime) {
        self.heard_at = now;
        self.waiting_since = now;
        self.ping = None;
        self.is_asked = false;
    }

    /// Asks for a ping with the next packet.
    pub const fn request_ping(&mut self) {
        self.is_asked = true;
    }

    /// An authenticated message arrived.
    pub fn on_received(&mut self, now: MonoTime) {
        self.heard_at = now;
    }

    /// A call was sent while none was waiting.
    pub fn on_waiting(&mut self, now: MonoTime) {
        self.waiting_since = now;
    }

    /// A ping went out.
    pub fn on_ping_sent(&mut self, now: MonoTime, id: i64) {
        self.ping = Some(Ping { id, sent_at: now });
        self.is_asked = false;
    }

    /// The ping that is out was refused, because of its salt perhaps: another goes out with the next packet.
    pub fn on_ping_lost(&mut self) {
        self.is_asked |= self.ping.take().is_some();
    }

    /// A pong arrived; returns whether it answers the ping that is out (SEC-108).
    pub fn on_pong(&mut self, now: MonoTime, id: i64) -> bool {
        let Some(ping) = self.ping.take_if(|ping| ping.id == id) else {
            return false;
        };
        let sample = u64::try_from(now.since(ping.sent_at).as_nanos()).unwrap_or(u64::MAX);
        let smooth = if self.rtt == 0 { sample } else { self.rtt - self.rtt / 8 + sample / 8 };
        // Zero means "not measured", so a loopback's round trip counts as a nanosecond.
        self.rtt = smooth.max(1);
        true
    }

    /// Returns when the next ping is due, or when the connection is given up if one is out.
    #[inline]
    pub fn deadline(&self, policy: &LivenessPolicy, is_waiting: bool) -> MonoTime {
        let idle = self.heard_at + policy.idle_ping;
        match self.ping {
            Some(ping) => ping.sent_at.max(self.heard_at).saturating_add_nanos(policy.dead_after(self.rtt)),
            None if is_waiting => idle
                .min(self.heard_at.max(self.waiting_since).saturating_add_nanos(policy.busy_ping(self.rtt))),
            None => idle,
        }
    }

    /// Tells whether nothing was heard for a time.
    pub(crate) fn is_quiet(&self, now: MonoTime, time: Duration) -> bool {
        self.heard_at + time <= now
    }

    /// Tells whether a ping should go out now.
    #[inline]
    pub fn wants_ping(&self, policy: &LivenessPolicy, now: MonoTime, is_waiting: bool) -> bool {
        self.ping.is_none() && (self.is_asked || self.deadline(policy, is_waiting) <= now)
    }

    /// Tells whether a ping has gone unanswered for too long.
    pub fn is_dead(&self, policy: &LivenessPolicy, now: MonoTime) -> bool {
        self.ping.is_some() && self.deadline(policy, false) <= now
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
        assert!(!live.wants_ping(&BOT, at(54), false));
        assert!(live.wants_ping(&BOT, at(55), false));
        live.on_ping_sent(at(55), 7);
        assert!(!live.wants_ping(&BOT, at(500), false), "one ping at a time");
        assert!(!live.is_dead(&BOT, at(69)));
        assert!(live.is_dead(&BOT, at(70)));
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
        live.on_waiting(at(40));
        assert!(!live.wants_ping(&BOT, at(54), true));
        assert!(live.wants_ping(&BOT, at(55), true));
        live.on_received(at(50));
        assert!(!live.wants_ping(&BOT, at(64), true));
        assert!(live.wants_ping(&BOT, at(65), true));
    }

    #[test]
    fn a_slow_link_is_not_taken_for_a_dead_one() {
        let mut live = Liveness::new(at(0));
        live.on_ping_sent(at(0), 1);
        assert!(live.on_pong(at(10), 1));
        assert_eq!(live.rtt(), Some(Duration::from_secs(10)));
        live.on_ping_sent(at(20), 2);
        assert!(!live.is_dead(&BOT, at(119)));
        assert!(live.is_dead(&BOT, at(120)));
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
}
