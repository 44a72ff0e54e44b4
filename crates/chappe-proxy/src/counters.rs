//! Counters of the proxy.

use std::sync::atomic::{AtomicU64, Ordering};

use chappe_transport::{AcceptRefusal, HelloRefusal};

use crate::user::UserRefusal;

/// What a proxy has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyCounters {
    /// Connections of clients that are open now, those that are handed on included.
    pub open: u64,
    /// Connections accepted from the operating system.
    pub accepted: u64,
    /// Connections refused because there were too many, in total or from one network.
    pub over_limit: u64,
    /// Connections closed to make room: their clients had shown no known secret.
    pub evicted: u64,
    /// Clients with a known secret.
    pub clients: u64,
    /// Clients that did not send enough in time.
    pub silent: u64,
    /// Clients that know no secret, or speak another protocol.
    pub unknown: u64,
    /// Hellos and headers that were seen before.
    pub replayed: u64,
    /// Hellos whose clock is off.
    pub wrong_time: u64,
    /// Clients that were handed on to the site.
    pub handed_on: u64,
    /// Clients refused for the limits of their user.
    pub user_refused: u64,
    /// Clients whose datacenter was not reached.
    pub unreachable: u64,
    /// Connections closed because a reader took nothing for too long.
    pub slow_readers: u64,
    /// Connections closed because they were silent for too long.
    pub idle: u64,
    /// Connections that ended because a stream was malformed or a socket failed.
    pub broken: u64,
}

/// The counters, as atomics that all connections add to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) open: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) over_limit: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) clients: AtomicU64,
    pub(crate) silent: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) wrong_time: AtomicU64,
    pub(crate) handed_on: AtomicU64,
    pub(crate) user_refused: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    pub(crate) slow_readers: AtomicU64,
    pub(crate) idle: AtomicU64,
    pub(crate) broken: AtomicU64,
}

/// Adds one to a counter.
pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// Counts a client that spoke nothing which is served.
    pub(crate) fn refused(&self, refusal: AcceptRefusal) {
        add(match refusal {
            AcceptRefusal::Replayed | AcceptRefusal::ClientHello(HelloRefusal::Replayed) => &self.replayed,
            AcceptRefusal::ClientHello(HelloRefusal::TooEarly | HelloRefusal::TooLate) => &self.wrong_time,
            _ => &self.unknown,
        });
    }

    /// Counts a client whose user is refused.
    pub(crate) fn user_refused(&self, name: &str, refusal: UserRefusal) {
        tracing::info!(user = name, ?refusal, "user refused");
        add(&self.user_refused);
    }

    /// Reads all counters, one after the other.
    pub(crate) fn read(&self) -> ProxyCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProxyCounters {
            open: read(&self.open),
            accepted: read(&self.accepted),
            over_limit: read(&self.over_limit),
            evicted: read(&self.evicted),
            clients: read(&self.clients),
            silent: read(&self.silent),
            unknown: read(&self.unknown),
            replayed: read(&self.replayed),
            wrong_time: read(&self.wrong_time),
            handed_on: read(&self.handed_on),
            user_refused: read(&self.user_refused),
            unreachable: read(&self.unreachable),
            slow_readers: read(&self.slow_readers),
            idle: read(&self.idle),
            broken: read(&self.broken),
        }
    }
}
