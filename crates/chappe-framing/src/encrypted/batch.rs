//! Several messages sealed or opened together, so that their ciphers run side by side.
//!
//! Behind the feature `batch`: decision 0009 says who gains by it.

use core::fmt;
use core::slice;

use chappe_crypto::{AuthKey, MsgKey, QuickAckToken, Side, message};

use super::OUTER_HEADER_LEN;
use super::open::{Opened, TransportTail, checked_len, split_frame};
use super::seal::{ALIGNED, Prepared, finish};
use crate::{FrameBuf, FrameError, MalformedFrame};

/// A job of a batch, whose kernels work on a number of jobs that is known at compile time.
trait Job: Sized {
    /// Returns whether the job was processed. A second time would destroy the frame.
    fn is_done(&self) -> bool;

    /// Processes exactly `N` jobs, none of which is done. Their descriptions stay on the stack.
    fn run<const N: usize>(jobs: &mut [Self]);
}

/// Processes all jobs that are not done, in batches of the sizes for which there are kernels.
fn run_all<J: Job>(mut jobs: &mut [J]) {
    while !jobs.is_empty() {
        // Wide vectors pay off from twelve messages on: `chappe_crypto::message`.
        let (size, run): (usize, fn(&mut [J])) = match jobs.len() {
            16.. => (16, J::run::<16>),
            12.. => (12, J::run::<12>),
            8.. => (8, J::run::<8>),
            4.. => (4, J::run::<4>),
            2.. => (2, J::run::<2>),
            _ => (1, J::run::<1>),
        };
        let (batch, rest) = jobs.split_at_mut(size);
        if batch.iter().any(Job::is_done) {
            let open_jobs = batch.iter_mut().filter(|job| !job.is_done());
            open_jobs.for_each(|job| J::run::<1>(slice::from_mut(job)));
        } else {
            run(batch);
        }
        jobs = rest;
    }
}

/// One message of several that are sealed together by [`seal_many`].
#[derive(Debug)]
#[must_use = "pass it to `seal_many`, then ask for the token"]
pub struct SealFrame<'a> {
    key: &'a AuthKey,
    from: Side,
    buf: &'a mut FrameBuf,
    done: Option<QuickAckToken>,
}

impl<'a> SealFrame<'a> {
    /// Describes a message: the arguments of [`Prepared::seal`](crate::Prepared::seal).
    pub fn new(prepared: Prepared<'a>, key: &'a AuthKey, from: Side) -> Self {
        let Prepared { buf } = prepared;
        Self { key, from, buf, done: None }
    }

    /// Returns the token of a quick acknowledgement. Seals the frame now if [`seal_many`] did not.
    pub fn finish(self) -> QuickAckToken {
        match self.done {
            Some(token) => token,
            None => Prepared { buf: self.buf }.seal(self.key, self.from),
        }
    }

    fn as_crypto_job(&mut self) -> message::SealJob<'_> {
        message::SealJob::new(self.key, self.from, self.buf.as_mut_slice())
    }
}

impl Job for SealFrame<'_> {
    fn is_done(&self) -> bool {
        self.done.is_some()
    }

    fn run<const N: usize>(jobs: &mut [Self]) {
        let jobs: &mut [Self; N] = jobs.try_into().expect("the batch has N jobs");
        let mut crypto_jobs = jobs.each_mut().map(SealFrame::as_crypto_job);
        message::seal_many(&mut crypto_jobs);
        let sealed = crypto_jobs.map(|job| job.result().expect("every job was done").expect(ALIGNED));
        for (job, sealed) in jobs.iter_mut().zip(&sealed) {
            job.done = Some(finish(job.buf, job.key, sealed));
        }
    }
}

/// Seals several messages together, which is faster than one after the other.
pub fn seal_many(jobs: &mut [SealFrame<'_>]) {
    run_all(jobs);
}

/// One frame of several that are opened together by [`open_many`]. `Debug` shows nothing of what was decrypted.
#[must_use = "pass it to `open_many`, then ask for the message"]
pub struct OpenFrame<'a> {
    key: &'a AuthKey,
    from: Side,
    frame: &'a mut [u8],
    /// Length of the frame without the tail, or why it is refused before decryption.
    len: Result<usize, FrameError>,
    done: Option<Result<QuickAckToken, FrameError>>,
}

impl<'a> OpenFrame<'a> {
    /// Describes a frame: the arguments of [`open`](super::open()).
    pub fn new(key: &'a AuthKey, from: Side, tail: TransportTail, frame: &'a mut [u8]) -> Self {
        let len = checked_len(key, tail, frame);
        Self { key, from, frame, len, done: None }
    }

    /// Returns what [`open`](super::open()) would have returned; opens the frame now if [`open_many`] has not.
    ///
    /// # Errors
    ///
    /// Those of [`open`](super::open()).
    pub fn finish(mut self) -> Result<Opened<'a>, FrameError> {
        if self.done.is_none() {
            Self::run::<1>(slice::from_mut(&mut self));
        }
        let quick_ack = self.done.expect("the job was done")?;
        let len = self.len?;
        Opened::new_checked(&self.frame[OUTER_HEADER_LEN..len], quick_ack)
    }

    fn as_crypto_job(&mut self) -> message::OpenJob<'_> {
        // A refused frame takes part with no bytes, so that the other jobs keep their positions.
        let (msg_key, ciphertext) = match self.len {
            Ok(len) => split_frame(self.frame, len),
            Err(_) => (MsgKey::from_bytes([0; 16]), &mut [][..]),
        };
        message::OpenJob::new(self.key, self.from, msg_key, ciphertext)
    }
}

impl fmt::Debug for OpenFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFrame")
            .field("from", &self.from)
            .field("len", &self.len)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl Job for OpenFrame<'_> {
    fn is_done(&self) -> bool {
        self.done.is_some()
    }

    fn run<const N: usize>(jobs: &mut [Self]) {
        let jobs: &mut [Self; N] = jobs.try_into().expect("the batch has N jobs");
        let mut crypto_jobs = jobs.each_mut().map(OpenFrame::as_crypto_job);
        message::open_many(&mut crypto_jobs);
        let results = crypto_jobs.map(|job| job.result().expect("every job was done"));
        for (job, result) in jobs.iter_mut().zip(results) {
            job.done = Some(match (&job.len, result) {
                (Err(refused), _) => Err(refused.clone()),
                (Ok(_), Ok(quick_ack)) => Ok(quick_ack),
                (Ok(_), Err(_)) => Err(MalformedFrame::MsgKeyMismatch.into()),
            });
        }
    }
}

/// Opens several frames together, which is faster than one after the other.
///
/// Each job holds its own result; one that fails does not affect the others.
pub fn open_many(jobs: &mut [OpenFrame<'_>]) {
    run_all(jobs);
}
