//! Bytes of ours that may not have arrived yet, and the rate at which they arrive.
//!
//! A frame cannot be interrupted, and what a socket or a proxy has accepted cannot be overtaken: a ping arrives behind all
//! of it. So calls are held back while the bytes on their way would take longer than a part of the patience of the policy,
//! and a ping that goes out behind such bytes has the time that they take.
//!
//! What has arrived is known from the server: it acknowledges or answers a message, and a connection keeps the order.
//! Where it says nothing, a ping behind the bytes makes it answer.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::time::Duration;

use chappe_framing::MsgId;

use crate::liveness::SLOWEST_RATE;
use crate::time::MonoTime;

/// Bytes that may always be on their way. A larger message goes when no more than this is.
const MIN_WINDOW: u64 = 8 << 10;

/// Most bytes that may be on their way, however fast the link: what a link of 1 Gbit/s holds in 60 ms.
const MAX_WINDOW: u64 = 8 << 20;

/// Bytes a second that the window assumes before anything was measured.
const FIRST_RATE: u64 = 4 << 10;

/// Most time that bytes on their way are given before anything was measured. A link that died under them is noticed so much
/// later. It doubles with each connection that is lost in silence under bytes, which may have been slow and not dead.
const FIRST_TIME: Duration = Duration::from_secs(60);

/// Bytes between two notes of what was sent. So many measure a rate however long they took; fewer may have waited for the
/// server more than for the link, and only show that the link is at least that fast.
const NOTE_EVERY: u64 = 16 << 10;

/// Fewer bytes measure nothing, and need no time of their own.
const FEW: u64 = 4 << 10;

/// Most time that bytes on their way are given, whatever the rate.
const MOST_TIME: Duration = Duration::from_secs(600);

/// Bytes on their way over one connection, and how fast they arrive.
#[derive(Debug)]
pub(super) struct Outstanding {
    /// `None` while nothing is on its way: an idle session keeps no memory for it.
    way: Option<Box<OnTheWay>>,
    /// Bytes a second, measured or assumed. It outlives the connection, as a guess of how much may go over the next one.
    rate: u64,
    /// The rate was measured on this connection. That of another network is no reason to give this one up.
    is_measured: bool,
    /// Connections that were given up in silence under bytes, one after the other, before a rate was measured on them.
    silences: u8,
}

/// Bytes on their way.
#[derive(Debug, Default)]
struct OnTheWay {
    /// Bytes sent over this connection, and those of them that arrived.
    sent: u64,
    arrived: u64,
    /// When the last of them were seen to have arrived, or bytes were sent while next to nothing was on its way.
    arrived_at: MonoTime,
    /// What had arrived, and when, as the first bytes were sent that no note is about.
    base: (u64, MonoTime),
    /// What was sent and not seen to have arrived, oldest first.
    notes: VecDeque<Note>,
    /// Bytes sent before the last ping, and that ping included.
    pinged: u64,
}

/// Bytes that have arrived once any message after `after` has.
#[derive(Clone, Copy, Debug)]
struct Note {
    after: MsgId,
    /// Bytes sent up to here.
    sent: u64,
    /// What had arrived, and when, as the first bytes of the note were sent. The rate is measured from there, so that
    /// answers which come together do not count as fast.
    base: (u64, MonoTime),
}

impl OnTheWay {
    fn on_sent(&mut self, now: MonoTime, after: MsgId, bytes: u64, has_ping: bool) {
        let noted = self.notes.back().map_or(self.arrived, |note| note.sent);
        let is_first = self.sent == noted;
        if !is_first && bytes >= NOTE_EVERY {
            // It is measured without what was sent long before.
            self.note(after);
        }
        if is_first || bytes >= NOTE_EVERY {
            if self.sent - self.arrived < NOTE_EVERY {
                self.arrived_at = now;
            }
            self.base = (self.arrived, self.arrived_at);
        }
        self.sent += bytes;
        if has_ping {
            self.pinged = self.sent;
        }
        if self.sent - noted >= NOTE_EVERY || has_ping {
            self.note(after);
        }
    }

    fn note(&mut self, after: MsgId) {
        if self.notes.len() == self.notes.capacity() {
            // Not four at once, as a deque would: most sessions have a ping on its way and nothing else.
            self.notes.reserve_exact(self.notes.len().max(1));
        }
        self.notes.push_back(Note { after, sent: self.sent, base: self.base });
    }
}

impl Outstanding {
    pub(super) const fn new() -> Self {
        Self { way: None, rate: FIRST_RATE, is_measured: false, silences: 0 }
    }

    /// A new connection begins: nothing is on its way.
    pub(super) fn on_connected(&mut self) {
        self.is_measured = false;
        if let Some(way) = &mut self.way {
            way.notes.clear();
            (way.sent, way.arrived, way.pinged) = (0, 0, 0);
        }
    }

