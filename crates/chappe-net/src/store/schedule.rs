//! When a client saves its state, and what follows if that fails.
//!
//! [`StoreSchedule`] reads no clock and calls no store. Its methods:
//!
//! - **getters**: `is_kept`, `is_idle`, `has_job`, `error`;
//! - **input**: `handle_done`, with the result of the job that `poll` returned last;
//! - **commands**: `request_save`, `request_forget`, `note`, `assume_saved`, `finish`;
//! - **output**: `poll` returns the next job, one at a time; to be asked again after each input and command, and at
//!   `poll_timeout`.

use std::sync::Arc;
use std::time::Duration;

use chappe_session::MonoTime;

use super::StoreError;

/// Least time between two saves because of a new salt: the server announces them by the hour, one by one.
const SALT_PAUSE: Duration = Duration::from_secs(60);

/// Pause after the first failed save. It doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Longest pause between two attempts to save: a person who makes room on a disk sees within minutes that it helped.
const LAST_RETRY: Duration = Duration::from_secs(300);

/// What of a state is worth a save when it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// When the last salt known ends.
    pub(crate) salts_until: i64,
    /// Seconds between the local clock and the server's.
    pub(crate) time_offset: i32,
}

/// What the store is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Save the state as it is now.
    Save,
    /// Remove the key: the datacenter gave it up.
    Forget,
}

/// What a finished job means for the client.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing: all is as it should be.
    Fine,
    /// The first save of a new key failed. A login under this key would be lost with the process.
    NeverKept(StoreError),
    /// A later save failed, or a removal, and the caller does not know yet.
    Failed(Arc<StoreError>),
}

/// Decides when a state is saved.
#[derive(Debug)]
pub(crate) struct StoreSchedule {
    /// The store has the key in use.
    is_kept: bool,
    wanted: Option<Job>,
    under_way: Option<Job>,
    /// What the last save held, or the one under way.
    saved: Fingerprint,
    saved_at: Option<MonoTime>,
    failures: u32,
    retry_at: Option<MonoTime>,
    error: Option<Arc<StoreError>>,
    is_finishing: bool,
}

impl StoreSchedule {
    /// Begins with a key that was found in the store, or, if `is_kept` is false, with one that is yet to be saved.
    pub(crate) const fn new(is_kept: bool) -> Self {
        Self {
            is_kept,
            wanted: None,
            under_way: None,
            saved: Fingerprint { salts_until: 0, time_offset: 0 },
            saved_at: None,
            failures: 0,
            retry_at: None,
            error: None,
            is_finishing: false,
        }
    }

    /// Returns whether the store has the key in use.
    pub(crate) const fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Returns whether no job is wanted at once or under way.
    pub(crate) const fn is_idle(&self) -> bool {
        self.wanted.is_none() && self.under_way.is_none()
    }

    /// Returns whether [`poll`](Self::poll) has a job.
    pub(crate) fn has_job(&self, now: MonoTime) -> bool {
        let is_due = self.wanted.is_some() || self.retry_at.is_some_and(|at| at <= now);
        is_due && self.under_way.is_none()
    }

    /// Returns why the last job failed, until one succeeds.
    pub(crate) fn error(&self) -> Option<Arc<StoreError>> {
        self.error.clone()
    }

