//! `cargo xtask fuzz`: runs every target in rotation, with the engine that is available.
//!
//! The targets are in `chappe-conformance`, where they also run as ordinary tests. With a C++ compiler they are built
//! for libFuzzer, with the compiler's flags for coverage; these are stable ones, so no nightly toolchain is needed.
//! Otherwise a simple engine mutates the seeds.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::{instrument, progress, shell, workspace};

/// The instrumentation of libFuzzer: existing edges, taken edges, compared values.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Memory limit of a process in MiB: many times the cost of one frame.
const MOST_MEMORY: u32 = 1024;
/// Time limit of one input in seconds. The slowest valid one takes milliseconds.
const MOST_SECONDS: u32 = 20;
/// Duration of one turn in seconds. Corpora grow from turn to turn.
const TURN: u64 = 30;

/// Arguments of `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Total duration in minutes.
    #[arg(long, default_value_t = 15)]
    minutes: u64,
    /// Runs only targets whose name contains this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Writes the seed corpora and runs nothing.
    #[arg(long)]
    seeds: bool,
    /// The engine; by default libFuzzer if there is a C++ compiler.
    #[arg(long)]
    engine: Option<Engine>,
}

/// The generator of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// Guided by coverage.
    Libfuzzer,
    /// Random changes of the seeds.
    Simple,
}

/// A target as the fuzzing program lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    name: String,
    max_len: usize,
}

/// The results of a target.
#[derive(Clone, Debug, Default)]
struct Tally {
    runs: u64,
    seconds: u64,
    findings: Vec<String>,
}

impl Fuzz {
    /// Builds and runs.
    pub(crate) fn run(&self) -> Result<()> {
        let place = Place::new()?;
        let engine = self.engine.unwrap_or_else(Engine::available);
        place.build(engine)?;
        let targets = place.targets(engine)?;
        place.write_seeds(engine)?;
        if self.seeds {
            return Ok(());
        }
        let chosen: Vec<Target> =
            targets.into_iter().filter(|target| target.name.contains(&self.only)).collect();
        ensure!(!chosen.is_empty(), "no target has {:?} in its name", self.only);
        let tallies = rotate(&place, engine, &chosen, self.minutes * 60)?;
        println!("{}", report(engine, &chosen, &tallies));
        let failed = chosen.iter().zip(&tallies).filter(|(_, tally)| !tally.findings.is_empty());
        let failed: Vec<&str> = failed.map(|(target, _)| target.name.as_str()).collect();
        ensure!(
            failed.is_empty(),
            "findings in {}; the inputs are in {}",
            failed.join(", "),
            place.artifacts.display()
        );
        Ok(())
    }
}

impl Engine {
    fn available() -> Self {
        let probe = Command::new("c++").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if probe.is_ok_and(|status| status.success()) { Self::Libfuzzer } else { Self::Simple }
    }
}

