//! Client and server sessions against each other, on a bad link and with bad clocks, from a seed.
//!
//! Every run is decided by its seed alone. What must hold in each:
//!
//! - every call ends exactly once, with a result or a typed failure;
//! - a call that may not be repeated is executed at most once;
//! - an answer belongs to its call;
//! - no update is lost without an event that says so, and none comes twice;
//! - tables stay within their limits, and nothing is pending in the end.
//!
//! Ten thousand runs are made, in quarters, so that a runner of tests uses all processors;
//! `CHAPPE_SIM_SEEDS=100000` makes that many. A failure names the command that repeats the run with a trace.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::needless_pass_by_value,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a program of its own: it has std, and fails by panicking"
)]

mod app;
mod datacenter;
mod dice;
mod keys;
mod link;
mod neighbours;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Scenario, World};

/// Runs of all scenarios together unless `CHAPPE_SIM_SEEDS` says otherwise; a month is extra.
const SEEDS: u64 = 10_000;

/// Scenarios that share them, each in as many parts.
const PARTS: u64 = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs the seeds of one part of a scenario, or the one seed that is asked for.
fn run_part(scenario: Scenario, part: u64, test: &str) {
    let each = number("CHAPPE_SIM_SEEDS").unwrap_or(SEEDS) / (PARTS * PARTS);
    run(scenario, part * each..(part + 1) * each, test);
}

fn run(scenario: Scenario, seeds: core::ops::Range<u64>, test: &str) {
    if let Some(seed) = number("CHAPPE_SIM_SEED") {
        println!("{scenario:?}, seed {seed}");
        World::new(scenario, seed, true).run();
        return;
    }
    let fails = |seed: &u64| {
        let run = AssertUnwindSafe(|| World::new(scenario, *seed, false).run());
        catch_unwind(run).is_err()
    };
    let failed: Vec<u64> = seeds.filter(fails).take(20).collect();
    let Some(first) = failed.first() else { return };
    panic!(
        "seeds {failed:?} of {scenario:?} failed; to repeat the first: CHAPPE_SIM_SEED={first} cargo test \
         -p chappe-conformance --test session_simulation -- --exact --nocapture {test}"
    );
}

macro_rules! parts {
    ($($name:ident: $scenario:ident;)*) => {$(
        mod $name {
            use super::{Scenario, run_part};

            #[test]
            fn first_quarter() {
                run_part(Scenario::$scenario, 0, concat!(stringify!($name), "::first_quarter"));
            }

            #[test]
            fn second_quarter() {
                run_part(Scenario::$scenario, 1, concat!(stringify!($name), "::second_quarter"));
            }

            #[test]
            fn third_quarter() {
                run_part(Scenario::$scenario, 2, concat!(stringify!($name), "::third_quarter"));
            }

            #[test]
            fn last_quarter() {
                run_part(Scenario::$scenario, 3, concat!(stringify!($name), "::last_quarter"));
            }
        }
    )*};
}

parts! {
    calls_and_updates_survive_a_bad_link: BadLink;
    calls_and_updates_survive_bad_clocks: BadClocks;
    calls_and_updates_survive_restarts_of_either_side: Restarts;
    calls_and_updates_survive_changes_of_temporary_keys: TemporaryKeys;
}

#[test]
fn a_session_lives_for_a_month() {
    run(Scenario::Month, 0..2, "a_session_lives_for_a_month");
}