    /// Takes the result of the job under way.
    pub(crate) fn handle_done(&mut self, now: MonoTime, result: Result<(), StoreError>) -> Outcome {
        let Some(job) = self.under_way.take() else { return Outcome::Fine };
        let error = match result {
            Ok(()) => {
                self.is_kept |= job == Job::Save;
                (self.failures, self.retry_at, self.error) = (0, None, None);
                return Outcome::Fine;
            }
            Err(error) => error,
        };
        if job == Job::Save && !self.is_kept {
            return Outcome::NeverKept(error);
        }
        let error = Arc::new(error);
        self.error = Some(Arc::clone(&error));
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        // The client ends without a caller that waits, and a key that could not be removed is found out at the next start.
        let tries_again = job == Job::Save && !self.is_finishing;
        self.retry_at = tries_again.then(|| now + FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY));
        if self.failures == 1 || self.is_finishing { Outcome::Failed(error) } else { Outcome::Fine }
    }

    /// Wants the state saved at once.
    pub(crate) fn request_save(&mut self) {
        if self.wanted != Some(Job::Forget) {
            self.wanted = Some(Job::Save);
        }
    }

    /// Wants the key removed. Nothing is saved after this.
    pub(crate) const fn request_forget(&mut self) {
        (self.wanted, self.retry_at) = (Some(Job::Forget), None);
    }

    /// Looks at the state as it is now, and wants it saved if it has changed enough.
    pub(crate) fn note(&mut self, now: MonoTime, current: Fingerprint) {
        // Until the next attempt a change says nothing new: that one saves it as well.
        if self.retry_at.is_none() && self.is_worth_saving(now, current) {
            self.request_save();
        }
    }

    /// Takes a state as one that the store has already.
    pub(crate) const fn assume_saved(&mut self, now: MonoTime, current: Fingerprint) {
        (self.saved, self.saved_at) = (current, Some(now));
    }

    /// The client ends: jobs are tried once more, and not again.
    pub(crate) const fn finish(&mut self) {
        (self.is_finishing, self.retry_at) = (true, None);
    }

    /// Returns the job to do now, whose result [`handle_done`](Self::handle_done) takes. `current` is what a save saves.
    pub(crate) fn poll(&mut self, now: MonoTime, current: Fingerprint) -> Option<Job> {
        if !self.has_job(now) {
            return None;
        }
        // Without a wish it is time to try again.
        let job = self.wanted.take().unwrap_or(Job::Save);
        if job == Job::Save {
            self.assume_saved(now, current);
        }
        self.retry_at = None;
        self.under_way = Some(job);
        Some(job)
    }

    /// Returns when [`poll`](Self::poll) has a job that it does not have now.
    pub(crate) const fn poll_timeout(&self) -> Option<MonoTime> {
        self.retry_at
    }

    fn is_worth_saving(&self, now: MonoTime, current: Fingerprint) -> bool {
        let is_off = current.time_offset.abs_diff(self.saved.time_offset) > 1;
        let has_paused = self.saved_at.is_none_or(|at| at + SALT_PAUSE <= now);
        is_off || (current.salts_until != self.saved.salts_until && has_paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: Fingerprint = Fingerprint { salts_until: 100, time_offset: 0 };

    fn at(secs: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_secs(secs))
    }

    fn full() -> Result<(), StoreError> {
        Err(StoreError::other("the disk is full"))
    }

    /// A schedule that has saved once.
    fn kept() -> StoreSchedule {
        let mut schedule = StoreSchedule::new(true);
        schedule.assume_saved(at(0), STATE);
        schedule
    }

    #[test]
    fn a_new_key_that_was_never_kept_is_not_kept_by_anything_but_a_save() {
        let mut schedule = StoreSchedule::new(false);
        schedule.request_save();
        assert_eq!(schedule.poll(at(0), STATE), Some(Job::Save));
        assert_eq!(schedule.poll(at(0), STATE), None, "one job at a time");
        assert!(matches!(schedule.handle_done(at(1), full()), Outcome::NeverKept(_)));
        assert!(!schedule.is_kept());
        schedule.request_save();
        assert_eq!(schedule.poll(at(1), STATE), Some(Job::Save));
        assert!(matches!(schedule.handle_done(at(2), Ok(())), Outcome::Fine));
        assert!(schedule.is_kept() && schedule.is_idle());
    }

    #[test]
    fn a_failed_save_is_told_once_and_tried_again_with_pauses_that_double_up_to_a_bound() {
        let mut schedule = kept();
        schedule.request_save();
        let (mut now, mut pauses) = (at(0), Vec::new());
        for failure in 0..12 {
            assert_eq!(schedule.poll(now, STATE), Some(Job::Save));
            let outcome = schedule.handle_done(now, full());
            assert_eq!(matches!(outcome, Outcome::Failed(_)), failure == 0, "{failure}");
            assert!(schedule.error().is_some());
            // A change in between does not bring the next attempt forward.
            schedule.note(now, Fingerprint { time_offset: 900, ..STATE });
            assert_eq!(schedule.poll(now, STATE), None);
            let next = schedule.poll_timeout().expect("it tries again");
            pauses.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(schedule.poll(now, STATE), Some(Job::Save));
        assert!(matches!(schedule.handle_done(now, Ok(())), Outcome::Fine));
        assert!(schedule.error().is_none() && schedule.poll_timeout().is_none());
        // The next failure is news again.
        schedule.request_save();
        schedule.poll(now, STATE);
        assert!(matches!(schedule.handle_done(now, full()), Outcome::Failed(_)));
    }

    #[test]
    fn a_save_waits_for_salts_and_not_for_the_clock() {
        let mut schedule = kept();
        schedule.note(at(10), Fingerprint { salts_until: 200, ..STATE });
        assert!(schedule.is_idle(), "salts are not worth a save every time");
        schedule.note(at(60), Fingerprint { salts_until: 200, ..STATE });
        assert_eq!(schedule.poll(at(60), Fingerprint { salts_until: 200, ..STATE }), Some(Job::Save));
        assert!(matches!(schedule.handle_done(at(60), Ok(())), Outcome::Fine));
        schedule.note(at(61), Fingerprint { salts_until: 200, time_offset: 1 });
        assert!(schedule.is_idle(), "a second may be rounding");
        schedule.note(at(61), Fingerprint { salts_until: 200, time_offset: 2 });
        assert!(!schedule.is_idle());
    }

    #[test]
    fn at_the_end_there_is_one_more_attempt_and_no_other() {
        let mut schedule = kept();
        schedule.request_save();
        schedule.poll(at(0), STATE);
        assert!(matches!(schedule.handle_done(at(0), full()), Outcome::Failed(_)));
        schedule.request_save();
        schedule.finish();
        assert_eq!(schedule.poll(at(0), STATE), Some(Job::Save));
        assert!(matches!(schedule.handle_done(at(0), full()), Outcome::Failed(_)), "the last word");
        assert!(schedule.is_idle() && schedule.poll_timeout().is_none());
    }

    #[test]
    fn a_key_that_is_to_be_forgotten_is_not_saved_again() {
        let mut schedule = kept();
        schedule.request_save();
        assert_eq!(schedule.poll(at(0), STATE), Some(Job::Save));
        schedule.request_forget();
        schedule.request_save();
        assert_eq!(schedule.poll(at(0), STATE), None, "the save goes on");
        assert!(matches!(schedule.handle_done(at(0), full()), Outcome::Failed(_)));
        assert_eq!(schedule.poll(at(0), STATE), Some(Job::Forget));
    }
}
