//! The workspace's own tasks: every gate of CI, code generation and benchmarks.
//!
//! `cargo xtask ci` runs all gates in order; each gate is also a subcommand. See `CONTRIBUTING.md`.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

mod bench;
mod gates;
mod progress;
mod shell;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Tasks of the chappe workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// What is not a plain gate. Gates are added to the command line from [`gates::ALL`].
#[derive(Subcommand)]
enum Task {
    /// Runs every gate in order and prints a summary.
    Ci,
    /// Measures against peers and limits, and prints the table with targets and verdicts.
    Bench(bench::Bench),
    /// Runs the statistical constant-time test.
    Timing(bench::Timing),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let gates = gates::ALL.iter().map(|gate| clap::Command::new(gate.name).about(gate.proves));
    let arguments = Cli::command().subcommands(gates).get_matches();
    if let Some(gate) = arguments.subcommand_name().and_then(gates::find) {
        return gates::run_one(gate);
    }
    match Cli::from_arg_matches(&arguments)?.task {
        Task::Ci => gates::run_all(),
        Task::Bench(bench) => bench.run(),
        Task::Timing(timing) => timing.run(),
    }
}
