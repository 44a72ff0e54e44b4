//! Stores that are damaged, full or in use: a login is never lost without a word.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;

use chappe_net::store::{
    AsyncKeyStore, KeyStore, MemoryStore, Slot, StoreError, StoreFuture, Zeroizing, load_state,
};
use chappe_net::{Blame, ConnectError, Update, Waited, blocking, tokio::connect};
use chappe_session::client::StateError;
use chappe_tl_api::functions::help::GetNearestDc;

use crate::world::World;

const SLOT: Slot = Slot::production(2);

/// A store that fails to save while it is told to.
#[derive(Default)]
struct Full {
    inner: MemoryStore,
    is_full: AtomicBool,
}

impl KeyStore for Full {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.inner.load(slot)
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(StoreError::other("no space left on device"));
        }
        self.inner.save(slot, state)
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        self.inner.remove(slot)
    }

    fn keep_aside(&self, slot: Slot) -> Result<Option<String>, StoreError> {
        self.inner.keep_aside(slot)
    }
}

fn bytes(store: &impl KeyStore) -> Vec<u8> {
    store.load(SLOT).expect("it can be loaded").expect("it is there").to_vec()
}

/// Connects once and returns the store with the key that was made.
async fn store_with_key(world: &World) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let client = connect(world.options().with_store(store.clone())).await.expect("a connection");
    client.close().await;
    store
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_refused_and_left_as_it_is() {
    let world = World::start();
    let store = store_with_key(&world).await;
    let whole = bytes(&*store);
    let flipped = |at: usize| {
        let mut state = whole.clone();
        state[at] ^= 1;
        state
    };
    let newer = flipped(4);
    let states = [
        b"damaged".to_vec(),
        Vec::new(),
        whole[..100].to_vec(),
        newer,
        flipped(0),
        flipped(10),
        flipped(200),
    ];
    for state in states {
        store.save(SLOT, &state).expect("it is kept");
        let options = world.options().with_store(store.clone());
        let error = connect(options.clone()).await.expect_err("it cannot be read");
        assert!(matches!(&*error, ConnectError::Store(error) if error.is_unreadable()), "{error}");
        assert_eq!((error.blame(), error.is_fatal()), (Blame::Caller, true));
        blocking::connect(options).expect_err("it cannot be read");
        assert_eq!(bytes(&*store), state, "nothing was written over it");
    }
    assert_eq!(world.datacenter().engine().keys().len(), 1, "no key was made");
}

#[tokio::test]
async fn a_fresh_start_keeps_the_old_state_aside() {
    let world = World::start();
    let store = Arc::new(MemoryStore::new());
    store.save(SLOT, b"damaged").expect("it is kept");
    let options = world.options().with_store(store.clone()).with_fresh_start();
    let client = connect(options.clone()).await.expect("a connection");
    client.close().await;
    assert_eq!(store.aside(SLOT).iter().map(|state| state.to_vec()).collect::<Vec<_>>(), [b"damaged"]);
    let key = load_state(&store, SLOT).expect("it is whole").expect("it was saved").key.auth_key;
    // The option means no harm to a state that can be read.
    connect(options).await.expect("a connection").close().await;
    assert_eq!(store.aside(SLOT).len(), 1);
    assert_eq!(load_state(&store, SLOT).expect("it is whole").expect("it is there").key.auth_key, key);
}

#[tokio::test]
async fn a_key_that_is_whole_is_used_although_the_rest_of_its_state_is_damaged() {
    let world = World::start();
    let store = store_with_key(&world).await;
    let whole = bytes(&*store);
    let salt = 300;
    for at in [salt, whole.len() - 40, whole.len() - 1] {
        let mut state = whole.clone();
        state[at] ^= 1;
        assert_eq!(chappe_session::client::SavedState::import(&state).err(), Some(StateError::BadDigest));
        store.save(SLOT, &state).expect("it is kept");
        let client = connect(world.options().with_store(store.clone())).await.expect("a connection");
        client.invoke(&GetNearestDc {}).await.expect("an answer");
        client.close().await;
        assert_eq!(
            store.aside(SLOT).last().map(|state| state.to_vec()),
            Some(state),
            "the damaged one is kept"
        );
        assert!(load_state(&store, SLOT).expect("it is whole again").is_some());
    }
    assert_eq!(world.datacenter().engine().keys().len(), 1, "no other key was made");
}

