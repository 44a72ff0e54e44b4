//! The gates that a change must pass, in the order in which they run.
//!
//! A new gate is one line in [`ALL`], which makes it a subcommand and a part of `ci`.

mod advisories;
pub(crate) mod api;
pub(crate) mod browser;
mod clippy;
mod codegen;
mod conformance;
mod deny;
mod docs;
mod features;
mod fmt;
pub(crate) mod interop;
mod layers;
mod limits;
mod links;
mod main_job;
mod msrv;
mod no_std;
mod package;
mod tests;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::progress;
use crate::shell::Shell;
use crate::workspace::Workspace;

/// One gate.
pub(crate) struct Gate {
    /// Name of the subcommand.
    pub(crate) name: &'static str,
    /// What a pass proves.
    pub(crate) proves: &'static str,
    run: Run,
}

type Run = fn(&mut Context) -> Result<Verdict>;

/// The environment of a gate.
pub(crate) struct Context {
    pub(crate) workspace: Workspace,
    pub(crate) shell: Shell,
}

/// The result of a gate that did not fail.
pub(crate) enum Verdict {
    /// Passed; the text adds a figure.
    Passed(String),
    /// Could not run on this machine, with the reason.
    Skipped(String),
}

/// Every gate, cheap ones first.
pub(crate) const ALL: &[Gate] = &[
    gate("fmt", "All code is formatted", fmt::run),
    gate("layers", "Dependencies point down the layers only", layers::run),
    gate("links", "No page points to a file or a heading that is not there", links::run),
    gate("book", "The book renders, and each of its links leads somewhere", crate::book::run),
    gate("codegen", "Generated code is what the schemas say", codegen::run),
    gate("conformance", "Every rule of the checklist has its test or its reason", conformance::run),
    gate("limits", "The page of bounds is what the sources define", limits::run),
    gate("clippy", "No target of any package has a warning", clippy::run),
    gate("msrv", "The oldest supported Rust compiles the workspace, or the lint for it is quiet", msrv::run),
    gate("test", "All tests pass", tests::run),
    gate("doctest", "All examples in the documentation compile and run", tests::doctests),
    gate("doc", "The documentation builds without a warning", docs::run),
    gate("no-std", "The protocol crates link and run without std", no_std::run),
    gate(
        "targets",
        "ARM runs the tests of the protocol crates, and WebAssembly builds them",
        crate::target::run,
    ),
    gate(
        "features",
        "Each crate alone, with no, each and every feature, has no warning of clippy",
        features::run,
    ),
    gate("api", "The public API is that of the snapshots in docs/api", api::run),
    gate("deny", "Licences, versions and sources of dependencies are as deny.toml says", deny::run),
    gate("connect", "The main job of the README runs", main_job::run),
    gate("interop", "Clients by other people reach the embedded datacenter", interop::run),
    gate("package", "Every crate can be published, and builds from its archive", package::run),
];

const fn gate(name: &'static str, proves: &'static str, run: Run) -> Gate {
    Gate { name, proves, run }
}

/// Runs one gate and shows the output of its tools.
pub(crate) fn run_one(gate: &Gate) -> Result<()> {
    let mut context = Context { workspace: Workspace::load()?, shell: Shell::loud() };
    show(gate.name, &(gate.run)(&mut context)?);
    Ok(())
}

/// Runs the gate `name` in the given context.
pub(crate) fn run_named(name: &str, context: &mut Context) -> Result<Verdict> {
    let gate = ALL.iter().find(|gate| gate.name == name);
    gate.map_or_else(|| bail!("there is no gate `{name}`"), |gate| (gate.run)(context))
}

/// Prints the result of the gate `name`.
pub(crate) fn show(name: &str, verdict: &Verdict) {
    match verdict {
        Verdict::Passed(note) => println!("{name}: passed {note}"),
        Verdict::Skipped(why) => println!("{name}: SKIPPED, {why}"),
    }
}

/// Runs every gate and prints a line for each. Fails if one of them did.
pub(crate) fn run_all() -> Result<()> {
    let start = Instant::now();
    let mut failed = Vec::new();
    let mut closing = Vec::new();
    for gate in ALL {
        let workspace = Workspace::load()?;
        let shell = Shell::logging_to(&workspace.target().join("ci").join(gate.name).with_extension("log"))?;
        let mut context = Context { workspace, shell };
        let bar = progress::spinner(gate.name);
        let begun = Instant::now();
        let verdict = (gate.run)(&mut context);
        let took = begun.elapsed();
        bar.finish_and_clear();
        let log = context.shell.logged()?;
        match verdict {
            Ok(Verdict::Passed(note)) => report(gate, took, "passed", &note),
            Ok(Verdict::Skipped(why)) => report(gate, took, "SKIPPED", &why),
            Err(error) => {
                println!("{}", log.trim_end());
                report(gate, took, "FAILED", &format!("{error:#}"));
                if let Some(path) = context.shell.log_path() {
                    println!("           log: {}", path.display());
                }
                failed.push(gate.name);
            }
        }
        closing.extend(tests::closing_lines(&log));
    }
    println!("{} gates in {}, {} failed", ALL.len(), seconds(start.elapsed()), failed.len());
    for line in closing {
        println!("{line}");
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn report(gate: &Gate, took: Duration, verdict: &str, note: &str) {
    println!("{:<10} {:>8}  {verdict:<7}  {note}", gate.name, seconds(took));
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
