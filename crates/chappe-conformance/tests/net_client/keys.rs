//! Keys: kept, made anew, temporary.

use core::time::Duration;
use std::sync::Arc;

use chappe_net::store::{KeyStore as _, MemoryStore, Slot, load_state};
use chappe_net::tokio::connect;
use chappe_net::{Blame, ConnectError};
use chappe_tl_api::functions;
use tokio::time::{sleep, timeout};

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_key_is_made_once_and_kept() {
    let world = World::start();
    let store = Arc::new(MemoryStore::new());
    for _ in 0..2 {
        let client = connect(world.options().with_store(store.clone())).await.expect("a connection");
        client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
        client.close().await;
    }
    assert_eq!(world.datacenter().engine().keys().len(), 1);
    let state = load_state(&store, Slot::production(2)).expect("it is whole").expect("it was saved");
    assert_eq!(state.key.auth_key, *world.datacenter().engine().keys()[0].auth_key());
    assert!(!state.key.salts.is_empty(), "so that the next run need not ask for one");
}

#[tokio::test]
async fn under_forward_secrecy_calls_travel_under_a_bound_temporary_key() {
    let world = World::start();
    let options = world.options().with_store(Arc::new(MemoryStore::new())).with_forward_secrecy();
    let client = connect(options).await.expect("a connection");
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    let keys = world.datacenter().engine().keys();
    let temporary = keys.iter().filter(|key| key.kind() != chappe_server::KeyStatus::Permanent);
    assert_eq!(temporary.clone().count(), 1);
    assert!(temporary.clone().all(|key| key.permanent_id().is_some()), "it is bound");
    client.close().await;
}

#[tokio::test]
async fn sec_122_a_temporary_key_that_the_datacenter_forgot_is_replaced_and_no_call_is_lost() {
    let mut world = World::start();
    let client = connect(world.options().with_forward_secrecy()).await.expect("a connection");
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    world.datacenter().expire_temporary_keys();
    let mut world = tokio::task::spawn_blocking(move || {
        world.stop();
        world
    })
    .await
    .expect("it is stopped");
    // A call that goes out over the old connection may have been executed, as far as the client can know.
    let notice = async {
        while client.metrics().disconnects == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, notice).await.expect("it sees that the connection is gone");
    // The next connection carries the call, still under the key that is forgotten.
    let call = client.invoke(&functions::help::GetNearestDc {});
    let world = tokio::task::spawn_blocking(move || {
        world.start_again();
        world
    });
    let world = world.await.expect("it is restarted");
    timeout(PATIENCE, call).await.expect("it ends").expect("an answer under a new key");
    assert_eq!(world.datacenter().engine().keys().len(), 2);
}

#[tokio::test]
async fn sec_134_a_permanent_key_is_given_up_only_on_an_authenticated_word() {
    let world = World::start();
    let store = Arc::new(MemoryStore::new());
    let client = connect(world.options().with_store(store.clone())).await.expect("a connection");
    client.close().await;
    // It looks older than a minute, when it may not be known everywhere yet.
    let mut state = load_state(&store, Slot::production(2)).expect("whole").expect("there").key;
    state.created_at -= 3600;
    let session = chappe_session::client::ClientSession::new(
        chappe_session::client::ClientConfig::default(),
        state,
        chappe_session::Now::from_system(),
    );
    let exported = session.export(chappe_session::Now::from_system(), &[]);
    store.save(Slot::production(2), &exported).expect("it is kept");

    // The datacenter has lost it: it answers -404, then takes a temporary key, and refuses to bind that.
    for key in world.datacenter().engine().keys() {
        world.datacenter().engine().forget_key(key.auth_key().id());
    }
    let mut options = world.options().with_store(store.clone());
    options.backoff.first_attempts = 20;
    let error = timeout(PATIENCE, connect(options)).await.expect("it ends").expect_err("no key");
    assert!(matches!(*error, ConnectError::Authorization(trouble) if trouble.is_terminal()), "{error}");
    assert_eq!(error.blame(), Blame::Datacenter);
    assert!(load_state(&store, Slot::production(2)).expect("no error").is_none(), "it is forgotten by then");
}
