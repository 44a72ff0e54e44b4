//! Connecting, calling, closing.

use chappe_loopback::schema::{enums, functions};
use chappe_net::tokio::Client;

use crate::world::World;

#[tokio::test]
async fn a_client_connects_calls_and_closes() {
    let world = World::start();
    let client = Client::connect(world.options()).await.expect("a connection");
    let enums::Config::Config(config) =
        client.invoke(&functions::help::GetConfig {}).await.expect("an answer");
    assert_eq!(config.this_dc, world.datacenter().dc_id());
    assert!(client.status().is_connected);
    client.close().await;
    assert!(client.status().is_over);
}
