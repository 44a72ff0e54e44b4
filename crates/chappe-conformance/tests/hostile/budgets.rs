//! Clients with a key who make the server hold or do as much as they can.

use chappe_crypto::rng::Drbg;
use chappe_framing::{MsgId, MsgOrigin};
use chappe_server::{Context, Handler, KeyState, KeyStatus, QueryResponse, Router};
use chappe_session::server::{Policy, SaltSchedule};
use rand_core::Rng as _;

use crate::pen::ANSWER;
use crate::server::{End, Hostile, World};
use crate::{QUERY, container, gzip_packed, key};

const REFUSED: Option<End> = Some(End::Error(-429));

/// Answers honest queries as usual, and others with as many bytes as they say, which gzip makes no smaller.
struct Much;

impl Handler for Much {
    fn query(&self, _: &Context<'_>, body: &[u8]) -> QueryResponse {
        if body == QUERY {
            return QueryResponse::Answer(ANSWER.to_vec());
        }
        let len = u32::from_le_bytes(body[4..8].try_into().unwrap());
        let mut bytes = vec![0; len as usize];
        Drbg::from_seed([5; 32]).fill_bytes(&mut bytes);
        QueryResponse::Answer(bytes)
    }
}

fn much(len: u32) -> Vec<u8> {
    [&0x1234_5678_u32.to_le_bytes()[..], &len.to_le_bytes()].concat()
}

#[test]
fn answers_that_nobody_acknowledges_are_bounded_by_key_and_go_with_their_session() {
    const BUDGET: usize = 4 << 20;
    let mut world = World::configured(Policy::Strict, Much, |options| {
        options.budgets.unacked_bytes_per_key = BUDGET;
    });
    let cost = allocation_counter::measure(|| {
        let mut refused = 0;
        for session in 0..40 {
            let mut hostile = Hostile::new(100 + session);
            let mut connection = world.connect();
            for _ in 0..4 {
                let frame = hostile.query(&world, &much(256 << 10));
                if world.show(&mut connection, frame).end.is_some() {
                    refused += 1;
                    break;
                }
            }
            world.millis += 100;
        }
        assert!(refused > 30, "{refused}");
    });
    assert!(cost.bytes_current <= BUDGET as i64 + (2 << 20), "{} bytes stay", cost.bytes_current);
    assert!(world.engine.counters().unacked > 30);
    // The other key is served, and this one again when its sessions have ended.
    world.millis += 10;
    world.honest_call(&key(2), "another key");
    let (mut client, mut connection) = (Hostile::new(7), world.connect());
    let frame = client.query(&world, &much(64 << 10));
    let first = world.show(&mut connection, frame);
    world.millis += 600_000;
    world.engine.handle_timeout(world.now());
    let (mut client, mut connection) = (Hostile::new(8), world.connect());
    client.salt = SaltSchedule::new([9; 32]).current(key(1).id(), world.now().unix);
    let frame = client.query(&world, &much(256 << 10));
    assert!(!world.show(&mut connection, frame).frames.is_empty(), "{first:?}");
}

#[test]
fn a_server_that_holds_too_much_goes_on_for_those_who_hold_little() {
    let mut world = World::configured(Policy::Strict, Much, |options| {
        options.budgets.unacked_bytes = 2 << 20;
    });
    let (mut hostile, mut connection) = (Hostile::new(7), world.connect());
    let ends: Vec<_> = (0..12)
        .map(|_| {
            let frame = hostile.query(&world, &much(256 << 10));
            world.show(&mut connection, frame).end
        })
        .collect();
    assert!(ends[..7].iter().all(Option::is_none) && ends.contains(&Some(End::Silent)), "{ends:?}");
    world.survives("too much held");
}

#[test]
fn a_session_without_a_connection_ends_after_ten_minutes_and_runs_nothing_again() {
    let mut world = World::new();
    let mut hostile = Hostile::new(7);
    let query = hostile.query(&world, &QUERY);
    let mut connection = world.connect();
    world.show(&mut connection, query.clone());
    world.millis += 299_000;
    let (mut second, late) = (world.connect(), hostile.query(&world, &QUERY));
    world.show(&mut second, late.clone());
    drop(connection);
    let state = world.engine.key(key(1).id(), world.now().unix).unwrap();
    let pass = |world: &mut World, seconds: u64| {
        world.millis += seconds * 1000;
        world.engine.handle_timeout(world.now());
        state.sessions().len()
    };
    assert_eq!(pass(&mut world, 700), 1, "it has a connection");
    second.handle_timeout(world.now());
    drop(second);
    assert_eq!((pass(&mut world, 599), pass(&mut world, 1)), (1, 0));
    let executed = world.executed();
    let mut again = world.connect();
    world.show(&mut again, late);
    assert_eq!(world.executed(), executed);
}

