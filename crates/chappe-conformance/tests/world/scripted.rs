//! What happened to users of earlier versions, one test for each.

use core::time::Duration;

use chappe_conformance::world::{
    Call, Damage, Happening, InSleep, Options, Outcome, Profile, Report, SECOND, Transfer, World,
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
    if let Some(violation) = world.violation() {
        panic!("{violation}");
    }
    assert_eq!(world.outcome(number), Some(Outcome::Answered), "{number}: {:?}", world.error(number));
}

fn assert_all_answered(world: &World, calls: &[u64]) {
    for call in calls {
        assert_answered(world, *call);
    }
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

#[test]
fn f03_parts_that_were_queued_while_offline_do_not_end_the_first_connection() {
    let mut world = connected(Profile::Adsl);
    world.happen(Happening::Outage { length: 30 * SECOND });
    let parts: Vec<_> =
        (0..4).filter_map(|_| world.call(Call::SMALL.sized(512 << 10, 0).within(600))).collect();
    world.pass_until_idle(600 * SECOND);
    assert_all_answered(&world, &parts);
    let carried = world.report().carried.0;
    assert!(carried < (4 << 19) * 11 / 10, "{carried} bytes for 2 MiB");
    finish(world);
}

#[test]
fn f03_parts_go_up_over_one_connection_through_something_that_takes_every_byte() {
    for profile in [Profile::Adsl, Profile::Proxy, Profile::Edge] {
        let mut options = Options::new(profile, 1);
        options.client.timing.call = None;
        let mut world = World::new(options);
        assert!(world.connect());
        let parts: Vec<_> =
            (0..2).filter_map(|_| world.call(Call::SMALL.sized(512 << 10, 0).within(1200))).collect();
        world.pass_until_idle(1200 * SECOND);
        assert_all_answered(&world, &parts);
        let report = world.report();
        assert_eq!(report.connections, 1, "{profile:?}");
        assert!(report.carried.0 < (1 << 20) * 21 / 20, "{profile:?}: {} bytes for 1 MiB", report.carried.0);
        finish(world);
    }
}

#[test]
fn f04_a_key_that_the_datacenter_lost_is_given_up_in_a_bounded_time_and_the_next_start_makes_another() {
    let mut world = connected(Profile::Home);
    world.happen(Happening::Kill);
    world.happen(Happening::LoseKeys);
    let begun = world.time();
    let mut starts = 0;
    while !world.connect() {
        starts += 1;
        assert!(starts < 4, "{:?}", world.connect_error());
        world.pass(SECOND);
    }
    let took = (world.time() - begun) / SECOND;
    assert!(took <= 180, "{took} s");
    // The temporary key that proved the loss is there as well.
    assert!(world.report().keys <= 2);
    finish(world);
}

#[test]
fn f04_a_key_that_is_lost_while_the_client_is_connected_is_told_as_the_end_of_the_login() {
    let mut world = connected(Profile::Home);
    world.call(Call::SMALL);
    world.pass(SECOND);
    world.happen(Happening::LoseKeys);
    world.call(Call::SMALL);
    world.pass(180 * SECOND);
    assert!(world.troubles().iter().any(|trouble| trouble.is_terminal()), "{:?}", world.troubles());
    finish(world);
}

#[test]
fn f06_a_full_disk_is_told_when_a_key_is_new_and_later() {
    let mut options = Options::new(Profile::Home, 1);
    options.has_key = false;
    let mut world = World::new(options);
    world.happen(Happening::Disk { is_full: true });
    assert!(!world.connect(), "the login would be lost with the process");
    let error = world.connect_error().expect("it did not connect");
    assert!(matches!(error.cause(), ConnectError::Store(_)), "{error:?}");

    world.happen(Happening::Disk { is_full: false });
    assert!(world.connect());
    world.happen(Happening::Disk { is_full: true });
    // A new salt is saved by the hour.
    for _ in 0..12 {
        world.call(Call::SMALL);
        world.pass(600 * SECOND);
    }
    assert!(world.status().is_some_and(|status| status.store_error.is_some()));
    assert!(world.has_login_on_disk());
    world.happen(Happening::Disk { is_full: false });
    world.pass(400 * SECOND);
    assert!(world.status().is_some_and(|status| status.store_error.is_none()));
    finish(world);
}

#[test]
fn f20_more_calls_than_the_datacenter_takes_at_once_are_answered_all_the_same() {
    let mut world = connected(Profile::Home);
    let calls: Vec<_> = (0..1500).filter_map(|_| world.call(Call::SMALL.taking(1000))).collect();
    world.pass_until_idle(120 * SECOND);
    let failed = calls.iter().filter(|call| world.outcome(**call) != Some(Outcome::Answered));
    let failed: Vec<_> = failed.map(|call| world.error(*call)).collect();
    assert!(failed.is_empty(), "{} failed, the first: {:?}", failed.len(), failed[0]);
    assert!(calls.iter().all(|call| world.executions(*call) == 1));
    finish(world);
}

#[test]
fn f21_a_call_that_waits_for_the_network_goes_out_within_seconds_of_its_return() {
    for seed in 0..20 {
        let mut world = World::new(Options::new(Profile::Home, seed));
        assert!(world.connect());
        world.happen(Happening::Reset);
        world.happen(Happening::Outage { length: 30 * SECOND });
        let call = world.call(Call::SMALL).expect("it was connected");
        world.pass_until_idle(60 * SECOND);
        assert_answered(&world, call);
        let took = world.took(call).expect("it has ended");
        assert!(took <= 35 * SECOND, "seed {seed}: {} ms after the return", (took - 30 * SECOND) / 1_000_000);
        finish(world);
    }
}

#[test]
fn a_connection_that_is_dead_is_noticed_in_the_time_that_the_policy_promises() {
    for (policy, longest) in
        [(LivenessPolicy::INTERACTIVE, 10), (LivenessPolicy::BOT, 32), (LivenessPolicy::BATTERY, 62)]
    {
        let mut options = Options::new(Profile::Home, 1);
        options.client.liveness = policy;
        let mut world = World::new(options);
        assert!(world.connect());
        world.pass(3 * SECOND);
        world.happen(Happening::Forget);
        let call = world.call(Call::SMALL.within(120)).expect("it was connected");
        world.pass_until_idle(120 * SECOND);
        assert_answered(&world, call);
        let took = world.took(call).expect("it has ended");
        assert!(took <= longest * SECOND, "{took} ns");
        finish(world);
    }
}

#[test]
fn a_connection_that_died_while_the_machine_slept_is_noticed_at_once() {
    for clock in [InSleep::StandsStill, InSleep::GoesOn] {
        for has_call in [false, true] {
            let mut world = connected(Profile::Home);
            world.pass(3 * SECOND);
            world.happen(Happening::Sleep { length: 600 * SECOND, clock });
            world.happen(Happening::Forget);
            world.pass(600 * SECOND);
            if has_call {
                world.call(Call::SMALL);
            }
            // Without a call, a driver whose timer stood still looks at the clocks after half a minute.
            world.pass(if has_call { 16 } else { 46 } * SECOND);
            assert_eq!(connections(&world), 2, "{clock:?}, {has_call}");
            finish(world);
        }
    }
}

#[test]
fn a_transfer_takes_no_longer_and_carries_no_more_than_it_may() {
    for profile in
        [Profile::Lan, Profile::Home, Profile::Adsl, Profile::Satellite, Profile::Gprs, Profile::Proxy]
    {
        for is_upload in [false, true] {
            let figures = Transfer::of(profile, is_upload).run(profile, 1);
            let figures = figures.unwrap_or_else(|violation| panic!("{violation}"));
            assert!(figures.is_met(), "{figures:?}");
        }
    }
}

#[test]
fn an_update_arrives_within_a_round_trip_and_the_time_of_the_line() {
    let mut world = connected(Profile::Satellite);
    world.call(Call::SMALL);
    world.pass(10 * SECOND);
    for _ in 0..20 {
        world.happen(Happening::Push);
        let number = world.report().updates;
        world.pass(400_000_000);
        assert!(world.has_update(number));
        world.pass(7 * SECOND);
    }
    finish(world);
}

#[test]
fn the_timer_of_a_session_that_was_left_does_not_close_the_connection() {
    let mut options = Options::new(Profile::Home, 1);
    options.client.liveness = LivenessPolicy::BATTERY;
    let mut world = World::new(options);
    assert!(world.connect());
    world.pass(60 * SECOND);
    world.happen(Happening::ServerClock { step: -67_480 * SECOND as i64 });
    for _ in 0..20 {
        world.call(Call::SMALL);
        world.pass(60 * SECOND);
    }
    assert!(connections(&world) <= 2, "{}", connections(&world));
    finish(world);
}

#[test]
fn a_late_frame_of_a_connection_that_was_given_up_does_not_run_a_call_twice() {
    for seed in 0..40 {
        let mut world = World::new(Options::new(Profile::Gprs, seed));
        assert!(world.connect());
        for _ in 0..3 {
            world.call(Call::SMALL);
        }
        world.happen(Happening::Outage { length: 40 * SECOND });
        world.happen(Happening::Network { profile: Profile::Home, keeps_address: true });
        finish(world);
    }
}

#[test]
fn f04b_short_lived_temporary_keys_are_no_storm() {
    let mut options = Options::new(Profile::Home, 1);
    options.client.temporary_keys = Some(Duration::from_secs(2 * 3600));
    let mut world = World::new(options);
    assert!(world.connect());
    for _ in 0..48 {
        world.call(Call::SMALL);
        world.pass(600 * SECOND);
    }
    let report = world.report();
    assert!(report.bindings <= 8 && report.connections <= 8, "in 8 h: {report:?}");
    finish(world);
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