#[tokio::test]
async fn a_new_key_that_cannot_be_saved_fails_the_connection() {
    let world = World::start();
    let store = Arc::new(Full::default());
    store.is_full.store(true, Ordering::SeqCst);
    let options = world.options().with_store(store.clone());
    let error = connect(options.clone()).await.expect_err("the disk is full");
    assert!(matches!(&*error, ConnectError::Store(StoreError::Other(_))), "{error}");
    assert_eq!(error.blame(), Blame::Caller);
    let error = blocking::connect(options.clone()).expect_err("the disk is full");
    assert!(matches!(&*error, ConnectError::Store(StoreError::Other(_))), "{error}");
    store.is_full.store(false, Ordering::SeqCst);
    connect(options).await.expect("there is room now").close().await;
}

#[tokio::test]
async fn a_state_that_can_no_longer_be_saved_is_told_in_the_status_and_as_an_update() {
    let world = World::start();
    let store = Arc::new(Full::default());
    let client = connect(world.options().with_store(store.clone())).await.expect("a connection");
    let mut updates = client.updates();
    assert!(client.status().store_error.is_none());
    store.is_full.store(true, Ordering::SeqCst);
    client.close().await;
    let told = client.status().store_error.expect("the last save failed");
    let mut failures = 0;
    while let Waited::Update(update) = updates.wait_timeout(Duration::ZERO) {
        if let Update::StoreFailed(failure) = update {
            failures += 1;
            assert_eq!(failure.error.to_string(), told.to_string());
        }
    }
    assert_eq!(failures, 1);
    assert!(load_state(&store.inner, SLOT).expect("it is whole").is_some(), "the state before is there");
}

#[tokio::test]
async fn two_clients_that_start_at_once_on_one_store_make_one_key() {
    let world = World::start();
    let store = Arc::new(MemoryStore::new());
    let mut options = world.options().with_store(store.clone());
    options.timing.close = Duration::from_millis(20);
    // Behind another `Arc` it is still the same store.
    let again = options.clone().with_store(Arc::new(store.clone()));
    let (one, other) = tokio::join!(connect(options), connect(again));
    let client = one.expect("it came first");
    let error = other.expect_err("the other one has the slot");
    assert!(matches!(&*error, ConnectError::Store(StoreError::InUse { .. })), "{error}");
    assert_eq!(world.datacenter().engine().keys().len(), 1);
    client.close().await;
    let state = load_state(&store, SLOT).expect("it is whole").expect("it was saved");
    assert_eq!(state.key.auth_key, *world.datacenter().engine().keys()[0].auth_key());
}

#[tokio::test]
async fn a_client_waits_for_the_one_before_it_to_let_go_of_the_store() {
    let world = World::start();
    let store = Arc::new(MemoryStore::new());
    let options = world.options().with_store(store);
    for _ in 0..3 {
        // Dropping a client ends it in the background.
        drop(connect(options.clone()).await.expect("a connection"));
    }
    assert_eq!(world.datacenter().engine().keys().len(), 1);
}

/// A store that awaits, and must be polled where the runtime is.
struct Remote {
    inner: MemoryStore,
}

impl Remote {
    fn work<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&MemoryStore) -> Result<T, StoreError> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            // Only a task of the runtime can be asked to yield; a thread of its own would have no runtime.
            if tokio::runtime::Handle::try_current().is_ok() {
                tokio::task::yield_now().await;
            }
            work(&self.inner)
        })
    }
}

impl AsyncKeyStore for Remote {
    fn load(&self, slot: Slot) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        self.work(move |inner| inner.load(slot))
    }

    fn save<'a>(&'a self, slot: Slot, state: &'a [u8]) -> StoreFuture<'a, ()> {
        self.work(move |inner| inner.save(slot, state))
    }

    fn remove(&self, slot: Slot) -> StoreFuture<'_, ()> {
        self.work(move |inner| inner.remove(slot))
    }

    fn keep_aside(&self, slot: Slot) -> StoreFuture<'_, Option<String>> {
        self.work(move |inner| inner.keep_aside(slot))
    }
}

#[test]
fn a_store_that_awaits_serves_clients_of_both_drivers() {
    let world = World::start();
    let store = Arc::new(Remote { inner: MemoryStore::new() });
    let options = world.options().with_async_store(store.clone());
    // Without a blocking thread: a store that needed one would wait for it forever.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = connect(options.clone()).await.expect("a connection");
        client.invoke(&GetNearestDc {}).await.expect("an answer");
        client.close().await;
    });
    let client = blocking::connect(options).expect("a connection");
    client.invoke(&GetNearestDc {}).wait().expect("an answer");
    client.close().wait();
    assert_eq!(world.datacenter().engine().keys().len(), 1, "the second run found the key of the first");
    assert!(load_state(&store.inner, SLOT).expect("it is whole").is_some());
}
