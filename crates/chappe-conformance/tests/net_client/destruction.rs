//! Sessions and keys that a client makes the datacenter forget.

use std::sync::Arc;

use chappe_net::store::{KeyStore as _, MemoryStore, Slot};
use chappe_net::{Blame, InvokeError, blocking, tokio::connect};
use chappe_session::KeyDestruction;
use chappe_tl_api::functions::help::GetNearestDc;

use crate::world::World;

#[tokio::test]
async fn a_client_makes_the_datacenter_forget_another_session_of_its_key() {
    let world = World::start();
    let store = Arc::new(MemoryStore::new());
    let options = world.options().with_store(store.clone());
    let before = connect(options.clone()).await.expect("a connection");
    before.invoke(&GetNearestDc {}).await.expect("an answer");
    let old = before.session_id().expect("it has a session");
    before.close().await;

    let client = connect(options).await.expect("a connection");
    client.invoke(&GetNearestDc {}).await.expect("an answer");
    let sessions = || world.datacenter().engine().keys()[0].sessions();
    assert!(sessions().iter().any(|session| session.session_id() == old));
    assert!(client.destroy_session(old).await.expect("an answer"), "it existed");
    assert!(!sessions().iter().any(|session| session.session_id() == old), "it is forgotten");
    assert!(!client.destroy_session(old).await.expect("an answer"), "it is gone");
    let own = client.session_id().expect("it has a session");
    let refused = client.destroy_session(own).await;
    assert!(matches!(refused, Err(InvokeError::NotPossible(_))), "{refused:?}");
    client.invoke(&GetNearestDc {}).await.expect("it goes on");
    client.close().await;
    assert!(matches!(client.destroy_session(old).await, Err(InvokeError::Closed)));
}

#[test]
fn a_key_that_was_destroyed_is_in_no_store_and_its_client_ends() {
    let world = World::start();
    let store = Arc::new(MemoryStore::new());
    let client = blocking::connect(world.options().with_store(store.clone())).expect("a connection");
    client.invoke(&GetNearestDc {}).wait().expect("an answer");
    assert_eq!(client.destroy_auth_key().wait().expect("an answer"), KeyDestruction::Destroyed);
    client.close().wait();
    assert_eq!(world.datacenter().engine().keys().len(), 0);
    assert!(store.load(Slot::production(2)).expect("it can be loaded").is_none(), "nothing is left");
    assert!(matches!(client.invoke(&GetNearestDc {}).wait(), Err(InvokeError::Closed)));
}

#[test]
fn a_permanent_key_is_not_destroyed_under_a_temporary_one() {
    let world = World::start();
    let client = blocking::connect(world.options().with_forward_secrecy()).expect("a connection");
    let refused = client.destroy_auth_key().wait().expect_err("it would destroy the wrong key");
    assert_eq!(refused.blame(), Blame::Caller, "{refused}");
    client.invoke(&GetNearestDc {}).wait().expect("it goes on");
    client.close().wait();
}
