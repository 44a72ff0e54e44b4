//! The first command of the README.

use anyhow::Result;

use super::{Context, Verdict};
use crate::shell;

/// The example of the main job.
const EXAMPLE: &str = "connect";

/// Runs the example in the workspace root, without naming its package.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    if !context.workspace.has_example(EXAMPLE) {
        return Ok(Verdict::Skipped(format!("there is no example `{EXAMPLE}` in this checkout")));
    }
    let mut command = shell::cargo(context.workspace.root());
    context.shell.run(command.args(["run", "--quiet", "--release", "--example", EXAMPLE]))?;
    Ok(Verdict::Passed(String::new()))
}
