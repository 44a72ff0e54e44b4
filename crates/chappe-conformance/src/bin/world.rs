//! Plays simulated worlds; `cargo xtask world` builds and runs it.

use core::sync::atomic::{AtomicU64, Ordering};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use chappe_conformance::world::{Profile, SECOND, Settings, run, table};
use clap::Parser;

/// Plays simulated worlds of a client and its datacenter.
#[derive(Parser)]
#[command(name = "cargo xtask world", bin_name = "cargo xtask world")]
struct Arguments {
    /// Plays one seed.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// How many seeds to play.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The network, instead of one that each seed picks.
    #[arg(long, value_parser = profile)]
    profile: Option<Profile>,
    /// Prints everything that happens.
    #[arg(long)]
    trace: bool,
    /// Prints what transfers take on every network, as a Markdown table.
    #[arg(long)]
    table: bool,
}

fn profile(name: &str) -> Result<Profile, String> {
    let names: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
    Profile::from_name(name).ok_or_else(|| format!("one of {}", names.join(", ")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = Settings { profile: arguments.profile, is_traced: arguments.trace };
    if arguments.table {
        print!("{}", table(arguments.seed.unwrap_or(1)));
        return ExitCode::SUCCESS;
    }
    if let Some(seed) = arguments.seed {
        return match run(seed, settings) {
            Ok(report) => {
                println!("{report:#?}");
                ExitCode::SUCCESS
            }
            Err(violation) => {
                println!("{violation}");
                ExitCode::FAILURE
            }
        };
    }
    play(arguments.from..arguments.from + arguments.seeds, settings)
}

/// Plays seeds on all processors.
fn play(seeds: core::ops::Range<u64>, settings: Settings) -> ExitCode {
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(0_u64);
    let (calls, steps, time) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    // A panic is told as what did not hold.
    std::panic::set_hook(Box::new(|_| {}));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            match run(seed, settings) {
                Ok(report) => {
                    calls.fetch_add(report.calls as u64, Ordering::Relaxed);
                    steps.fetch_add(report.steps, Ordering::Relaxed);
                    time.fetch_add(report.time / SECOND, Ordering::Relaxed);
                }
                Err(violation) => {
                    let mut failures = failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    *failures += 1;
                    println!("{violation}");
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!(
        "{} seeds, {failures} failed; {} calls, {} h, {} steps",
        seeds.end - seeds.start,
        calls.into_inner(),
        time.into_inner() / 3600,
        steps.into_inner()
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
