//! Strangers who make keys, and keys that are over.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use chappe_server::{Budgets, KeyState, KeyStatus};
use chappe_session::server::{Policy, SaltSchedule};

use crate::pen::ANSWER;
use crate::server::{Counting, End, Hostile, World};
use crate::{QUERY, key};

/// The n-th stranger, each from a network of its own.
fn stranger(number: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1).into()
}

#[test]
fn keys_that_strangers_make_do_not_log_anybody_out() {
    let budgets = Budgets::default().with(|budgets| {
        budgets.unused_keys = 4;
        budgets.used_keys = 4;
        budgets.used_keys_per_network = 2;
    });
    let mut world = World::configured(Policy::Strict, Counting::default(), |options| {
        options.budgets = budgets;
    });
    // The world has two keys of its own.
    let user = world.make_key([192, 0, 2, 1].into());
    world.honest_call(&user, "before");
    for number in 0..12 {
        world.make_key(stranger(number));
    }
    assert_eq!(world.engine.keys().len(), 3 + 4, "four of the strangers' keys wait for their first use");
    for _ in 0..6 {
        let used = world.make_key(stranger(100));
        world.honest_call(&used, "a stranger");
    }
    world.honest_call(&user, "after strangers of other networks, and of one that uses its keys");
    world.millis += 60_000;
    world.honest_call(&user, "a minute later");
    assert!(world.engine.pin_key(user.id()));
    for number in 200..206 {
        let used = world.make_key(stranger(number));
        world.honest_call(&used, "a stranger");
    }
    world.honest_call(&user, "after strangers of many networks that use their keys, since it is pinned");
}

#[test]
fn sec_127_nothing_is_sent_or_taken_under_a_temporary_key_that_has_ended() {
    let mut world = World::new();
    let expires_at = world.now().unix.saturating_add(Duration::from_secs(100));
    let bound_to = Some(key(2).id());
    let kind = KeyStatus::Temporary { expires_at, bound_to };
    world.engine.add_key(KeyState::new(key(5), kind));
    let mut client = Hostile::new(7);
    client.key = key(5);
    client.salt = SaltSchedule::new([9; 32]).current(client.key.id(), world.now().unix);
    let mut connection = world.connect();
    let frame = client.query(&world, &QUERY);
    assert!(!world.show(&mut connection, frame).frames.is_empty());
    let session = connection.sessions()[0].clone();
    world.millis += 99_000;
    session.push(&ANSWER).unwrap();
    assert_eq!(world.drain(&mut connection).frames.len(), 1);
    world.millis += 1_000;
    session.push(&ANSWER).unwrap();
    assert!(world.drain(&mut connection).frames.is_empty(), "the key has ended");
    assert!(!session.is_connected() && connection.poll_timeout().is_none());
    let executed = world.executed();
    let frame = client.query(&world, &QUERY);
    assert_eq!(world.show(&mut connection, frame).end, Some(End::Error(-404)));
    assert_eq!(world.executed(), executed);
    world.survives("a temporary key that has ended");
}

#[test]
fn a_key_that_is_forgotten_sends_no_updates_to_whoever_has_it() {
    let mut world = World::new();
    let expires_at = world.now().unix.saturating_add(Duration::from_secs(1000));
    let kind = KeyStatus::Temporary { expires_at, bound_to: Some(key(2).id()) };
    for (seed, forgotten) in [(1, key(1)), (5, key(2))] {
        world.engine.add_key(KeyState::new(key(2), KeyStatus::Permanent));
        world.engine.add_key(KeyState::new(key(5), kind));
        let mut client = Hostile::new(7);
        client.key = key(seed);
        client.salt = SaltSchedule::new([9; 32]).current(client.key.id(), world.now().unix);
        let mut connection = world.connect();
        let frame = client.query(&world, &QUERY);
        world.show(&mut connection, frame);
        let session = connection.sessions()[0].clone();
        assert!(world.engine.forget_key(forgotten.id()), "a logout elsewhere");
        session.push(&ANSWER).unwrap();
        assert!(world.drain(&mut connection).frames.is_empty(), "{seed}");
    }
}

#[test]
fn sec_056_a_key_whose_id_is_taken_is_not_given_out() {
    // The same randomness on both sides makes the same key again.
    let made = World::new().make_key([192, 0, 2, 1].into());
    assert_eq!(World::new().make_key([192, 0, 2, 1].into()).id(), made.id());
    let mut world = World::new();
    world.engine.add_key(KeyState::new(made.clone(), KeyStatus::Permanent));
    let other = world.make_key([192, 0, 2, 1].into());
    assert_ne!(other.id(), made.id());
    world.honest_call(&made, "the key that was there first");
    world.honest_call(&other, "the other one");
}