/// The task of the fuzzing program.
enum Task<'a> {
    List,
    Seeds(&'a Path),
    Run(&'a Target),
}

/// The paths of the fuzzing program and its files.
struct Place {
    root: PathBuf,
    manifest: PathBuf,
    target: PathBuf,
    seeds: PathBuf,
    corpus: PathBuf,
    artifacts: PathBuf,
    host: String,
}

impl Place {
    fn new() -> Result<Self> {
        let root = workspace::root()?;
        let folder = root.join("crates/chappe-fuzz");
        ensure!(folder.is_dir(), "crates/chappe-fuzz is not part of this checkout");
        let metadata =
            cargo_metadata::MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
        let version = Command::new("rustc").arg("-vV").output().context("rustc does not run")?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let host =
            version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
        Ok(Self {
            manifest: folder.join("Cargo.toml"),
            target: metadata.target_directory.into_std_path_buf().join("fuzz"),
            seeds: folder.join("corpus-live/seeds"),
            corpus: folder.join("corpus-live/found"),
            artifacts: folder.join("corpus-live/artifacts"),
            host: host.to_owned(),
            root,
        })
    }

    fn build(&self, engine: Engine) -> Result<()> {
        let mut build = shell::cargo(&self.root);
        build.args(["build", "--release", "--quiet", "--manifest-path"]).arg(&self.manifest);
        build.arg("--target-dir").arg(&self.target);
        match engine {
            Engine::Simple => build.args(["--bin", "chappe-fuzz"]),
            // With an explicit target, the flags do not apply to build scripts.
            Engine::Libfuzzer => build
                .args(["--bin", "any", "--features", "libfuzzer", "--target", &self.host])
                .env("RUSTFLAGS", COVERAGE)
                .env("RUSTC_WRAPPER", crate::program()?)
                .env(instrument::VARIABLE, "1"),
        };
        shell::Shell::loud().run(&mut build)
    }

    /// Returns the command for a task of the program with all targets.
    fn program(&self, engine: Engine, task: &Task<'_>) -> Command {
        let mut program = match engine {
            Engine::Simple => {
                let mut program = Command::new(self.target.join("release/chappe-fuzz"));
                match task {
                    Task::List => program.arg("list"),
                    Task::Seeds(folder) => program.arg("seeds").arg(folder),
                    Task::Run(target) => program.args(["run", &target.name]),
                };
                program
            }
            Engine::Libfuzzer => {
                let mut program = Command::new(self.target.join(&self.host).join("release/any"));
                match task {
                    Task::List => program.env("CHAPPE_FUZZ", "list"),
                    Task::Seeds(folder) => program.env("CHAPPE_FUZZ", format!("seeds={}", folder.display())),
                    Task::Run(target) => program.env("CHAPPE_FUZZ", &target.name),
                };
                program
            }
        };
        program.stdin(Stdio::null());
        program
    }

    fn targets(&self, engine: Engine) -> Result<Vec<Target>> {
        let listed =
            self.program(engine, &Task::List).output().context("the fuzzing program does not run")?;
        let listed = String::from_utf8(listed.stdout)?;
        listed.lines().map(|line| read_target(line).with_context(|| line.to_owned())).collect()
    }

    fn write_seeds(&self, engine: Engine) -> Result<()> {
        let status = self.program(engine, &Task::Seeds(&self.seeds)).status()?;
        ensure!(status.success(), "the seeds cannot be written");
        println!("seeds: {}", self.seeds.display());
        Ok(())
    }

    /// Runs one target for a time. Returns the number of inputs and the finding, if there is one.
    fn turn(
        &self,
        engine: Engine,
        target: &Target,
        turn: usize,
        seconds: u64,
    ) -> Result<(u64, Option<String>)> {
        let corpus = self.corpus.join(&target.name);
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&self.artifacts)?;
        let mut command = self.program(engine, &Task::Run(target));
        match engine {
            Engine::Simple => command
                .args(["--seconds", &seconds.to_string(), "--corpus"])
                .arg(&self.corpus)
                .arg("--artifacts")
                .arg(&self.artifacts),
            Engine::Libfuzzer => command.arg(&corpus).arg(self.seeds.join(&target.name)).args(arguments(
                target,
                turn,
                seconds,
                &self.artifacts,
            )),
        };
        let output = command.output().with_context(|| target.name.clone())?;
        let text =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let finding = (!output.status.success()).then(|| complaint(&text));
        Ok((executed(&text), finding))
    }
}

fn arguments(target: &Target, turn: usize, seconds: u64, artifacts: &Path) -> Vec<String> {
    vec![
        format!("-max_total_time={seconds}"),
        format!("-max_len={}", target.max_len),
        format!("-timeout={MOST_SECONDS}"),
        format!("-rss_limit_mb={MOST_MEMORY}"),
        format!("-artifact_prefix={}/{}-", artifacts.display(), target.name),
        "-print_final_stats=1".to_owned(),
        // Guides by the distance of comparisons, which multiplies the time.
        format!("-use_value_profile={}", u8::from(turn % 4 == 3)),
    ]
}

