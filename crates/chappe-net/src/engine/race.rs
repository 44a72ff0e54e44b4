//! Which address to dial, and when: candidates raced, failures slowed down, floods avoided.
//!
//! A *round* tries every candidate, each with a head start over the next. It ends when one of them won or all failed.
//! Between rounds lie the pauses of [`BackOff`].

use std::collections::VecDeque;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_session::MonoTime;
use rand_core::Rng as _;

use crate::client::BackOff;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Race {
    backoff: BackOff,
    stagger: Duration,
    /// Candidates that cannot be used, such as one that answered -444.
    excluded: Vec<bool>,
    last_good: Option<usize>,
    /// Candidates of this round that were not dialled yet, in reverse.
    queue: Vec<usize>,
    /// When the next of them is dialled.
    next_at: MonoTime,
    /// Candidates of this round that were dialled.
    dialled: u32,
    is_open: bool,
    failures: u32,
    /// No round begins before.
    pause_until: MonoTime,
    /// Beginnings of the rounds of the last minute.
    begun: VecDeque<MonoTime>,
    /// The next round dials one candidate only: the server complained of too many connections.
    is_shy: bool,
}

impl Race {
    pub(super) fn new(candidates: usize, backoff: BackOff, stagger: Duration) -> Self {
        Self {
            backoff,
            stagger,
            excluded: vec![false; candidates],
            last_good: None,
            queue: Vec::new(),
            next_at: MonoTime::ZERO,
            dialled: 0,
            is_open: false,
            failures: 0,
            pause_until: MonoTime::ZERO,
            begun: VecDeque::new(),
            is_shy: false,
        }
    }

    /// Takes other candidates. The next round begins with them; floods are not forgotten.
    pub(super) fn replace(&mut self, candidates: usize) {
        self.excluded = vec![false; candidates];
        self.last_good = None;
        self.abandon();
        self.end_pause();
    }

    /// Ends a round without a winner.
    pub(super) fn abandon(&mut self) {
        self.is_open = false;
        self.queue.clear();
    }

    /// Returns whether a round is under way.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Returns whether this round has no candidate left to dial.
    pub(super) fn is_exhausted(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns whether more than one candidate may be dialled in a round.
    pub(super) fn is_contested(&self) -> bool {
        !self.is_shy && self.excluded.iter().filter(|excluded| !**excluded).count() > 1
    }

    /// Returns when the next round may begin.
    pub(super) fn earliest(&self) -> MonoTime {
        let after_last = self.begun.back().map(|last| *last + self.backoff.min_interval);
        let most = self.backoff.per_minute.max(1);
        let after_minute = self.begun.len().checked_sub(most).map(|place| self.begun[place] + MINUTE);
        [after_last, after_minute].into_iter().flatten().fold(self.pause_until, MonoTime::max)
    }

    /// Begins a round.
    pub(super) fn begin(&mut self, now: MonoTime) {
        while self.begun.front().is_some_and(|first| *first + MINUTE <= now) {
            self.begun.pop_front();
        }
        self.begun.push_back(now);
        self.is_open = true;
        self.next_at = now;
        self.dialled = 0;
        let usable = (0..self.excluded.len()).filter(|place| !self.excluded[*place]);
        self.queue = usable.filter(|place| Some(*place) != self.last_good).collect();
        self.queue.reverse();
        self.queue.extend(self.last_good.filter(|place| !self.excluded[*place]));
        if std::mem::take(&mut self.is_shy) {
            // One that failed lately is not asked first again.
            let first = self.failures as usize % self.queue.len().max(1);
            self.queue = self.queue.iter().rev().nth(first).copied().into_iter().collect();
        }
    }

    /// Returns the candidate to dial now, if one is due.
    pub(super) fn poll_dial(&mut self, now: MonoTime) -> Option<usize> {
        if !self.is_open || self.next_at > now {
            return None;
        }
        let candidate = self.queue.pop()?;
        self.dialled += 1;
        // On a slow link all of many candidates would be dialled before the first can answer: after the first three the
        // head start doubles each time.
        let doublings = self.dialled.saturating_sub(2).min(16);
        self.next_at = now + self.stagger.saturating_mul(1 << doublings);
        Some(candidate)
    }

    /// Returns when [`poll_dial`](Self::poll_dial) has another one.
    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        (self.is_open && !self.queue.is_empty()).then_some(self.next_at)
    }

