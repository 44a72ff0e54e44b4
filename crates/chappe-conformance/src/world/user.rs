//! The user: calls under way, what became of them, and the updates that were read.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;

use chappe_net::{InvokeError, InvokeOptions, PendingCall};
use chappe_session::client::{CallFailure, Repeat};

use super::ledger::{ANSWER_HEAD, QUERY_HEAD, Query, read_answer};
use super::pipe::lock;
use super::{MILLISECOND, SECOND};

/// A call to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// How long the datacenter executes it, in milliseconds.
    pub takes: u32,
    /// Bytes that go up.
    pub up: usize,
    /// Bytes that come down.
    pub down: usize,
    /// How long the caller waits, in nanoseconds.
    pub patience: u64,
    /// Whether it may be executed twice.
    pub repeat: Repeat,
}

impl Call {
    /// A small call that is answered at once.
    pub const SMALL: Self =
        Self { takes: 0, up: 0, down: 0, patience: 60 * SECOND, repeat: Repeat::AfterAsking };

    /// Sets how long the datacenter executes the call, in milliseconds.
    #[must_use]
    pub const fn taking(self, takes: u32) -> Self {
        Self { takes, patience: 60 * SECOND + takes as u64 * MILLISECOND, ..self }
    }

    /// Sets how many bytes the call and its answer have.
    #[must_use]
    pub const fn sized(self, up: usize, down: usize) -> Self {
        Self { up, down, ..self }
    }

    /// Sets how long the caller waits, in seconds.
    #[must_use]
    pub const fn within(self, seconds: u64) -> Self {
        Self { patience: seconds * SECOND, ..self }
    }

    pub(super) fn body(&self, number: u64) -> Vec<u8> {
        Query { number, takes: self.takes, answer: self.down as u32 }.to_body(self.up.max(QUERY_HEAD))
    }

    pub(super) fn options(&self) -> InvokeOptions {
        InvokeOptions::default().timeout(Duration::from_nanos(self.patience)).repeat(self.repeat).unpacked()
    }

    /// Returns the length of the answer.
    const fn answer_len(&self) -> usize {
        (ANSWER_HEAD + self.down).div_ceil(4) * 4
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It is not known whether it was executed, and the caller was told so.
    Uncertain,
    /// Its time was over.
    TimedOut,
    /// It failed in another way.
    Failed,
    /// The caller cancelled it, or its process was killed.
    Dropped,
}

/// A call and what became of it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) call: Call,
    pub(super) begun_at: u64,
    /// By the client's monotonic clock.
    pub(super) begun_mono: u64,
    pub(super) ended_at: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) error: Option<String>,
}

/// Wakes the user when a call ends.
#[derive(Debug)]
struct Alarm {
    number: u64,
    woken: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        lock(&self.woken).push(self.number);
    }
}

/// The user of a client.
#[derive(Default)]
pub(super) struct User {
    pub(super) made: Vec<Made>,
    pending: BTreeMap<u64, PendingCall<Vec<u8>>>,
    woken: Arc<Mutex<Vec<u64>>>,
    pub(super) updates: BTreeSet<u64>,
    /// When a gap was last reported.
    pub(super) gap_at: Option<u64>,
    pub(super) gaps: u64,
}

impl User {
    /// Notes a call that is about to be made and returns its number.
    pub(super) fn note(&mut self, call: Call, time: u64, mono: u64) -> u64 {
        let number = self.made.len() as u64;
        let (outcome, error, ended_at) = (None, None, 0);
        self.made.push(Made { call, begun_at: time, begun_mono: mono, ended_at, outcome, error });
        number
    }

    pub(super) fn wait_for(&mut self, number: u64, pending: PendingCall<Vec<u8>>) {
        self.pending.insert(number, pending);
        lock(&self.woken).push(number);
    }

    /// Polls the calls that were woken. Returns what is wrong with an answer.
    pub(super) fn poll(&mut self, time: u64) -> Result<bool, String> {
        let mut woken = std::mem::take(&mut *lock(&self.woken));
        // The order in which they were woken is the engine's, and not that of the seed.
        woken.sort_unstable();
        woken.dedup();
        for &number in &woken {
            let Some(pending) = self.pending.get_mut(&number) else { continue };
            let waker = Waker::from(Arc::new(Alarm { number, woken: Arc::clone(&self.woken) }));
            let Poll::Ready(result) = Pin::new(pending).poll(&mut Context::from_waker(&waker)) else {
                continue;
            };
            self.pending.remove(&number);
            let made = &mut self.made[number as usize];
            if let Ok(answer) = &result
                && read_answer(answer) != Some((number, made.call.answer_len()))
            {
                return Err(format!("call {number} got the answer {:?}", read_answer(answer)));
            }
            made.ended_at = time;
            made.outcome = Some(match &result {
                Ok(_) => Outcome::Answered,
                Err(InvokeError::TimedOut { .. }) => Outcome::TimedOut,
                Err(InvokeError::Failed(CallFailure::Uncertain)) => Outcome::Uncertain,
                Err(_) => Outcome::Failed,
            });
            made.error = result.err().map(|error| format!("{error}"));
        }
        Ok(!woken.is_empty())
    }

    /// Drops a call that is under way.
    pub(super) fn cancel(&mut self, number: u64, time: u64) {
        if self.pending.remove(&number).is_some() {
            self.end(number, time);
        }
    }

    /// Drops everything that is under way: the process is gone.
    pub(super) fn drop_all(&mut self, time: u64) {
        for (number, pending) in std::mem::take(&mut self.pending) {
            drop(pending);
            self.end(number, time);
        }
        lock(&self.woken).clear();
    }

    fn end(&mut self, number: u64, time: u64) {
        let made = &mut self.made[number as usize];
        (made.outcome, made.ended_at) = (Some(Outcome::Dropped), time);
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn pending_numbers(&self) -> impl Iterator<Item = u64> {
        self.pending.keys().copied()
    }

    /// Returns a call that ought to have ended by the monotonic clock of the client.
    pub(super) fn overdue(&self, mono: u64) -> Option<u64> {
        let late = |number: &&u64| {
            let made = &self.made[**number as usize];
            made.begun_mono + made.call.patience + 2 * SECOND < mono
        };
        self.pending.keys().find(late).copied()
    }
}
