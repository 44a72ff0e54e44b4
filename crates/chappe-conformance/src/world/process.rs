//! The client's process: a client, its driver, and the jobs of its store.

use core::future::Future as _;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;

use chappe_crypto::rng::Drbg;
use chappe_net::{
    Client, Closing, ConnectError, ConnectOptions, Driver, Ready, Sockets, StoreJob, Update, Updates,
};
use chappe_session::MonoTime;

use super::machine::Clocks;

/// A process that runs a client.
pub(super) struct Process {
    pub(super) client: Client,
    /// `None` once it has nothing left to do.
    pub(super) driver: Option<Driver>,
    pub(super) sockets: Sockets,
    updates: Updates,
    ready: Option<Ready>,
    closing: Option<Closing>,
    is_woken: Arc<AtomicBool>,
    /// When the driver asks again by itself.
    pub(super) timer: Option<MonoTime>,
    /// Work on the store, and when the disk is done with it.
    pub(super) jobs: Vec<(u64, Pin<Box<StoreJob>>)>,
    pub(super) is_finished: bool,
    pub(super) is_ready: bool,
    pub(super) is_closing: bool,
}

impl Process {
    pub(super) fn start(
        options: ConnectOptions,
        clocks: Arc<Clocks>,
        rng: Drbg,
    ) -> Result<Self, ConnectError> {
        let is_woken = Arc::new(AtomicBool::new(true));
        let wake = {
            let is_woken = Arc::clone(&is_woken);
            move || is_woken.store(true, Ordering::Relaxed)
        };
        let (client, driver) = Client::with_driver_and_rng(options, move || clocks.now(), wake, rng)?;
        Ok(Self {
            sockets: driver.sockets(),
            updates: client.updates(),
            ready: Some(client.ready()),
            client,
            driver: Some(driver),
            closing: None,
            is_woken,
            timer: None,
            jobs: Vec::new(),
            is_finished: false,
            is_ready: false,
            is_closing: false,
        })
    }

    /// Returns whether the driver has something to ask, and notes that it does.
    pub(super) fn takes_turn(&mut self, mono: MonoTime) -> bool {
        let is_due = self.timer.is_some_and(|at| at <= mono);
        !self.is_finished && (self.is_woken.swap(false, Ordering::Relaxed) || is_due)
    }

    pub(super) fn close(&mut self) {
        self.closing = Some(self.client.close());
        self.is_closing = true;
    }

    /// Returns the outcome of connecting, once.
    pub(super) fn poll_ready(&mut self) -> Option<Result<(), Arc<ConnectError>>> {
        let ready = self.ready.as_mut()?;
        let Poll::Ready(outcome) = Pin::new(ready).poll(&mut noop()) else { return None };
        self.ready = None;
        self.is_ready = outcome.is_ok();
        Some(outcome)
    }

    /// Returns whether the client was closed and has ended.
    pub(super) fn poll_closed(&mut self) -> bool {
        let Some(closing) = &mut self.closing else { return false };
        Pin::new(closing).poll(&mut noop()).is_ready()
    }

    /// Returns the next update.
    pub(super) fn next_update(&mut self) -> Option<Update> {
        match pin!(self.updates.recv()).poll(&mut noop()) {
            Poll::Ready(update) => update,
            Poll::Pending => None,
        }
    }

    /// Does the work on the store that the disk is done with; returns whether there was some.
    pub(super) fn work(&mut self, time: u64) -> bool {
        let before = self.jobs.len();
        let mut has_worked = false;
        self.jobs.retain_mut(|(at, job)| {
            if *at > time {
                return true;
            }
            has_worked = true;
            // A job that waits for another client is polled again a little later.
            *at = time + super::MILLISECOND;
            job.as_mut().poll(&mut noop()).is_pending()
        });
        has_worked && self.jobs.len() < before
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