#[test]
fn bombs_under_one_key_cost_no_more_than_the_budget() {
    let mut world = World::new();
    let bomb = gzip_packed(&vec![0; (16 << 20) - 64]);
    assert!(bomb.len() < 20_000);
    let mut ends = Vec::new();
    for session in 0..20 {
        let mut hostile = Hostile::new(100 + session);
        let mut connection = world.connect();
        let frame = hostile.query(&world, &bomb);
        ends.push(world.show(&mut connection, frame).end);
    }
    assert!(ends[..2].iter().all(Option::is_none), "{ends:?}");
    assert!(ends[3..].iter().all(|end| *end == REFUSED), "{ends:?}");
    assert_eq!(world.engine.counters().inflated, 17);
    // Damaged ones cost as much.
    world.millis += 10_000;
    let damaged = gzip_packed(&vec![0; 64 << 20]);
    let ends: Vec<_> = (0..20)
        .map(|session| {
            let (mut hostile, mut connection) = (Hostile::new(200 + session), world.connect());
            let frame = hostile.query(&world, &damaged);
            world.show(&mut connection, frame).end
        })
        .collect();
    assert!(ends.iter().filter(|end| **end == REFUSED).count() >= 16, "{ends:?}");
    world.honest_call(&key(2), "another key");
    world.millis += 10_000;
    world.survives("bombs, when the time of what they cost has passed");
}

#[test]
fn bombs_under_many_keys_of_one_network_cost_no_more_than_its_budget() {
    let mut world = World::configured(Policy::Strict, Much, |options| {
        options.budgets.inflated_per_second_per_network = 8 << 20;
        options.budgets.inflated_at_once_per_network = 32 << 20;
    });
    let bomb = gzip_packed(&[&much(4)[..], &vec![0; (8 << 20) - 8]].concat());
    let throw = |world: &mut World, number: u64, address: [u8; 4], body: &[u8]| {
        let key = key(number);
        world.engine.add_key(KeyState::new(key.clone(), KeyStatus::Permanent));
        let mut hostile = Hostile::new(7);
        hostile.salt = SaltSchedule::new([9; 32]).current(key.id(), world.now().unix);
        hostile.key = key;
        let (frame, mut connection) = (hostile.query(world, body), world.connect_from(address.into()));
        world.show(&mut connection, frame).end
    };
    let ends: Vec<_> = (0..12).map(|number| throw(&mut world, 100 + number, [192, 0, 2, 1], &bomb)).collect();
    assert!(ends[..4].iter().all(Option::is_none), "{ends:?}");
    assert!(ends[6..].iter().all(|end| *end == REFUSED), "{ends:?}");
    assert_eq!(throw(&mut world, 200, [192, 0, 2, 1], &QUERY), None, "nothing is packed");
    assert_eq!(throw(&mut world, 201, [192, 0, 2, 2], &bomb), None, "another network");
    world.millis += 2000;
    assert_eq!(throw(&mut world, 202, [192, 0, 2, 1], &bomb), None, "it has paid");
}

#[test]
fn bombs_within_wrappers_cost_as_much_as_others_damaged_or_not() {
    let good = gzip_packed(&vec![0; (16 << 20) - 64]);
    let damaged = {
        let mut bytes = good.clone();
        let at = bytes.len() - 9;
        bytes[at] ^= 1;
        bytes
    };
    for bomb in [good, damaged] {
        let mut world = World::serving(Policy::Lenient, Router::new().into_handler());
        let wrapped = [&0xda9b_0d0d_u32.to_le_bytes()[..], &200_u32.to_le_bytes(), &bomb].concat();
        let (mut hostile, mut connection) = (Hostile::new(7), world.connect());
        let mut ends = Vec::new();
        for _ in 0..8 {
            let frame = hostile.query(&world, &wrapped);
            ends.push(world.show(&mut connection, frame).end);
        }
        assert!(ends[0].is_none() && ends.contains(&REFUSED), "{ends:?}");
    }
}

#[test]
fn sessions_begun_to_have_their_first_frames_served_are_bounded() {
    let mut world = World::new();
    let salts = [&0xb921_bd04_u32.to_le_bytes()[..], &64_u32.to_le_bytes()].concat();
    let begin = |world: &mut World, session: i64| {
        let mut hostile = Hostile::new(session);
        let start = MsgId::at(world.now().unix, MsgOrigin::Client).to_raw();
        let outer = MsgId::from_raw(start + 128 * session);
        let messages: Vec<_> = (0..16).map(|at| (outer.to_raw() - 4 * (16 - at), 0, 8, &salts[..])).collect();
        let frame = hostile.frame(outer, 0, &container(16, &messages));
        let mut connection = world.connect();
        world.show(&mut connection, frame).end
    };
    world.millis += 1000;
    let ends: Vec<_> = (0..1000).map(|session| begin(&mut world, 100 + session)).collect();
    assert_eq!(ends.iter().filter(|end| **end == REFUSED).count(), 1000 - 256);
    assert_eq!(world.engine.counters().sessions, 1000 - 256);
    world.millis += 1000;
    let ends: Vec<_> = (0..100).map(|session| begin(&mut world, 2000 + session)).collect();
    assert_eq!(ends.iter().filter(|end| end.is_none()).count(), 16);
    world.millis += 1000;
    world.survives("sessions begun without number");
}
