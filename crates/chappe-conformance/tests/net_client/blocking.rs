//! The blocking driver: the same core, so only what belongs to threads is tried here.

use core::time::Duration;
use std::thread;

use chappe_loopback::Fault;
use chappe_net::blocking::connect;
use chappe_net::{Gap, InvokeError, InvokeOptions, Update};
use chappe_tl_api::functions;
use chappe_transport::TransportErrorCode;

use crate::world::{Cutter, Hole, World};

#[test]
fn a_thread_connects_calls_and_closes() {
    let world = World::start();
    let client = connect(world.options()).expect("a connection");
    let config = client.invoke(&functions::help::GetConfig {}).wait().expect("an answer");
    assert_eq!(config.get().this_dc, i32::from(world.datacenter().dc().number()));
    client.close().wait();
    let after = client.invoke(&functions::help::GetConfig {}).wait();
    assert!(matches!(after, Err(InvokeError::Closed)), "{after:?}");
}

#[test]
fn threads_call_while_the_datacenter_is_killed_and_restarted() {
    let mut world = World::start();
    let client = connect(world.options()).expect("a connection");
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || {
                for _ in 0..30 {
                    client.invoke(&functions::help::GetNearestDc {}).wait().expect("an answer in the end");
                }
            })
        })
        .collect();
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(5));
        world.stop();
        world.start_again();
    }
    assert!(callers.into_iter().all(|caller| caller.join().is_ok()));
}

#[test]
fn a_call_of_a_thread_survives_every_transport_error_and_a_cut_at_any_byte() {
    let world = World::start();
    let cutter = Cutter::before(world.address());
    let mut options = world.options_at(cutter.address());
    options.backoff.min_interval = Duration::ZERO;
    options.backoff.first = Duration::from_millis(1);
    let client = connect(options).expect("a connection");
    let call = || client.invoke(&functions::help::GetNearestDc {}).wait();
    for code in [-404, -429, -444] {
        world.faults.next(Fault::Error(TransportErrorCode::from_raw(code)));
        call().unwrap_or_else(|error| panic!("{code}: {error}"));
    }
    assert!(world.faults.is_used_up());
    for cut in 0..160 {
        cutter.cut_open_after(cut);
        call().unwrap_or_else(|error| panic!("cut after {cut}: {error}"));
    }
}

#[test]
fn a_thread_makes_its_key_over_the_next_connection_where_one_was_cut() {
    let world = World::start();
    let cutter = Cutter::before(world.address());
    for cut in (0..1300).step_by(211) {
        cutter.cut_once_after(cut);
        let mut options = world.options_at(cutter.address());
        options.backoff.min_interval = Duration::ZERO;
        options.backoff.first = Duration::from_millis(1);
        let client = connect(options).unwrap_or_else(|error| panic!("cut after {cut}: {error}"));
        client
            .invoke(&functions::help::GetNearestDc {})
            .wait()
            .unwrap_or_else(|error| panic!("{cut}: {error}"));
    }
}

#[test]
fn a_call_can_be_looked_at_waited_for_and_given_up() {
    let world = World::start();
    let client = connect(world.options()).expect("a connection");
    client.invoke(&functions::help::GetNearestDc {}).wait().expect("an answer");
    world.faults.next_query(chappe_loopback::Misbehaviour::Silence);
    let mut silent = client.invoke(&functions::help::GetNearestDc {});
    assert!(silent.wait_timeout(Duration::from_millis(20)).is_none());
    assert!(!silent.is_finished());
    silent.cancel();
    assert_eq!(client.status().pending_calls, 0);
    let many: Vec<_> = (0..50).map(|_| client.invoke(&functions::help::GetNearestDc {})).collect();
    assert!(many.into_iter().all(|call| call.wait().is_ok()));
    world.faults.next_query(chappe_loopback::Misbehaviour::Silence);
    let soon = InvokeOptions::default().timeout(Duration::from_millis(20));
    let late = client.invoke_with(&functions::help::GetNearestDc {}, &soon).wait();
    assert!(matches!(late, Err(InvokeError::TimedOut { connection: None })), "{late:?}");
}

#[test]
fn updates_come_to_a_thread() {
    let world = World::start();
    let client = connect(world.options()).expect("a connection");
    let mut updates = client.updates();
    assert_eq!(updates.wait(), Some(Update::Gap(Gap::NewSession)));
    world.datacenter().push(&[1; 8]);
    assert!(matches!(updates.wait(), Some(Update::Object(object)) if object.bytes == [1; 8]));
    drop(client);
    assert_eq!(updates.wait(), None, "the last handle closes the client");
}

#[test]
fn an_address_that_says_nothing_is_left_for_one_that_answers() {
    let world = World::start();
    let hole = Hole::open();
    let mut options = world.options_at(hole.address());
    options.candidates.extend(world.options().candidates);
    let client = connect(options).expect("the second candidate answers");
    client.invoke(&functions::help::GetNearestDc {}).wait().expect("an answer");
}