    /// One candidate failed: the next need not wait.
    pub(super) const fn hurry(&mut self, now: MonoTime) {
        self.next_at = now;
    }

    /// One candidate won: the round is over.
    pub(super) fn on_won(&mut self, candidate: usize) {
        self.is_open = false;
        self.queue.clear();
        self.last_good = Some(candidate);
    }

    /// The connection has shown that the datacenter answers.
    pub(super) const fn on_proven(&mut self) {
        self.failures = 0;
    }

    /// The round is over without a winner, or the winner showed nothing.
    /// The pause is at most `limit`.
    pub(super) fn on_failed(&mut self, now: MonoTime, limit: Duration, rng: &mut Drbg) {
        self.is_open = false;
        self.queue.clear();
        self.failures = self.failures.saturating_add(1);
        self.last_good = None;
        self.pause(now, limit, rng);
    }

    /// Somebody waits: the pause ends after `limit` at most, unless the server complained of too many connections.
    pub(super) fn shorten_pause(&mut self, now: MonoTime, limit: Duration, rng: &mut Drbg) {
        if !self.is_shy {
            self.pause_until = self.pause_until.min(now + with_jitter(limit, rng));
        }
    }

    /// The server complained of too many connections.
    pub(super) fn on_flood(&mut self, now: MonoTime, rng: &mut Drbg) {
        self.failures = self.failures.max(self.backoff.flood_failures);
        self.is_shy = true;
        self.pause(now, self.backoff.max, rng);
    }

    /// Something has changed: the next round need not wait for the last failures, only for what floods forbid.
    pub(super) const fn end_pause(&mut self) {
        self.pause_until = MonoTime::ZERO;
        self.failures = 0;
    }

    /// Leaves a candidate out from now on. Returns whether any is left.
    pub(super) fn exclude(&mut self, candidate: usize) -> bool {
        if let Some(excluded) = self.excluded.get_mut(candidate) {
            *excluded = true;
        }
        self.excluded.contains(&false)
    }

    fn pause(&mut self, now: MonoTime, limit: Duration, rng: &mut Drbg) {
        let doublings = self.failures.saturating_sub(1).min(20);
        let whole = self.backoff.first.saturating_mul(1 << doublings).min(self.backoff.max).min(limit);
        self.pause_until = self.pause_until.max(now + with_jitter(whole, rng));
    }
}

