//! How many connections a server lets in, in all and from each address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use chappe_crypto::rng::Drbg;
use chappe_session::server::Quota;
use chappe_transport::ReplayFilter;

use crate::ListenOptions;
use crate::counters::{ServerCounters, Tally, add};
use crate::kit::Shelf;
use chappe_carrier::LinkError;

/// Counts the connections of a listener and keeps what they share.
#[derive(Debug)]
pub struct Gate {
    options: ListenOptions,
    counts: Mutex<Counts>,
    replays: Option<Mutex<ReplayFilter>>,
    tally: Arc<Tally>,
    shelf: Shelf,
}

#[derive(Debug)]
struct Counts {
    all: usize,
    by_network: Quota<IpAddr>,
}

impl Gate {
    /// `seeder` seeds the generators of connections.
    pub fn new(options: ListenOptions, seeder: Drbg) -> Self {
        let replays = match options.remembered_headers {
            0 => None,
            capacity => Some(Mutex::new(ReplayFilter::new(capacity))),
        };
        // Each network that is counted has a connection, so there are no more networks than those.
        let by_network = Quota::new(options.max_connections_per_address, options.max_connections);
        let counts = Mutex::new(Counts { all: 0, by_network });
        Self { options, counts, replays, tally: Arc::default(), shelf: Shelf::new(seeder) }
    }

    /// Returns what was counted so far.
    pub fn counters(&self) -> ServerCounters {
        let open = self.counts.lock().unwrap_or_else(PoisonError::into_inner).all;
        self.tally.read(open)
    }

    /// Returns the kits that connections work with.
    pub const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Admits a connection from this address.
    ///
    /// # Errors
    ///
    /// [`LinkError::TooMany`] if there are as many connections as the options allow.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, LinkError> {
        self.try_admit(address).inspect_err(|_| add(&self.tally.over_limit, 1))
    }

    fn try_admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, LinkError> {
        let address = network_of(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.options.max_connections {
            return Err(LinkError::TooMany { limit: self.options.max_connections });
        }
        let limit = self.options.max_connections_per_address;
        counts.by_network.take(address).map_err(|_| LinkError::TooMany { limit })?;
        counts.all += 1;
        Ok(Place { gate: Arc::clone(self), address })
    }
}

/// One connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Place {
    /// Returns the options of the listener.
    pub(crate) fn options(&self) -> &ListenOptions {
        &self.gate.options
    }

    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.gate.tally
    }

    /// Lends the beginnings of connections that were seen before, if they are remembered.
    pub(crate) fn with_replays<T>(&self, work: impl FnOnce(Option<&mut ReplayFilter>) -> T) -> T {
        match &self.gate.replays {
            None => work(None),
            Some(replays) => work(Some(&mut replays.lock().unwrap_or_else(PoisonError::into_inner))),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        counts.by_network.release(self.address);
    }
}

/// One customer of a provider usually holds a whole /64 of version 6, so that is what is counted.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(all: usize, each: usize) -> Arc<Gate> {
        let mut options = ListenOptions::data_centre();
        options.max_connections = all;
        options.max_connections_per_address = each;
        Arc::new(Gate::new(options, Drbg::from_seed([1; 32])))
    }

    #[test]
    fn an_address_gets_its_share_and_a_place_is_free_after_use() {
        let gate = gate(3, 2);
        let here = IpAddr::from([127, 0, 0, 1]);
        let first = gate.admit(here).expect("a place is free");
        let _second = gate.admit(here).expect("a place is free");
        assert!(matches!(gate.admit(here), Err(LinkError::TooMany { limit: 2 })));
        let _elsewhere = gate.admit(IpAddr::from([127, 0, 0, 2])).expect("a place is free");
        assert!(matches!(gate.admit(IpAddr::from([127, 0, 0, 3])), Err(LinkError::TooMany { limit: 3 })));
        drop(first);
        assert!(gate.admit(here).is_ok());
    }

    #[test]
    fn neighbours_in_a_network_of_version_6_are_one() {
        let gate = gate(9, 1);
        let _place = gate.admit("2001:db8::1".parse().expect("an address")).expect("a place is free");
        assert!(gate.admit("2001:db8::2".parse().expect("an address")).is_err());
        assert!(gate.admit("2001:db8:0:1::1".parse().expect("an address")).is_ok());
    }
}
