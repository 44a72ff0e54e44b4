//! Counters of a session, for metrics and diagnosis. They hold no secret.

use alloc::boxed::Box;
use alloc::vec::Vec;

use chappe_types::Rule;

/// What a session has done since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames sealed.
    pub frames_sent: u64,
    /// Frames opened whose `msg_key` was right.
    pub frames_received: u64,
    /// Messages sent, those inside containers counted one by one, containers not.
    pub messages_sent: u64,
    /// Messages accepted, those inside containers counted one by one, containers not.
    pub messages_received: u64,
    /// Messages sent again under a new id.
    pub resent: u64,
    /// Messages ignored because their id was seen before (SEC-76).
    pub duplicates: u64,
    /// Answers to calls that have ended (SEC-98).
    pub unmatched: u64,
    /// Sessions started anew, the first not counted.
    pub sessions_reset: u64,
    /// Corrections of the clock by a second or more.
    pub clock_corrections: u64,
    /// Bytes of bodies before they were packed with gzip.
    pub gzip_in: u64,
    /// Bytes of the same bodies afterwards.
    pub gzip_out: u64,
    /// Bytes of packed objects received.
    pub gunzip_in: u64,
    /// Bytes they unpacked to.
    pub gunzip_out: u64,
    /// Refused messages and frames, by rule.
    pub refused: Refusals,
}

impl Counters {
    /// Returns by name what was counted since an earlier reading, for trace events and metrics.
    ///
    /// ```
    /// use chappe_session::Counters;
    ///
    /// let before = Counters::default();
    /// let mut after = before.clone();
    /// after.resent += 2;
    /// assert_eq!(after.changes(&before).collect::<Vec<_>>(), [("resent", 2)]);
    /// ```
    pub fn changes(&self, before: &Self) -> impl Iterator<Item = (&'static str, u64)> {
        let changes = self.named().into_iter().zip(before.named());
        changes.map(|((name, now), (_, then))| (name, now.saturating_sub(then))).filter(|(_, more)| *more > 0)
    }

    /// Returns all counters by name, with the sum of all refusals.
    fn named(&self) -> [(&'static str, u64); 14] {
        [
            ("frames_sent", self.frames_sent),
            ("frames_received", self.frames_received),
            ("messages_sent", self.messages_sent),
            ("messages_received", self.messages_received),
            ("resent", self.resent),
            ("duplicates", self.duplicates),
            ("unmatched", self.unmatched),
            ("sessions_reset", self.sessions_reset),
            ("clock_corrections", self.clock_corrections),
            ("gzip_in", self.gzip_in),
            ("gzip_out", self.gzip_out),
            ("gunzip_in", self.gunzip_in),
            ("gunzip_out", self.gunzip_out),
            ("refused", self.refused.iter().map(|(_, count)| count).sum()),
        ]
    }
}

/// How often each rule of the security checklist refused something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Ascending by rule; there are fewer than two hundred rules. In a box, since most sessions refuse nothing.
    #[expect(clippy::box_collection, reason = "an empty vector takes three times as much")]
    counts: Option<Box<Vec<(Rule, u64)>>>,
}

impl Refusals {
    /// Counts one refusal.
    pub fn count(&mut self, rule: Rule) {
        let counts = self.counts.get_or_insert_default();
        match counts.binary_search_by_key(&rule, |entry| entry.0) {
            Ok(place) => counts[place].1 += 1,
            Err(place) => counts.insert(place, (rule, 1)),
        }
    }

    /// Returns how often a rule refused something.
    pub fn of(&self, rule: Rule) -> u64 {
        self.iter().find(|entry| entry.0 == rule).map_or(0, |entry| entry.1)
    }

    /// Returns all rules that refused something, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Rule, u64)> + '_ {
        self.counts.iter().flat_map(|counts| counts.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_change_under_its_own_name() {
        let before = Counters { frames_sent: 5, ..Counters::default() };
        let mut after = Counters {
            frames_sent: 6,
            frames_received: 2,
            messages_sent: 3,
            messages_received: 4,
            resent: 5,
            duplicates: 6,
            unmatched: 7,
            sessions_reset: 8,
            clock_corrections: 9,
            gzip_in: 10,
            gzip_out: 11,
            gunzip_in: 12,
            gunzip_out: 13,
            refused: Refusals::default(),
        };
        (0..14).for_each(|_| after.refused.count(Rule::new(76)));
        let counts: Vec<u64> = after.changes(&before).map(|(_, more)| more).collect();
        assert_eq!(counts, (1..=14).collect::<Vec<u64>>());
        assert_eq!(after.changes(&after).count(), 0);
    }

    #[test]
    fn refusals_are_kept_by_rule() {
        let mut refused = Refusals::default();
        for rule in [98, 76, 98] {
            refused.count(Rule::new(rule));
        }
        assert_eq!(refused.iter().collect::<Vec<_>>(), [(Rule::new(76), 1), (Rule::new(98), 2)]);
        assert_eq!(refused.of(Rule::new(80)), 0);
    }
}
