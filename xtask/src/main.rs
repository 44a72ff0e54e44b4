//! The workspace's own tasks: every gate of CI, code generation and benchmarks.
//!
//! `cargo xtask ci` runs all gates in order; each gate is also a subcommand. See `CONTRIBUTING.md`.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

mod bench;
mod book;
mod codegen;
mod conformance;
mod fuzz;
mod gates;
mod instrument;
mod limits;
mod plots;
mod progress;
mod proof;
mod release;
mod schema;
mod schemas_proof;
mod shell;
mod target;
#[allow(unreachable_pub, reason = "it is a public module of chappe-conformance")]
#[path = "../../crates/chappe-conformance/src/tl_values.rs"]
mod tl_values;
mod workspace;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
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
    /// Renders the pages of docs/ as a book and checks its links and anchors.
    Book(book::Book),
    /// Builds the page of chappe-web, and lets Chromium reach the embedded datacenter with it.
    Browser(gates::browser::Browser),
    /// Compares the public API of each crate with its snapshot, or writes the snapshots.
    Api(gates::api::Api),
    /// Regenerates code from the schemas, compares it with them, or takes a new schema.
    Codegen(codegen::Codegen),
    /// Writes docs/conformance.md from the tests of the workspace, or compares it.
    Conformance(conformance::Conformance),
    /// Writes docs/limits.md from the sources, or compares it.
    Limits(limits::Limits),
    /// Lets clients by other people reach the embedded datacenter.
    Interop(gates::interop::Interop),
    /// Takes each layer of the API in turn into a copy of the repository, and builds and tests it there.
    LayersProof(proof::Proof),
    /// Generates code for schemas of any dialect and for random ones, and compiles it.
    SchemasProof(schemas_proof::SchemasProof),
    /// Compares schema files.
    Schema(schema::Schema),
    /// Measures against peers and limits, and prints the table with targets and verdicts.
    Bench(bench::Bench),
    /// Checks whether the crates can be published, and prints the commands.
    Release(release::Release),
    /// Plays simulated worlds of a client, its network, its machine and its datacenter.
    World(world::World),
    /// Runs the fuzzing targets in rotation.
    Fuzz(fuzz::Fuzz),
    /// Builds and tests on another kind of machine, emulated.
    Target(target::Other),
    /// Runs the statistical constant-time test.
    Timing(bench::Timing),
}

/// The path of this program when it started.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Returns the path of this program, for tools that call it back.
///
/// The tests build it anew. The system then reports the file that runs as deleted, while the path has the new one.
pub(crate) fn program() -> Result<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path).context("the system does not tell where this program is")
}

fn main() -> ExitCode {
    if let Ok(path) = std::env::current_exe() {
        PROGRAM.get_or_init(|| path);
    }
    let as_tool = instrument::as_rustc().or_else(gates::api::as_rustdoc);
    let result = as_tool.unwrap_or_else(|| run().map(|()| true));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let cli = Cli::command();
    let has_arguments = |gate: &gates::Gate| cli.find_subcommand(gate.name).is_some();
    let plain: Vec<&gates::Gate> = gates::ALL.iter().filter(|gate| !has_arguments(gate)).collect();
    let commands = plain.iter().map(|gate| clap::Command::new(gate.name).about(gate.proves));
    let arguments = cli.clone().subcommands(commands).get_matches();
    if let Some(gate) = plain.iter().find(|gate| arguments.subcommand_name() == Some(gate.name)) {
        return gates::run_one(gate);
    }
    match Cli::from_arg_matches(&arguments)?.task {
        Task::Ci => gates::run_all(),
        Task::Api(api) => api.run(),
        Task::Book(book) => book.run(),
        Task::Browser(browser) => browser.run(),
        Task::Codegen(codegen) => codegen.run(),
        Task::Conformance(conformance) => conformance.run(),
        Task::Limits(limits) => limits.run(),
        Task::Interop(interop) => interop.run(),
        Task::LayersProof(proof) => proof.run(),
        Task::SchemasProof(proof) => proof.run(),
        Task::Schema(schema) => schema.run(),
        Task::Bench(bench) => bench.run(),
        Task::Release(release) => release.run(),
        Task::World(world) => world.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Target(target) => target.run(),
        Task::Timing(timing) => timing.run(),
    }
}
