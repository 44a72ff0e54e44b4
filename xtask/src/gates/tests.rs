//! Tests, by nextest where it is installed, and the examples in the documentation.

use anyhow::Result;

use super::{Context, Verdict};
use crate::shell;

/// Runs every unit and integration test of the workspace.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let mut test = shell::cargo(context.workspace.root());
    let note = if shell::has_cargo_command("nextest") {
        test.args(["nextest", "run", "--workspace", "--all-features", "--no-fail-fast"]);
        "by nextest"
    } else {
        context.shell.say("cargo-nextest is not installed: running `cargo test` instead")?;
        test.args(["test", "--workspace", "--all-features", "--all-targets", "--no-fail-fast"]);
        "by cargo test, since cargo-nextest is not installed"
    };
    context.shell.run(&mut test)?;
    Ok(Verdict::Passed(note.to_owned()))
}

/// Runs the examples in the documentation.
pub(super) fn doctests(context: &mut Context) -> Result<Verdict> {
    let mut test = shell::cargo(context.workspace.root());
    test.args(["test", "--doc", "--workspace", "--all-features", "--no-fail-fast"]);
    context.shell.run(&mut test)?;
    Ok(Verdict::Passed(String::new()))
}

/// Returns the lines in which a test runner says how many tests it ran.
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
