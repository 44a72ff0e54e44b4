//! What clients count.

use chappe_loopback::Misbehaviour;
use chappe_net::{ClientMetrics, blocking, tokio::connect};
use chappe_tl_api::functions::help::GetNearestDc;

use crate::world::World;

/// Calls that have ended.
fn ended(metrics: &ClientMetrics) -> u64 {
    let calls = metrics.calls;
    calls.answered + calls.rejected + calls.timed_out + calls.failed + calls.cancelled
}

#[tokio::test]
async fn every_call_is_counted_once_and_its_answer_is_timed() {
    let world = World::start();
    let client = connect(world.options()).await.expect("a connection");
    for _ in 0..5 {
        client.invoke(&GetNearestDc {}).await.expect("an answer");
    }
    world.faults.next_query(Misbehaviour::RpcError { code: 420, message: "FLOOD_WAIT_3".into() });
    client.invoke(&GetNearestDc {}).await.expect_err("it is told to wait");
    drop(client.invoke(&GetNearestDc {}));
    let pending = client.invoke(&GetNearestDc {});
    assert_eq!(ended(&client.metrics()), client.metrics().calls.made - 1, "{:?}", client.metrics());
    pending.await.expect("an answer");
    client.close().await;

    let metrics = client.metrics();
    assert_eq!(metrics.calls.made, 8);
    assert_eq!((metrics.calls.answered, metrics.calls.rejected, metrics.calls.cancelled), (6, 1, 1));
    assert_eq!(ended(&metrics), 8);
    assert_eq!((metrics.latency.count(), metrics.permanent_keys, metrics.connections), (7, 1, 1));
    assert!(!metrics.latency.sum().is_zero());
    assert!(metrics.bytes_read > 1000 && metrics.bytes_written > 1000, "a key was made: {metrics:?}");
    let counters: Vec<_> = metrics.counters().collect();
    assert!(counters.contains(&("calls_made", 8)) && counters.contains(&("disconnects", 0)));
}

#[test]
fn connections_are_counted_by_their_ends() {
    let mut world = World::start();
    let mut options = world.options();
    options.timing.close = core::time::Duration::from_millis(10);
    let client = blocking::connect(options).expect("a connection");
    client.invoke(&GetNearestDc {}).wait().expect("an answer");
    world.stop();
    let pending = client.invoke(&GetNearestDc {});
    while client.metrics().attempts < 2 {
        std::thread::yield_now();
    }
    world.start_again();
    pending.wait().expect("an answer");
    let metrics = client.metrics();
    assert_eq!((metrics.connections, metrics.disconnects), (2, 1), "{metrics:?}");
    assert!(metrics.attempts >= 2 && metrics.gaps >= 1, "the datacenter lost the session: {metrics:?}");
    world.stop();
    let lost = client.invoke(&GetNearestDc {});
    client.close().wait();
    lost.wait().expect_err("the client has ended");
    assert_eq!(client.metrics().calls.failed, 1);
}