/// Returns between a half and the whole of a pause, so that clients that lost the same server do not return together
/// (SEC-174).
fn with_jitter(whole: Duration, rng: &mut Drbg) -> Duration {
    let part = f64::from(rng.next_u32()) / f64::from(u32::MAX);
    whole.mul_f64(0.5 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_millis(millis))
    }

    fn race(candidates: usize) -> Race {
        Race::new(candidates, BackOff::default(), Duration::from_millis(250))
    }

    #[test]
    fn candidates_start_one_after_the_other_and_at_once_after_a_failure() {
        let mut race = race(3);
        race.begin(at(0));
        assert_eq!((race.poll_dial(at(0)), race.poll_dial(at(249))), (Some(0), None));
        assert_eq!(race.poll_timeout(), Some(at(250)));
        assert_eq!(race.poll_dial(at(250)), Some(1));
        race.hurry(at(260));
        assert_eq!((race.poll_dial(at(260)), race.poll_dial(at(9999))), (Some(2), None));
        assert!(race.is_exhausted() && race.poll_timeout().is_none());
    }

    #[test]
    fn the_head_start_of_many_candidates_grows() {
        let mut race = race(6);
        race.begin(at(0));
        let mut begun = Vec::new();
        for millis in (0..10_000).step_by(50) {
            begun.extend(race.poll_dial(at(millis)).map(|_| millis));
        }
        assert_eq!(begun, [0, 250, 500, 1000, 2000, 4000]);
    }

    #[test]
    fn the_last_winner_goes_first() {
        let mut race = race(3);
        race.begin(at(0));
        race.on_won(2);
        race.begin(at(1000));
        assert_eq!((race.poll_dial(at(1000)), race.poll_dial(at(2000))), (Some(2), Some(0)));
    }

    #[test]
    fn sec_174_pauses_double_up_to_a_bound_and_a_proven_connection_ends_them() {
        let mut race = race(1);
        let mut rng = Drbg::from_seed([1; 32]);
        let mut now = at(0);
        let mut before = Duration::ZERO;
        for failures in 1..20 {
            race.begin(now);
            race.on_failed(now, Duration::MAX, &mut rng);
            let pause = race.pause_until.since(now);
            let whole = Duration::from_millis(250 << (failures - 1).min(16)).min(Duration::from_secs(30));
            assert!(pause >= whole / 2 && pause <= whole, "{failures}: {pause:?}");
            assert!(pause > before / 2, "{failures}: {pause:?}");
            before = pause;
            now = race.earliest();
        }
        race.on_proven();
        race.on_failed(now, Duration::MAX, &mut rng);
        assert!(race.pause_until.since(now) <= Duration::from_millis(250));
    }

    #[test]
    fn sec_174_clients_that_lost_the_same_server_do_not_return_together() {
        let pause = |seed| {
            let mut race = race(1);
            race.begin(at(0));
            race.on_failed(at(0), Duration::MAX, &mut Drbg::from_seed([seed; 32]));
            race.pause_until
        };
        let mut pauses: Vec<MonoTime> = (0..32).map(pause).collect();
        pauses.sort_unstable();
        pauses.dedup();
        assert!(pauses.len() > 24, "{pauses:?}");
    }

    #[test]
    fn a_minute_has_room_for_so_many_rounds_even_if_all_succeed() {
        let backoff = BackOff { per_minute: 3, ..BackOff::default() };
        let mut race = Race::new(1, backoff, Duration::ZERO);
        let mut now = at(0);
        for _ in 0..3 {
            race.begin(now);
            race.on_won(0);
            race.on_proven();
            assert_eq!(race.poll_dial(now), None, "a won round is over");
            now = race.earliest();
        }
        assert_eq!(now, at(60_000));
    }

    #[test]
    fn after_a_complaint_of_too_many_connections_one_is_dialled_at_a_time_and_not_always_the_same() {
        let mut race = race(3);
        let mut rng = Drbg::from_seed([2; 32]);
        let mut seen = Vec::new();
        for _ in 0..3 {
            race.on_flood(at(0), &mut rng);
            assert!(race.pause_until >= at(2000));
            race.begin(at(100_000));
            seen.extend(race.poll_dial(at(100_000)));
            assert!(race.is_exhausted());
            race.on_failed(at(100_000), Duration::MAX, &mut rng);
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    }

    #[test]
    fn an_excluded_candidate_is_never_dialled() {
        let mut race = race(2);
        assert!(race.exclude(0));
        race.begin(at(0));
        assert_eq!((race.poll_dial(at(0)), race.poll_dial(at(5000))), (Some(1), None));
        assert!(!race.exclude(1));
    }

    #[test]
    fn whoever_waits_shortens_a_pause_but_not_one_that_the_server_asked_for() {
        let mut rng = Drbg::from_seed([3; 32]);
        let mut race = race(1);
        for _ in 0..10 {
            race.on_failed(at(0), Duration::MAX, &mut rng);
        }
        assert!(race.pause_until >= at(15_000));
        race.shorten_pause(at(0), Duration::from_secs(1), &mut rng);
        assert!(race.pause_until >= at(500) && race.pause_until <= at(1000), "{:?}", race.pause_until);

        race.on_flood(at(0), &mut rng);
        let asked = race.pause_until;
        race.shorten_pause(at(0), Duration::from_secs(1), &mut rng);
        assert_eq!(race.pause_until, asked);
    }
}
