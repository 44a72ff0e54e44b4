//! The datacenter goes away and comes back, under load.

use core::time::Duration;

use chappe_net::tokio::connect;
use chappe_net::{Gap, Update};
use chappe_tl::Serializable;
use chappe_tl_api::functions;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(20);

/// `updatesTooLong`.
const TOO_LONG: [u8; 4] = 0xe317_af7e_u32.to_le_bytes();

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_ends_once_while_the_datacenter_is_killed_and_restarted() {
    const CALLERS: usize = 16;
    const CALLS: usize = 40;
    let mut world = World::start();
    let client = connect(world.options()).await.expect("a connection");
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            let mut answered = 0;
            for _ in 0..CALLS {
                client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer in the end");
                answered += 1;
            }
            answered
        });
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        tokio::task::block_in_place(|| {
            world.stop();
            world.start_again();
        });
    }
    let answered = timeout(PATIENCE, callers.join_all()).await.expect("no call hangs");
    assert_eq!(answered, [CALLS; CALLERS]);
    let status = client.status();
    assert_eq!(status.pending_calls, 0);
    assert!(status.connections > 1, "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_updates_resume_and_the_gap_is_reported() {
    let mut world = World::start();
    let client = connect(world.options()).await.expect("a connection");
    let mut updates = client.updates();
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    assert_eq!(updates.recv().await, Some(Update::Gap(Gap::NewSession)), "the first session of a run");
    world.datacenter().push(&TOO_LONG);
    assert!(matches!(updates.recv().await, Some(Update::Object(object)) if object.bytes == TOO_LONG));
    tokio::task::block_in_place(|| {
        world.stop();
        world.start_again();
    });
    let next = timeout(PATIENCE, updates.recv()).await.expect("the gap is reported without a call");
    assert_eq!(next, Some(Update::Gap(Gap::NewSession)));
    world.datacenter().push(&TOO_LONG);
    let next = timeout(PATIENCE, updates.recv()).await.expect("updates resume");
    assert!(matches!(next, Some(Update::Object(_))), "{next:?}");
    client.close().await;
    assert_eq!(updates.recv().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_made_while_nothing_is_there_waits() {
    let mut world = World::start();
    let client = connect(world.options()).await.expect("a connection");
    tokio::task::block_in_place(|| world.stop());
    let call = client
        .invoke_bytes(&functions::help::GetNearestDc {}.to_bytes(), &chappe_net::InvokeOptions::default());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!call.is_finished());
    tokio::task::block_in_place(|| world.start_again());
    timeout(PATIENCE, call).await.expect("it is sent when the datacenter is back").expect("an answer");
}