    /// Ids start anew below those of the notes, after a complaint about bytes that must have arrived for it.
    pub(super) fn on_ids_restarted(&mut self) {
        if let Some(way) = &mut self.way {
            way.notes.clear();
            way.arrived = way.sent;
        }
    }

    /// Returns how many bytes are on their way.
    #[inline]
    fn bytes(&self) -> u64 {
        self.way.as_ref().map_or(0, |way| way.sent - way.arrived)
    }

    /// The connection was given up in silence. If bytes were on their way, the rate may have been taken for higher than it
    /// is.
    pub(super) fn on_silence(&mut self) {
        if self.bytes() < FEW {
            return;
        }
        self.rate = (self.rate / 2).max(SLOWEST_RATE);
        if !self.is_measured {
            self.silences = self.silences.saturating_add(1);
        }
    }

    /// A packet went out whose messages all came after the one with the id `after`.
    #[inline]
    pub(super) fn on_sent(&mut self, now: MonoTime, after: MsgId, bytes: usize, has_ping: bool) {
        self.way.get_or_insert_default().on_sent(now, after, bytes as u64, has_ping);
    }

    /// The server has a message of ours, and so everything that was sent before.
    #[inline]
    pub(super) fn on_arrived(&mut self, now: MonoTime, msg_id: MsgId) {
        let Some(way) = &mut self.way else {
            return;
        };
        let mut last = None;
        while let Some(note) = way.notes.front().filter(|note| note.after < msg_id).copied() {
            way.notes.pop_front();
            last = Some(note);
        }
        let Some(Note { sent, base: (base, since), .. }) = last else { return };
        (way.arrived, way.arrived_at) = (sent, now);
        let bytes = sent - base;
        let nanos = u64::try_from(now.since(since).as_nanos()).unwrap_or(u64::MAX).max(1);
        let rate = bytes.saturating_mul(1_000_000_000) / nanos;
        if bytes >= NOTE_EVERY || bytes >= FEW && rate > self.rate {
            (self.rate, self.is_measured, self.silences) = (rate.max(SLOWEST_RATE), true, 0);
        }
    }

    /// Returns how many more bytes of calls may go; `None` if they have to wait, because more are on their way than arrive in
    /// half of the patience.
    #[inline]
    pub(super) fn room(&self, patience: Duration) -> Option<usize> {
        let room = self.window(patience).checked_sub(self.bytes())?;
        (room > 0).then(|| usize::try_from(room).unwrap_or(usize::MAX))
    }

    #[inline]
    fn window(&self, patience: Duration) -> u64 {
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        (self.rate.saturating_mul(millis) / 2000).clamp(MIN_WINDOW, MAX_WINDOW)
    }

    /// Returns whether no ping is on its way behind the bytes that calls wait for.
    pub(super) fn wants_ping(&self) -> bool {
        self.way.as_ref().is_none_or(|way| way.pinged <= way.arrived)
    }

    /// Returns how long a ping behind the bytes on their way has to wait for them. A few take no time.
    pub(super) fn time(&self) -> Duration {
        let time = self.longest_time(0);
        if self.is_measured { time } else { time.min(self.first_time()) }
    }

    /// Returns the most time that bytes are given before a rate is measured: twice as long after each silence.
    fn first_time(&self) -> Duration {
        FIRST_TIME.saturating_mul(1 << self.silences.min(16)).min(MOST_TIME)
    }

    /// Returns how long the bytes on their way, and so many more, may take: before a rate is measured, on the slowest link
    /// that is not dead.
    pub(super) fn longest_time(&self, more: usize) -> Duration {
        let bytes = self.bytes() + more as u64;
        if bytes < FEW {
            return Duration::ZERO;
        }
        let rate = if self.is_measured { self.rate } else { SLOWEST_RATE };
        // A quarter more: no link is steady.
        Duration::from_millis(bytes.saturating_mul(1250) / rate).min(MOST_TIME)
    }

