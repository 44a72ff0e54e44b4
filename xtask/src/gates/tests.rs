//! Tests, with nextest if it is installed, and the examples in the documentation.

use std::env;
use std::ffi::OsString;

use anyhow::Result;

use super::{Context, Verdict};
use crate::shell;

/// The version that a fresh machine installs.
const NEXTEST: &str = "0.9.143";

/// Runs every unit and integration test of the workspace.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let mut test = shell::cargo(context.workspace.root());
    let note = if let Some(path) = nextest(context)? {
        test.env("PATH", path).args(["nextest", "run", "--no-fail-fast"]);
        "by nextest"
    } else {
        context.shell.say("cargo-nextest is not installed: running `cargo test` instead")?;
        test.args(["test", "--all-targets", "--no-fail-fast"]);
        "by cargo test, since cargo-nextest is not installed"
    };
    let missing = missing_stores();
    for program in &missing {
        context.shell.say(&format!("{program} is not installed: the tests that start it are skipped"))?;
    }
    context.shell.run(test.args(["--workspace", "--all-features"]))?;
    let without: Vec<_> = missing.iter().map(|program| format!(", without {program}")).collect();
    Ok(Verdict::Passed(note.to_owned() + &without.concat()))
}

/// Returns which of the stores are not installed that tests start. The tests look for them as this does.
fn missing_stores() -> Vec<&'static str> {
    let mut folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let is_missing = |program: &&str| !folders.iter().any(|folder| folder.join(program).is_file());
    ["redis-server", "postgres"].into_iter().filter(is_missing).collect()
}

/// Returns a search path with nextest in it, if there is one.
///
/// In CI it is installed if it is missing. Outside CI that would take too long.
fn nextest(context: &Context) -> Result<Option<OsString>> {
    let tools = context.workspace.target().join("tools");
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools.join("bin")].into_iter().chain(env::split_paths(&inherited)))?;
    if shell::has_cargo_command("nextest", &path) {
        return Ok(Some(path));
    }
    if env::var_os("CI").is_none() {
        return Ok(None);
    }
    let mut install = shell::cargo(context.workspace.root());
    install.args(["install", "--quiet", "--locked", "--debug", "cargo-nextest", "--version", NEXTEST]);
    install.arg("--root").arg(&tools).arg("--target-dir").arg(context.workspace.target().join("tools/build"));
    let installed = context.shell.run(&mut install).is_ok();
    Ok(installed.then_some(path))
}

/// Runs the examples in the documentation.
pub(super) fn doctests(context: &mut Context) -> Result<Verdict> {
    let mut test = shell::cargo(context.workspace.root());
    test.args(["test", "--doc", "--workspace", "--all-features", "--no-fail-fast"]);
    context.shell.run(&mut test)?;
    Ok(Verdict::Passed(String::new()))
}

/// Returns the summary lines of a test runner.
pub(super) fn closing_lines(log: &str) -> impl Iterator<Item = String> {
    let closing =
        |line: &&str| line.trim_start().starts_with("Summary [") || line.starts_with("test result:");
    log.lines()
        .filter(closing)
        .filter(|line| !line.contains(" 0 passed; 0 failed; 0 ignored"))
        .map(str::to_owned)
}

#[cfg(test)]
mod checks {
    use super::closing_lines;

    #[test]
    fn the_closing_lines_of_both_runners_are_found() {
        let log = "   Compiling a\n     Summary [   0.1s] 2 tests run: 2 passed, 0 skipped\n\
                   test result: ok. 1 passed; 0 failed; 0 ignored\n\
                   test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n";
        let found: Vec<_> = closing_lines(log).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("2 tests run"));
        assert!(found[1].contains("1 passed"));
    }
}
