//! Limits on the connections of a listener: in total, and from each network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use chappe_carrier::{LinkError, lock};
use chappe_crypto::rng::Drbg;
use chappe_session::server::Quota;
use chappe_transport::ReplayFilter;

use crate::ListenOptions;
use crate::counters::{ServerCounters, Tally, add};
use crate::scratch::ScratchPool;
use crate::session::Waker;

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
    /// Connections whose clients have not proved that they have a key, the oldest first.
    unauthenticated: BTreeMap<u64, Arc<Place>>,
    /// The same of each network.
    unauthenticated_by_network: BTreeSet<(IpAddr, u64)>,
    next: u64,
}

/// The place of one connection.
struct Place {
    network: IpAddr,
    number: u64,
    is_authenticated: AtomicBool,
    is_evicted: AtomicBool,
    /// Notifies the driver that the place is gone.
    waker: OnceLock<Waker>,
}

impl Counts {
    /// Removes a connection from those that may be evicted. Returns whether it was one of them.
    fn keep(&mut self, place: &Place) -> bool {
        self.unauthenticated_by_network.remove(&(place.network, place.number));
        self.unauthenticated.remove(&place.number).is_some()
    }

    fn release(&mut self, place: &Place) {
        self.keep(place);
        self.all = self.all.saturating_sub(1);
        self.by_network.release(place.network);
    }

    /// Frees the place of the oldest connection, of a network or of all, whose client has not proved that it has a key.
    fn evict(&mut self, network: Option<IpAddr>) -> Option<Arc<Place>> {
        let number = match network {
            Some(network) => {
                let own = self.unauthenticated_by_network.range((network, 0)..=(network, u64::MAX)).next();
                own.map(|(_, number)| *number)
            }
            None => self.unauthenticated.first_key_value().map(|(number, _)| *number),
        };
        let place = Arc::clone(self.unauthenticated.get(&number?)?);
        self.release(&place);
        place.is_evicted.store(true, Ordering::SeqCst);
        Some(place)
    }
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
        let counts = Mutex::new(Counts {
            all: 0,
            by_network,
            unauthenticated: BTreeMap::new(),
            unauthenticated_by_network: BTreeSet::new(),
            next: 0,
        });
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

    /// Returns the options of the listener.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) const fn options(&self) -> &ListenOptions {
        &self.options
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
        let network = self.options.networks.of(address);
        let (all, each) = (self.options.max_connections, self.options.max_connections_per_address);
        let mut counts = lock(&self.counts);
        let mut evicted = Vec::new();
        if counts.by_network.held(network) >= each {
            evicted.push(counts.evict(Some(network)).ok_or(LinkError::TooMany { limit: each })?);
        }
        if counts.all >= all {
            evicted.push(counts.evict(None).ok_or(LinkError::TooMany { limit: all })?);
        }
        let taken = counts.by_network.take(network).map_err(|_| LinkError::TooMany { limit: each });
        let place = taken.map(|()| {
            counts.all += 1;
            counts.next += 1;
            let place = Arc::new(Place::new(network, counts.next));
            counts.unauthenticated.insert(place.number, Arc::clone(&place));
            counts.unauthenticated_by_network.insert((network, place.number));
            place
        });
        drop(counts);
        for place in evicted {
            add(&self.tally.unauthenticated, 1);
            if let Some(wake) = place.waker.get() {
                wake();
            }
        }
        Ok(ConnectionPermit { limit: Arc::clone(self), place: place? })
    }
}

impl Place {
    const fn new(network: IpAddr, number: u64) -> Self {
        let (is_authenticated, is_evicted) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { network, number, is_authenticated, is_evicted, waker: OnceLock::new() }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The permit of one connection. Dropping it frees its place.
///
/// Until it is [`authenticated`](Self::authenticated), the place may be given to another connection. A
/// [`Conversation`](crate::driver::Conversation) keeps it once its client has proved that it has a key.
#[derive(Debug)]
pub struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    place: Arc<Place>,
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
    pub fn with_replays<T>(&self, work: impl FnOnce(Option<&mut ReplayFilter>) -> T) -> T {
        match &self.limit.replays {
            None => work(None),
            Some(replays) => work(Some(&mut lock(replays))),
        }
    }
}

impl ConnectionPermit {
    /// Sets what is called when the place is given to another connection. The first call counts.
    pub fn on_eviction(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        // It is set once, by the conversation.
        let _ = self.place.waker.set(waker);
    }

    /// Keeps the place: the client has proved that it has a key, or knows the secret of a proxy.
    pub fn authenticated(&self) {
        if !self.place.is_authenticated.swap(true, Ordering::Relaxed) {
            lock(&self.limit.counts).keep(&self.place);
        }
    }

    /// Returns whether the place was given to another connection.
    pub fn is_evicted(&self) -> bool {
        self.place.is_evicted.load(Ordering::SeqCst)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = lock(&self.limit.counts);
        if !self.is_evicted() {
            counts.release(&self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

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
        let second = limit.admit(here).expect("a place is free");
        let elsewhere = limit.admit(IpAddr::from([127, 0, 0, 2])).expect("a place is free");
        [&first, &second, &elsewhere].into_iter().for_each(ConnectionPermit::authenticated);
        assert!(matches!(limit.admit(here), Err(LinkError::TooMany { limit: 2 })));
        assert!(matches!(limit.admit(IpAddr::from([127, 0, 0, 3])), Err(LinkError::TooMany { limit: 3 })));
        drop(first);
        assert!(limit.admit(here).is_ok());
    }

    #[test]
    fn neighbours_in_a_network_of_version_6_are_one() {
        let limit = limit(9, 1);
        let place = limit.admit("2001:db8::1".parse().expect("an address")).expect("a place is free");
        place.authenticated();
        assert!(limit.admit("2001:db8::2".parse().expect("an address")).is_err());
        assert!(limit.admit("2001:db8:0:1::1".parse().expect("an address")).is_ok());
    }

    #[test]
    fn the_oldest_connection_without_a_key_makes_room() {
        let limit = limit(4, 2);
        let admit = |number: u8| limit.admit(IpAddr::from([127, 0, 0, number]));
        let wakes = Arc::new(AtomicUsize::new(0));
        let mut places: Vec<_> = [1, 1, 2, 2].map(|number| admit(number).expect("a place is free")).into();
        for place in &places {
            let wakes = Arc::clone(&wakes);
            place.on_eviction(Arc::new(move || {
                wakes.fetch_add(1, Ordering::Relaxed);
            }));
        }
        places[0].authenticated();
        // Of its own network, then of all.
        places.push(admit(1).expect("a stranger makes room"));
        places.push(admit(3).expect("a stranger makes room"));
        let evicted: Vec<_> = places.iter().map(ConnectionPermit::is_evicted).collect();
        assert_eq!(evicted, [false, true, true, false, false, false]);
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
        assert_eq!((limit.counters().open, limit.counters().unauthenticated), (4, 2));
        places.iter().for_each(ConnectionPermit::authenticated);
        assert!(admit(4).is_err(), "all others have keys");
        drop(places);
        assert_eq!(limit.counters().open, 0);
        let counts = lock(&limit.counts);
        assert!(counts.unauthenticated.is_empty() && counts.unauthenticated_by_network.is_empty());
    }
}
