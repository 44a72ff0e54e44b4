//! Several connections and several datacenters.

use core::time::Duration;

use chappe_net::tokio::start;
use chappe_net::{Candidate, DataCenter, DataCenters, InvokeOptions, Lane, Transfer};
use chappe_session::client::Repeat;
use chappe_tl_api::functions;
use tokio::time::timeout;

use crate::world::{Cutter, Hole, World};

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

/// Makes calls over all lanes at once; returns the connections that were used. The calls may be repeated: what becomes of one
/// that was sent under a key that the datacenter forgot is uncertain.
async fn call_over_all_lanes(datacenter: &DataCenter) -> u64 {
    let freely = InvokeOptions::default().repeat(Repeat::Freely);
    let mut clients = Vec::new();
    for lane in [Lane::Main, Lane::Download, Lane::Upload, Lane::Download, Lane::Upload] {
        let client = datacenter.client(lane).await.expect("a connection");
        let calls: Vec<_> =
            (0..6).map(|_| client.invoke_with(&functions::help::GetNearestDc {}, &freely)).collect();
        clients.push((client, calls));
    }
    let mut connections = 0;
    for (client, calls) in clients {
        for call in calls {
            call.await.expect("an answer");
        }
        connections += client.status().connections;
    }
    connections
}

/// Temporary keys that the datacenter holds.
fn temporary_keys(world: &World) -> usize {
    let keys = world.datacenter().engine().keys();
    keys.iter().filter(|key| key.kind() != chappe_server::KeyStatus::Permanent).count()
}

#[tokio::test]
async fn lanes_share_one_temporary_key() {
    let world = World::start();
    let datacenter = DataCenter::new(start, world.options().with_forward_secrecy());
    assert_eq!(call_over_all_lanes(&datacenter).await, 5, "thirty calls, a connection for each lane");
    assert_eq!(temporary_keys(&world), 1);
    datacenter.close().await;
}

#[tokio::test]
async fn a_shared_key_that_the_datacenter_forgot_is_replaced_once() {
    let world = World::start();
    let datacenter = DataCenter::new(start, world.options().with_forward_secrecy());
    call_over_all_lanes(&datacenter).await;
    world.datacenter().expire_temporary_keys();
    let connections = call_over_all_lanes(&datacenter).await;
    assert!(connections <= 5 * 3, "{connections} connections");
    assert_eq!(temporary_keys(&world), 1);
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

#[tokio::test]
async fn files_go_to_the_addresses_for_media_which_can_be_replaced() {
    let world = World::start();
    let (media, other) = (Cutter::before(world.address()), Cutter::before(world.address()));
    let candidate = |address: core::net::SocketAddr| Candidate {
        address: address.into(),
        dialling: world.options().candidates[0].dialling.clone(),
    };
    let options = world.options().with_media_candidates(vec![candidate(media.address())]);
    let datacenter = DataCenter::new(start, options);
    let main = datacenter.client(Lane::Main).await.expect("a connection");
    main.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    assert_eq!(media.accepted(), 0, "nothing but files goes there");
    let download = datacenter.client(Lane::Download).await.expect("a connection");
    download.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    assert_eq!(media.accepted(), 1);
    let keys = world.datacenter().engine().keys();
    assert_eq!((keys.len(), keys[0].sessions().len()), (1, 2), "both use one key");

    let refused = datacenter
        .replace_candidates(&[candidate(world.address())], &[candidate(([127, 0, 0, 1], 0).into())]);
    assert!(refused.is_err(), "an address without a port");
    datacenter
        .replace_candidates(&[candidate(world.address())], &[candidate(other.address())])
        .expect("they are in order");
    // The client that is alive dials the new address, and so does the next one.
    download.refresh();
    while other.accepted() == 0 {
        tokio::task::yield_now().await;
    }
    download.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    let upload = datacenter.client(Lane::Upload).await.expect("a connection");
    upload.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    assert_eq!((media.accepted(), other.accepted()), (1, 2));
    datacenter.close().await;
}
