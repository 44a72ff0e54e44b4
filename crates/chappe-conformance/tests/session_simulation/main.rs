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
//! `CHAPPE_SIM_SEED=17 cargo test -p chappe-conformance --test session_simulation -- --nocapture` repeats
//! one run with a trace; `CHAPPE_SIM_SEEDS=100000` makes that many.

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
mod link;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Scenario, World};

/// Runs per scenario unless `CHAPPE_SIM_SEEDS` says otherwise.
const SEEDS: u64 = 250;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run_many(scenario: Scenario, seeds: u64) {
    // Four scenarios share what is asked for; a month takes its time.
    let asked = number("CHAPPE_SIM_SEEDS").filter(|_| scenario != Scenario::Month);
    if let Some(seed) = number("CHAPPE_SIM_SEED") {
        println!("{scenario:?}, seed {seed}");
        World::new(scenario, seed, true).run();
        return;
    }
    let seeds = asked.map_or(seeds, |total| total / 4);
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let run = AssertUnwindSafe(|| World::new(scenario, seed, false).run());
                    if catch_unwind(run).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    assert!(
        failed.is_empty(),
        "{} seeds of {scenario:?} failed: {:?}",
        failed.len(),
        &failed[..failed.len().min(20)]
    );
}

#[test]
fn calls_and_updates_survive_a_bad_link() {
    run_many(Scenario::BadLink, SEEDS);
}

#[test]
fn calls_and_updates_survive_bad_clocks() {
    run_many(Scenario::BadClocks, SEEDS);
}

#[test]
fn calls_and_updates_survive_restarts_of_either_side() {
    run_many(Scenario::Restarts, SEEDS);
}

#[test]
fn calls_and_updates_survive_changes_of_temporary_keys() {
    run_many(Scenario::TemporaryKeys, SEEDS);
}

#[test]
fn a_session_lives_for_a_month() {
    run_many(Scenario::Month, 2);
}
