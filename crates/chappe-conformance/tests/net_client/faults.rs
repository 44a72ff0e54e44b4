//! What the way to the datacenter and the datacenter itself can do to a client.

use chappe_types::Rule;
use core::time::Duration;

use chappe_loopback::{Fault, Misbehaviour};
use chappe_net::tokio::connect;
use chappe_net::{Blame, Client, ConnectError, InvokeError, InvokeOptions, LinkError};
use chappe_session::client::Repeat;
use chappe_tl_api::functions;
use chappe_transport::TransportErrorCode;
use tokio::time::timeout;

use crate::world::{Cutter, Hole, World};

const PATIENCE: Duration = Duration::from_secs(20);

async fn connected(world: &World) -> Client {
    let client = connect(world.options()).await.expect("a connection");
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    client
}

#[tokio::test]
async fn a_call_survives_every_transport_error_in_turn() {
    let world = World::start();
    let client = connected(&world).await;
    for code in [-404, -429, -444, -500] {
        world.faults.next(Fault::Error(TransportErrorCode::from_raw(code)));
        let call = client.invoke(&functions::help::GetNearestDc {});
        timeout(PATIENCE, call).await.expect("it ends").unwrap_or_else(|error| panic!("{code}: {error}"));
    }
    assert!(world.faults.is_used_up());
}

#[tokio::test]
async fn a_transport_error_during_the_handshake_is_told_to_who_connects() {
    let world = World::start();
    for (code, attempts) in [(-444, 1), (-404, 4), (-429, 4)] {
        for _ in 0..attempts {
            world.faults.next(Fault::Error(TransportErrorCode::from_raw(code)));
        }
        let mut options = world.options();
        options.backoff.flood_failures = 1;
        let error = connect(options).await.expect_err("refused every time");
        assert!(
            matches!(*error.cause(), ConnectError::Refused(refused) if refused.to_raw() == code),
            "{error}"
        );
        assert_eq!(error.blame(), Blame::Datacenter);
        assert!(world.faults.is_used_up(), "{code}: as many attempts as the options say");
    }
}

#[tokio::test]
async fn an_error_of_the_network_is_told_from_one_of_the_datacenter() {
    let mut world = World::start();
    world.stop();
    let error = connect(world.options()).await.expect_err("nobody listens");
    assert!(matches!(*error.cause(), ConnectError::Link(LinkError::Io(_))), "{error}");
    assert_eq!(error.blame(), Blame::Network);
}

#[tokio::test]
async fn a_server_with_another_key_is_a_failed_check() {
    let world = World::start();
    let mut options = world.options();
    options.handshake.keys = chappe_crypto::rsa::KeyRing::production();
    let error = connect(options).await.expect_err("nobody knows the key");
    assert_eq!(error.blame(), Blame::Protocol { rule: Some(Rule::new(17)) });
}

#[tokio::test]
async fn a_call_that_the_datacenter_refuses_says_how_long_to_wait_and_where_to_go() {
    let world = World::start();
    let client = connected(&world).await;
    let refuse = |code, message: &str| {
        world.faults.next_query(Misbehaviour::RpcError { code, message: message.into() });
        client.invoke(&functions::help::GetNearestDc {})
    };
    let error = refuse(420, "FLOOD_WAIT_31").await.expect_err("refused");
    assert_eq!((error.blame(), error.wait()), (Blame::Call, Some(Duration::from_secs(31))));
    let error = refuse(303, "USER_MIGRATE_4").await.expect_err("refused");
    assert_eq!(error.migrate_to(), Some(4));
    assert_eq!(error.call().map(|error| error.code), Some(303));
}

