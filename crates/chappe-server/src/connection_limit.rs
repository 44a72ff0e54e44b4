//! Limits on the connections of a listener: in total, and from each network.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use chappe_carrier::{LinkError, lock};
use chappe_crypto::rng::Drbg;
use chappe_session::server::Quota;
use chappe_transport::ReplayFilter;

use crate::ListenOptions;
use crate::counters::{ServerCounters, Tally, add};
use crate::scratch::ScratchPool;

/// Counts the connections of a listener, and holds the options and buffers that they share.
#[derive(Debug)]
pub struct ConnectionLimit {
    options: ListenOptions,
    counts: Mutex<Counts>,
    replays: Option<Mutex<ReplayFilter>>,
    tally: Arc<Tally>,
    scratch: ScratchPool,
}

#[derive(Debug)]
struct Counts {
    all: usize,
    by_network: Quota<IpAddr>,
}

impl ConnectionLimit {
    /// Makes the limits that `options` set; `seeder` seeds the generators of connections.
    pub fn new(options: ListenOptions, seeder: Drbg) -> Self {
        let replays = match options.remembered_headers {
            0 => None,
            capacity => Some(Mutex::new(ReplayFilter::new(capacity))),
        };
        // Each network in the table has a connection, so the table needs no bound of its own.
        let by_network = Quota::new(options.max_connections_per_address, options.max_connections);
        let counts = Mutex::new(Counts { all: 0, by_network });
        Self { options, counts, replays, tally: Arc::default(), scratch: ScratchPool::new(seeder) }
    }

    /// Returns the counters.
    pub fn counters(&self) -> ServerCounters {
        let open = lock(&self.counts).all;
        self.tally.read(open)
    }

    /// Returns the buffers that connections work with.
    pub const fn scratch(&self) -> &ScratchPool {
        &self.scratch
    }

    /// Admits a connection from this address.
    ///
    /// # Errors
    ///
    /// [`LinkError::TooMany`] if there are as many connections as the options allow.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionPermit, LinkError> {
        self.try_admit(address).inspect_err(|_| add(&self.tally.over_limit, 1))
    }

    fn try_admit(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionPermit, LinkError> {
        let address = self.options.networks.of(address);
        let mut counts = lock(&self.counts);
        if counts.all >= self.options.max_connections {
            return Err(LinkError::TooMany { limit: self.options.max_connections });
        }
        let limit = self.options.max_connections_per_address;
        counts.by_network.take(address).map_err(|_| LinkError::TooMany { limit })?;
        counts.all += 1;
        Ok(ConnectionPermit { limit: Arc::clone(self), address })
    }
}

/// The permit of one connection. Dropping it frees its place.
#[derive(Debug)]
pub struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    address: IpAddr,
}

impl ConnectionPermit {
    /// Returns the options of the listener.
    pub(crate) fn options(&self) -> &ListenOptions {
        &self.limit.options
    }

    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.limit.tally
    }

    /// Calls `work` with the filter of replayed headers, if the options ask for one.
    pub(crate) fn with_replays<T>(&self, work: impl FnOnce(Option<&mut ReplayFilter>) -> T) -> T {
        match &self.limit.replays {
            None => work(None),
            Some(replays) => work(Some(&mut lock(replays))),
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = lock(&self.limit.counts);
        counts.all = counts.all.saturating_sub(1);
        counts.by_network.release(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(all: usize, each: usize) -> Arc<ConnectionLimit> {
        let mut options = ListenOptions::datacenter();
        options.max_connections = all;
        options.max_connections_per_address = each;
        Arc::new(ConnectionLimit::new(options, Drbg::from_seed([1; 32])))
    }

    #[test]
    fn an_address_gets_its_share_and_a_place_is_free_after_use() {
        let limit = limit(3, 2);
        let here = IpAddr::from([127, 0, 0, 1]);
        let first = limit.admit(here).expect("a place is free");
        let _second = limit.admit(here).expect("a place is free");
        assert!(matches!(limit.admit(here), Err(LinkError::TooMany { limit: 2 })));
        let _elsewhere = limit.admit(IpAddr::from([127, 0, 0, 2])).expect("a place is free");
        assert!(matches!(limit.admit(IpAddr::from([127, 0, 0, 3])), Err(LinkError::TooMany { limit: 3 })));
        drop(first);
        assert!(limit.admit(here).is_ok());
    }

    #[test]
    fn neighbours_in_a_network_of_version_6_are_one() {
        let limit = limit(9, 1);
        let _place = limit.admit("2001:db8::1".parse().expect("an address")).expect("a place is free");
        assert!(limit.admit("2001:db8::2".parse().expect("an address")).is_err());
        assert!(limit.admit("2001:db8:0:1::1".parse().expect("an address")).is_ok());
    }
}
