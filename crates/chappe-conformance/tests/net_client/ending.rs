//! The end of a client: what `close` promises, and what is left when it is no longer driven.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use chappe_loopback::Misbehaviour;
use chappe_net::store::{KeyStore, MemoryStore, Slot, StoreError, Zeroizing};
use chappe_net::{
    ConnectError, ConnectOptions, DataCenter, InvokeError, Lane, blocking,
    tokio::{connect, start},
};
use chappe_tl_api::functions::help::GetNearestDc;
use tokio::runtime;

use crate::world::World;

/// A store that takes its time, and counts what it has done.
#[derive(Default)]
struct Slow {
    inner: MemoryStore,
    begun: AtomicUsize,
    done: AtomicUsize,
    /// How often the state was asked for while something was not done yet.
    early: AtomicUsize,
}

impl Slow {
    fn work<T>(&self, work: impl FnOnce(&MemoryStore) -> T) -> T {
        self.begun.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(100));
        let result = work(&self.inner);
        self.done.fetch_add(1, Ordering::SeqCst);
        result
    }

    /// Asserts that all that was begun is done, and that only the caller has the store.
    fn assert_let_go(self: &Arc<Self>) {
        let (done, begun) = (self.done.load(Ordering::SeqCst), self.begun.load(Ordering::SeqCst));
        assert_eq!((done, Arc::strong_count(self)), (begun, 1), "done of {begun}, and holders");
    }
}

impl KeyStore for Slow {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        if self.done.load(Ordering::SeqCst) < self.begun.load(Ordering::SeqCst) {
            self.early.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.load(slot)
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        self.work(|inner| inner.save(slot, state))
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        self.work(|inner| inner.remove(slot))
    }

    fn keep_aside(&self, slot: Slot) -> Result<Option<String>, StoreError> {
        self.work(|inner| inner.keep_aside(slot))
    }
}

/// Options of a world without addresses: it fails to connect.
fn nowhere(world: &World) -> ConnectOptions {
    let mut options = world.options();
    options.candidates.clear();
    options
}

#[test]
fn a_blocking_client_that_is_closed_has_saved_its_state_and_let_go_of_the_store() {
    let world = World::start();
    let store = Arc::new(Slow::default());
    let client = blocking::connect(world.options().with_store(store.clone())).expect("a connection");
    let saved = store.begun.load(Ordering::SeqCst);
    client.close().wait();
    store.assert_let_go();
    assert!(store.done.load(Ordering::SeqCst) > saved, "the end is saved too");
    client.close().wait();
    assert!(client.status().is_over);
}

#[tokio::test]
async fn a_tokio_client_that_is_closed_has_saved_its_state_and_let_go_of_the_store() {
    let world = World::start();
    let store = Arc::new(Slow::default());
    let client = connect(world.options().with_store(store.clone())).await.expect("a connection");
    let saved = store.begun.load(Ordering::SeqCst);
    let other = client.clone();
    tokio::join!(client.close(), other.close());
    store.assert_let_go();
    assert!(store.done.load(Ordering::SeqCst) > saved, "the end is saved too");
    client.close().await;
}

#[tokio::test]
async fn whoever_fails_to_connect_has_let_go_of_the_store() {
    let world = World::start();
    let store = Arc::new(Slow::default());
    let error = connect(nowhere(&world).with_store(store.clone())).await.expect_err("no address");
    assert!(matches!(*error, ConnectError::NoCandidates), "{error}");
    store.assert_let_go();
    let error = blocking::connect(nowhere(&world).with_store(store.clone())).expect_err("no address");
    assert!(matches!(*error, ConnectError::NoCandidates), "{error}");
    store.assert_let_go();
}

#[test]
fn a_client_whose_runtime_is_gone_keeps_nobody_waiting() {
    let world = World::start();
    let store = Arc::new(Slow::default());
    let first =
        runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let options = world.options().with_store(store.clone());
    let client = first.block_on(connect(options)).expect("a connection");
    world.faults.next_query(Misbehaviour::Silence);
    let call = client.invoke(&GetNearestDc {});
    drop(first);
    assert!(matches!(call.wait(), Err(InvokeError::Closed)), "the call has ended");
    store.assert_let_go();
    // Somebody with another runtime may wait as well.
    let second = runtime::Builder::new_current_thread().build().expect("a runtime");
    second.block_on(client.close());
    assert!(client.status().is_over);
}

#[test]
fn a_blocking_client_is_replaced_when_it_has_ended_and_no_sooner() {
    let world = World::start();
    let store = Arc::new(Slow::default());
    let datacenter = DataCenter::new(blocking::start, world.options().with_store(store.clone()));
    let client = datacenter.client(Lane::Main).wait().expect("a connection");
    thread::scope(|scope| {
        scope.spawn(|| client.close().wait());
        while !client.status().is_over {
            thread::yield_now();
        }
        // It saves now.
        datacenter.client(Lane::Main).wait().expect("another connection");
    });
    assert_eq!(store.early.load(Ordering::SeqCst), 0);
    datacenter.close().wait();
}

#[tokio::test]
async fn a_tokio_client_is_replaced_when_it_has_ended_and_no_sooner() {
    let world = World::start();
    let store = Arc::new(Slow::default());
    let datacenter = DataCenter::new(start, world.options().with_store(store.clone()));
    let client = datacenter.client(Lane::Main).await.expect("a connection");
    let other = async {
        while !client.status().is_over {
            tokio::task::yield_now().await;
        }
        // It saves now.
        datacenter.client(Lane::Main).await.expect("another connection");
    };
    tokio::join!(client.close(), other);
    assert_eq!(store.early.load(Ordering::SeqCst), 0);
    datacenter.close().await;
}