    /// Gives memory back while nothing is on its way.
    pub(super) fn release(&mut self) {
        self.way.take_if(|way| way.notes.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);
    const PART: usize = 512 << 10;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_millis(millis))
    }

    fn id(raw: i64) -> MsgId {
        MsgId::from_raw(4 * raw)
    }

    #[test]
    fn one_large_message_fills_the_window_until_the_rate_is_known() {
        let mut bytes = Outstanding::new();
        bytes.on_sent(at(0), id(0), 1000, false);
        assert!(bytes.room(PATIENCE).is_some());
        bytes.on_sent(at(0), id(1), PART, false);
        assert!(bytes.room(PATIENCE).is_none() && bytes.wants_ping());
        assert_eq!(bytes.time(), FIRST_TIME);
        assert_eq!(bytes.longest_time(0), MOST_TIME);
        bytes.on_sent(at(0), id(2), 100, true);
        assert!(!bytes.wants_ping(), "one is on its way");
        bytes.on_arrived(at(1), id(1));
        assert!(bytes.room(PATIENCE).is_none(), "a message before it");
        // The pong, after 26 s: 20 KiB/s.
        bytes.on_arrived(at(26_000), id(3));
        let room = bytes.room(PATIENCE).expect("everything has arrived");
        assert!((140 << 10..160 << 10).contains(&room), "half of what arrives in 15 s: {room}");
        let time = bytes.longest_time(PART);
        assert!(time > Duration::from_secs(26) && time < Duration::from_secs(40), "{time:?}");
        bytes.on_sent(at(26_000), id(3), PART, false);
        assert!(bytes.room(PATIENCE).is_none(), "a second part would take another 26 s");
    }

    #[test]
    fn a_fast_link_is_open_from_the_first_answer_on() {
        let mut bytes = Outstanding::new();
        bytes.on_sent(at(0), id(0), PART, false);
        bytes.on_arrived(at(40), id(1));
        for part in 1..14 {
            assert!(bytes.room(PATIENCE).is_some(), "{part} parts");
            bytes.on_sent(at(41), id(part), PART, false);
        }
        assert!(bytes.time() < Duration::from_secs(1));
        // However fast, there is a bound.
        (14..20).for_each(|part| bytes.on_sent(at(41), id(part), PART, false));
        assert!(bytes.room(PATIENCE).is_none());
    }

    #[test]
    fn a_few_bytes_measure_nothing_and_some_only_a_higher_rate() {
        let mut bytes = Outstanding::new();
        bytes.on_sent(at(0), id(0), PART, false);
        bytes.on_arrived(at(1000), id(1));
        for (number, len, rate) in [(1_i64, 100, 512 << 10), (2, 8 << 10, 512 << 10), (3, 16 << 10, 16 << 10)]
        {
            let second = 2 * number.cast_unsigned();
            bytes.on_sent(at(1000 * second), id(number), len, true);
            bytes.on_arrived(at(1000 * second + 1000), id(number + 1));
            assert_eq!(bytes.rate, rate, "{len} bytes in a second");
        }
        bytes.on_sent(at(9000), id(4), 8 << 10, true);
        bytes.on_arrived(at(9010), id(5));
        assert_eq!(bytes.rate, 800 << 10, "it is faster than it seemed");
    }

    #[test]
    fn answers_that_come_together_do_not_count_as_fast() {
        let mut bytes = Outstanding::new();
        for part in 0..4 {
            bytes.on_sent(at(0), id(part), PART, false);
        }
        for part in 0..4 {
            bytes.on_arrived(at(4000), id(part + 1));
        }
        assert_eq!(bytes.rate, 512 << 10);
    }

    #[test]
    fn bytes_that_wait_long_for_a_sign_are_not_measured_together_with_those_after_them() {
        let mut bytes = Outstanding::new();
        bytes.on_sent(at(0), id(0), 10 << 10, false);
        bytes.on_sent(at(60_000), id(1), PART, false);
        bytes.on_arrived(at(61_000), id(2));
        let rate = bytes.rate;
        assert!((512 << 10..540 << 10).contains(&rate), "{rate}");
    }

    #[test]
    fn the_rate_of_an_earlier_connection_is_no_reason_to_give_this_one_up() {
        let mut bytes = Outstanding::new();
        bytes.on_sent(at(0), id(0), PART, false);
        bytes.on_arrived(at(1000), id(1));
        bytes.on_sent(at(1000), id(1), PART, false);
        assert_eq!(bytes.time(), Duration::from_millis(1250));
        bytes.on_connected();
        let room = bytes.room(PATIENCE);
        assert!(room.is_some_and(|room| room > PART), "as much may go as before: {room:?}");
        bytes.on_sent(at(2000), id(2), PART, false);
        assert_eq!(bytes.time(), FIRST_TIME);
        bytes.on_arrived(at(4000), id(3));
        bytes.on_sent(at(4000), id(3), PART, false);
        assert_eq!(bytes.time(), Duration::from_millis(2500));
    }

    #[test]
    fn a_connection_lost_in_silence_under_bytes_gives_them_more_time_the_next_time() {
        let mut bytes = Outstanding::new();
        bytes.on_silence();
        assert_eq!(bytes.first_time(), FIRST_TIME, "nothing was on its way");
        let mut times = alloc::vec::Vec::new();
        for _ in 0..5 {
            bytes.on_connected();
            bytes.on_sent(at(0), id(0), PART, false);
            times.push(bytes.time().as_secs());
            bytes.on_silence();
        }
        assert_eq!(times, [60, 120, 240, 480, 600]);
        // Once it is measured, the rate is taken for lower.
        bytes.on_connected();
        bytes.on_sent(at(0), id(0), PART, false);
        bytes.on_arrived(at(1000), id(1));
        bytes.on_sent(at(1000), id(1), PART, false);
        let time = bytes.time();
        bytes.on_silence();
        assert_eq!(bytes.time(), 2 * time);
    }
}
