//! The first command of the README.

use anyhow::{Result, ensure};

use super::{Context, Verdict};
use crate::shell;

/// The command of the main job, without `cargo`.
const COMMAND: [&str; 7] = ["run", "--release", "--bin", "chappe", "--", "ping", "embedded"];

/// Runs the command in the workspace root, without naming its package.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let line = format!("cargo {}", COMMAND.join(" "));
    let readme = std::fs::read_to_string(context.workspace.root().join("README.md"))?;
    ensure!(readme.contains(&line), "README.md does not show `{line}`");
    let mut command = shell::cargo(context.workspace.root());
    context.shell.run(command.args(COMMAND))?;
    Ok(Verdict::Passed(String::new()))
}
