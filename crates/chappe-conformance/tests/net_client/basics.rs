//! Connecting, calling, closing.

use core::time::Duration;

use chappe_net::tokio::connect;
use chappe_net::{Carrier, Endpoint, Gap, Update};
use chappe_tl_api::functions;
use tokio::time::timeout;

use crate::world::World;

#[tokio::test]
async fn a_client_connects_calls_and_closes() {
    let world = World::start();
    let client = connect(world.options()).await.expect("a connection");
    let config = client.invoke(&functions::help::GetConfig {}).await.expect("an answer");
    assert_eq!(config.get().this_dc, i32::from(world.datacenter().dc().number()));
    assert!(client.status().is_connected);
    client.close().await;
    assert!(client.status().is_over);
}

#[tokio::test]
async fn over_http_calls_are_answered_and_updates_come_by_long_poll() {
    let world = World::start();
    let mut options = world.options();
    options.candidates[0].dialling.carrier = Carrier::Http(Endpoint::http("127.0.0.1"));
    let client = connect(options).await.expect("a connection");
    for _ in 0..3 {
        client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    }
    let mut updates = client.updates();
    assert_eq!(updates.recv().await, Some(Update::Gap(Gap::NewSession)));
    world.datacenter().push(&[1; 8]);
    let update = timeout(Duration::from_secs(20), updates.recv()).await.expect("a request waits for it");
    assert!(matches!(update, Some(Update::Object(object)) if object.bytes == [1; 8]));
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
}
