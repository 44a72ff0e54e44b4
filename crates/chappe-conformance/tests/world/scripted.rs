//! What happened to users of earlier versions, one test for each.

use chappe_conformance::world::{
    Call, Damage, Happening, InSleep, Options, Outcome, Profile, Report, SECOND, World,
};
use chappe_net::ConnectError;
use chappe_session::liveness::LivenessPolicy;

fn world(profile: Profile) -> World {
    World::new(Options::new(profile, 1))
}

fn connected(profile: Profile) -> World {
    let mut world = world(profile);
    assert!(world.connect(), "{:?}", world.connect_error());
    world
}

/// Ends a run, in which everything must have held.
fn finish(world: World) -> Report {
    world.finish().unwrap_or_else(|violation| panic!("{violation}"))
}

fn assert_answered(world: &World, number: u64) {
    assert_eq!(world.outcome(number), Some(Outcome::Answered), "{number}: {:?}", world.error(number));
}

fn connections(world: &World) -> u64 {
    world.report().connections
}

#[test]
fn f01_the_datacenter_does_not_close_a_connection_that_is_in_use() {
    for policy in [LivenessPolicy::INTERACTIVE, LivenessPolicy::BOT, LivenessPolicy::BATTERY] {
        let mut options = Options::new(Profile::Home, 1);
        options.client.liveness = policy;
        let mut world = World::new(options);
        assert!(world.connect());
        for _ in 0..360 {
            world.call(Call::SMALL);
            world.pass(5 * SECOND);
            world.happen(Happening::Push);
        }
        assert_eq!(connections(&world), 1);
        finish(world);
    }
}

#[test]
fn f02_a_part_that_comes_in_slowly_comes_in_whole() {
    for profile in [Profile::Edge, Profile::Gprs] {
        let mut world = connected(profile);
        let part = world.call(Call::SMALL.sized(0, 256 << 10).within(600)).expect("it is connected");
        world.pass_until_idle(600 * SECOND);
        assert_answered(&world, part);
        let carried = world.report().carried.1;
        assert!(carried < (256 << 10) * 21 / 20, "{profile:?}: {carried} bytes for 256 KiB");
        finish(world);
    }
}

#[test]
fn f05_a_damaged_file_is_told_and_the_login_stays_in_it() {
    let mut world = connected(Profile::Home);
    world.happen(Happening::DamageFile(Damage::Cut(100)));
    assert!(!world.connect());
    let error = world.connect_error().expect("it did not connect");
    assert!(matches!(error.cause(), ConnectError::Store(_)), "{error:?}");
    assert_eq!(world.saves(), 1, "the file was written over");
}

#[test]
fn f05_a_bit_that_flips_anywhere_in_the_file_does_not_lose_the_login() {
    for bit in (0..4096).step_by(37) {
        let mut world = connected(Profile::Lan);
        world.happen(Happening::DamageFile(Damage::Flip(bit)));
        if world.connect() {
            assert!(world.has_login_on_disk(), "bit {bit}");
        }
        assert_eq!(world.report().keys, 1, "bit {bit}: another key was made");
    }
}

#[test]
fn f07_after_a_sleep_or_a_step_of_the_servers_clock_updates_come_or_are_told_to_be_missing() {
    for length in [31, 400, 7200] {
        for clock in [InSleep::StandsStill, InSleep::GoesOn] {
            let mut world = connected(Profile::Home);
            world.call(Call::SMALL);
            world.pass(SECOND);
            world.happen(Happening::Sleep { length: length * SECOND, clock });
            world.plan(length * SECOND / 2, Happening::Push);
            world.pass(length * SECOND + SECOND);
            world.happen(Happening::Push);
            finish(world);
        }
    }
}

#[test]
fn f13_steps_of_the_wall_clock_do_not_disturb_the_exchange_of_keys() {
    let mut options = Options::new(Profile::Satellite, 1);
    options.has_key = false;
    let mut world = World::new(options);
    world.plan(1500 * SECOND / 1000, Happening::ClientClock { step: 31 * SECOND as i64 });
    world.plan(2500 * SECOND / 1000, Happening::ClientClock { step: -3600 * SECOND as i64 });
    assert!(world.connect(), "{:?}", world.connect_error());
    assert_eq!((connections(&world), world.report().keys), (1, 1));
    finish(world);
}

#[test]
fn f15_a_login_page_is_called_one() {
    let mut world = world(Profile::Captive);
    assert!(!world.connect());
    let error = world.connect_error().expect("it did not connect").report().to_string();
    assert!(error.contains("login in a browser") && error.contains("149.154.167.51:443"), "{error}");
}

#[test]
fn f19_calls_that_take_long_are_executed_once() {
    let mut world = connected(Profile::Home);
    let calls: Vec<_> = (0..600).filter_map(|_| world.call(Call::SMALL.taking(35_000))).collect();
    world.pass_until_idle(120 * SECOND);
    for call in &calls {
        assert_answered(&world, *call);
        assert_eq!(world.executions(*call), 1);
    }
    assert_eq!((calls.len(), connections(&world)), (600, 1));
    finish(world);
}
