//! Datacenters that are reached by the names of their hosts.

use core::time::Duration;

use chappe_net::{Address, Blame, ConnectOptions, blocking, tokio::connect};
use chappe_tl_api::functions::help::GetNearestDc;

use crate::world::World;

fn named(world: &World, host: &str) -> ConnectOptions {
    let mut options = world.options();
    options.candidates[0].address = Address::of(host, world.address().port());
    options
}

#[tokio::test]
async fn a_datacenter_is_reached_by_the_name_of_its_host_over_both_drivers() {
    let mut world = World::start();
    let client = connect(named(&world, "localhost")).await.expect("a connection");
    client.invoke(&GetNearestDc {}).await.expect("an answer");
    // The next connection looks the name up again.
    world.stop();
    world.start_again();
    client.invoke(&GetNearestDc {}).await.expect("an answer");
    client.close().await;

    let client = blocking::connect(named(&world, "localhost")).expect("a connection");
    client.invoke(&GetNearestDc {}).wait().expect("an answer");
    client.close().wait();
}

#[tokio::test]
async fn a_name_without_an_address_is_named_in_the_error() {
    let world = World::start();
    let mut options = named(&world, "datacenter.invalid");
    options.backoff.first_attempts = 1;
    options.candidates[0].dialling.connect_timeout = Duration::from_secs(3);
    for error in [
        connect(options.clone()).await.expect_err("there is no such host"),
        blocking::connect(options).expect_err("there is no such host"),
    ] {
        assert_eq!((error.blame(), error.is_fatal()), (Blame::Network, false), "{}", error.report());
        assert!(error.to_string().contains("datacenter.invalid:"), "{}", error.report());
    }
}
