//! Seeds of the fuzzing targets, and an engine for machines without another.
//!
//! Started by `cargo xtask fuzz`, which also knows how to use libFuzzer.
#![forbid(unsafe_code)]

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use chappe_conformance::fuzz::{self, Stop, Target};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Prints the name, the longest input and the subject of each target.
    List,
    /// Writes the seeds of every target to `FOLDER/TARGET/`.
    Seeds {
        /// Where to.
        folder: PathBuf,
    },
    /// Tries one input, as a reproduction.
    Try {
        /// The target.
        target: String,
        /// The file with the input.
        input: PathBuf,
    },
    /// Mutates seeds at random.
    Run {
        /// The target.
        target: String,
        /// For how long.
        #[arg(long)]
        seconds: u64,
        /// Where seeds and inputs that were found before lie.
        #[arg(long)]
        corpus: PathBuf,
        /// Where to put an input that fails.
        #[arg(long)]
        artifacts: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::List => {
            seeds::list();
            Ok(())
        }
        Task::Seeds { folder } => seeds::write_all(&folder),
        Task::Try { target, input } => {
            (find(&target)?.run)(&fs::read(input)?);
            Ok(())
        }
        Task::Run { target, seconds, corpus, artifacts } => {
            run(find(&target)?, Duration::from_secs(seconds), &corpus, &artifacts)
        }
    }
}

fn find(name: &str) -> Result<&'static Target> {
    fuzz::find(name).with_context(|| format!("there is no target {name}"))
}

/// Prints the number of inputs and the longest time of one, in the form that `xtask` reads.
fn run(target: &Target, time: Duration, corpus: &Path, artifacts: &Path) -> Result<()> {
    let mut inputs = (target.seeds)();
    if let Ok(entries) = fs::read_dir(corpus.join(target.name)) {
        for entry in entries {
            inputs.push(fs::read(entry?.path())?);
        }
    }
    // Another run tries other inputs; the number makes a run repeatable.
    let first = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |now| now.as_secs() << 32);
    eprintln!("{}: from input {first}", target.name);
    let outcome = fuzz::run(target, &inputs, first, Stop { runs: u64::MAX, time }, |_| {});
    println!("stat::number_of_executed_units: {}", outcome.runs);
    println!("stat::slowest_unit_time_sec: {:.3}", outcome.slowest.as_secs_f64());
    let Some(finding) = outcome.finding else { return Ok(()) };
    fs::create_dir_all(artifacts)?;
    let path = artifacts.join(format!("{}-crash-{}", target.name, first + outcome.runs));
    fs::write(&path, &finding.input)?;
    bail!("{}: {}\n  input: {}", target.name, finding.message, path.display());
}