#[tokio::test]
async fn a_proxy_that_accepts_and_says_nothing_costs_the_proof_time_and_no_more() {
    let world = World::start();
    let hole = Hole::open();
    let mut options = world.options_at(hole.address());
    options.timing.proof = Duration::from_millis(15);
    options.backoff.first_attempts = 2;
    let error = timeout(PATIENCE, connect(options)).await.expect("it ends").expect_err("silence");
    assert!(matches!(*error.cause(), ConnectError::Link(LinkError::TimedOut { .. })), "{error}");
    assert_eq!(error.blame(), Blame::Network);
}

#[tokio::test]
async fn a_new_connection_that_says_nothing_does_not_replace_one_that_works() {
    let world = World::start();
    let cutter = Cutter::before(world.address());
    let mut options = world.options_at(cutter.address());
    options.timing.proof = Duration::from_millis(300);
    let client = connect(options).await.expect("a connection");
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    cutter.swallow_next(true);
    client.refresh();
    for _ in 0..8 {
        client.invoke(&functions::help::GetNearestDc {}).await.expect("the old connection goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(client.status().connections, 1);
    cutter.swallow_next(false);
    while client.status().connections < 2 {
        client.refresh();
        client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer on either");
    }
}

#[tokio::test]
async fn a_connection_cut_anywhere_in_a_handshake_still_gives_a_key_and_an_answer() {
    // The answers of a handshake and of a first call take less than this together. Every byte is tried in memory, where the core
    // of both drivers is; here it is about sockets.
    let world = World::start();
    let cutter = Cutter::before(world.address());
    for cut in (0..1500).step_by(97) {
        cutter.cut_once_after(cut);
        let mut options = world.options_at(cutter.address());
        options.backoff.min_interval = Duration::ZERO;
        options.backoff.first = Duration::from_millis(1);
        let client = timeout(PATIENCE, connect(options)).await.expect("it ends");
        let client = client.unwrap_or_else(|error| panic!("cut after {cut}: {error}"));
        let call = client.invoke(&functions::help::GetNearestDc {});
        timeout(PATIENCE, call)
            .await
            .expect("it ends")
            .unwrap_or_else(|error| panic!("cut after {cut}: {error}"));
    }
}

#[tokio::test]
async fn a_connection_cut_at_every_byte_of_an_exchange_loses_no_call() {
    let world = World::start();
    let cutter = Cutter::before(world.address());
    let mut options = world.options_at(cutter.address());
    options.backoff.min_interval = Duration::ZERO;
    options.backoff.first = Duration::from_millis(1);
    let client = connect(options).await.expect("a connection");
    for cut in 0..200 {
        cutter.cut_open_after(cut);
        let call = client.invoke(&functions::help::GetNearestDc {});
        timeout(PATIENCE, call)
            .await
            .expect("it ends")
            .unwrap_or_else(|error| panic!("cut after {cut}: {error}"));
    }
}

#[tokio::test]
async fn a_call_that_may_not_be_repeated_fails_if_its_fate_is_unknown() {
    let mut world = World::start();
    let client = connected(&world).await;
    world.faults.next_query(Misbehaviour::Silence);
    let call = client.invoke_with(
        &functions::help::GetNearestDc {},
        &InvokeOptions::default().repeat(Repeat::Never).quick_ack(),
    );
    let mut call = call;
    call.received().await;
    assert!(!call.is_finished());
    let restart = tokio::task::spawn_blocking(move || {
        world.stop();
        world.start_again();
        world
    });
    let _world = restart.await.expect("it is restarted");
    let error = timeout(PATIENCE, call).await.expect("it ends").expect_err("nobody knows");
    let InvokeError::Failed(failure) = error else { panic!("{error:?}") };
    assert_eq!(failure, chappe_session::client::CallFailure::Uncertain);
}

#[tokio::test]
async fn a_dropped_call_is_forgotten_at_both_ends() {
    let world = World::start();
    let client = connected(&world).await;
    world.faults.next_query(Misbehaviour::Silence);
    let call = client.invoke(&functions::help::GetNearestDc {});
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(call);
    assert_eq!(client.status().pending_calls, 0);
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
}
