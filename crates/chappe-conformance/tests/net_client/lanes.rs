//! Several connections and several datacenters.

use core::time::Duration;

use chappe_loopback::schema::functions;
use chappe_net::tokio::{DataCenter, DataCenters, start};
use chappe_net::{Lane, Transfer};
use tokio::time::timeout;

use crate::world::{Hole, World};

#[tokio::test]
async fn lanes_have_connections_of_their_own_under_one_key() {
    let world = World::start();
    let datacenter = DataCenter::new(start, world.options());
    for lane in [Lane::Download, Lane::Upload, Lane::Main, Lane::Main] {
        let client = datacenter.client(lane).await.expect("a connection");
        client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    }
    let keys = world.datacenter().engine().keys();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].sessions().len(), 3, "each connection has a session");
    datacenter.close().await;
}

#[tokio::test]
async fn a_datacenter_that_says_nothing_delays_no_other() {
    let world = World::start();
    let hole = Hole::open();
    let (good, bad) = (world.options(), world.options_at(hole.address()));
    let all = DataCenters::new(start, move |dc| if dc == 2 { good.clone() } else { bad.clone() });
    let slow = tokio::spawn({
        let all = all.clone();
        async move { all.at(4).client(Lane::Main).await.map(drop) }
    });
    let fast = async {
        let client = all.at(2).client(Lane::Main).await.expect("a connection");
        client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    };
    timeout(Duration::from_secs(5), fast).await.expect("nobody waits for the silent one");
    assert!(!slow.is_finished());
    slow.abort();
}

#[tokio::test]
async fn a_transfer_gives_answers_in_the_order_of_the_calls() {
    let world = World::start();
    let datacenter = DataCenter::new(start, world.options());
    let mut transfer = Transfer::new(4);
    for _ in 0..4 {
        let client = datacenter.client(Lane::Download).await.expect("a connection");
        transfer.push(client.invoke(&functions::help::GetNearestDc {}));
    }
    assert!(!transfer.has_room());
    while let Some(answer) = transfer.recv().await {
        answer.expect("an answer");
    }
    assert!(transfer.is_empty());
}