fn read_target(line: &str) -> Option<Target> {
    let mut fields = line.split('\t');
    Some(Target { name: fields.next()?.to_owned(), max_len: fields.next()?.parse().ok()? })
}

/// Runs the targets in turn until the time is over.
fn rotate(place: &Place, engine: Engine, targets: &[Target], seconds: u64) -> Result<Vec<Tally>> {
    let mut tallies = vec![Tally::default(); targets.len()];
    let turn = TURN.min(seconds / targets.len() as u64).max(1);
    let bar = progress::steps("fuzz", seconds as usize);
    let mut left = seconds;
    for (number, at) in (0..targets.len()).cycle().enumerate() {
        if left < turn {
            break;
        }
        bar.set_message(targets[at].name.clone());
        let (runs, finding) = place.turn(engine, &targets[at], number / targets.len(), turn)?;
        tallies[at].runs += runs;
        tallies[at].seconds += turn;
        if let Some(finding) = finding {
            bar.suspend(|| println!("{}: {finding}", targets[at].name));
            tallies[at].findings.push(finding);
        }
        left -= turn;
        bar.inc(turn);
        if tallies.iter().all(|tally| tally.findings.len() > 3) {
            bail!("every target fails");
        }
    }
    bar.finish_and_clear();
    Ok(tallies)
}

/// Parses the number of inputs from the output of an engine.
fn executed(text: &str) -> u64 {
    let number = |line: &str| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok();
    text.lines().find_map(number).unwrap_or_default()
}

/// Extracts the lines that describe the failure.
fn complaint(text: &str) -> String {
    let telling = ["panicked at", "ERROR: libFuzzer", "SUMMARY", "Test unit written", "  input: ", "Error:"];
    let mut lines = text.lines().peekable();
    let mut told = String::new();
    while let Some(line) = lines.next() {
        if telling.iter().any(|part| line.contains(part)) {
            _ = write!(told, "\n  {}", line.trim());
            // The message of a panic follows its location.
            if line.contains("panicked at")
                && let Some(message) = lines.peek()
            {
                _ = write!(told, "\n  {}", message.trim());
            }
        }
    }
    if told.is_empty() { "\n  ended without a word".to_owned() } else { told }
}

fn report(engine: Engine, targets: &[Target], tallies: &[Tally]) -> String {
    let name = if engine == Engine::Libfuzzer { "libFuzzer" } else { "simple" };
    let mut table =
        format!("engine: {name}\n\n| target | inputs | seconds | findings |\n|---|---:|---:|---:|\n");
    for (target, tally) in targets.iter().zip(tallies) {
        let Tally { runs, seconds, findings } = tally;
        _ = writeln!(table, "| {} | {runs} | {seconds} | {} |", target.name, findings.len());
    }
    let all: u64 = tallies.iter().map(|tally| tally.runs).sum();
    let seconds: u64 = tallies.iter().map(|tally| tally.seconds).sum();
    let findings: usize = tallies.iter().map(|tally| tally.findings.len()).sum();
    table + &format!("| all | {all} | {seconds} | {findings} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_list_is_a_target() {
        let target = Target { name: "fake_tls".into(), max_len: 6000 };
        assert_eq!(read_target("fake_tls\t6000\thellos and records"), Some(target));
        assert_eq!(read_target("fake_tls"), None);
        assert_eq!(read_target("fake_tls\tx\t"), None);
    }

    #[test]
    fn what_an_engine_prints_is_understood() {
        let text = "noise\nthread 'main' panicked at a.rs:1:2:\nno such thing\nstat::number_of_executed_units: 4711\n";
        assert_eq!(executed(text), 4711);
        assert_eq!(executed("nothing"), 0);
        assert_eq!(complaint(text), "\n  thread 'main' panicked at a.rs:1:2:\n  no such thing");
        assert!(complaint("").contains("without a word"));
    }
}
