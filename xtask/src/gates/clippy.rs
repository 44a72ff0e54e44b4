//! Clippy with warnings as errors.
//!
//! This gate is about every target: tests, examples and programs, too. It is one run over the workspace, which
//! unifies features; the gate of the features runs clippy on each package alone.

use anyhow::Result;

use super::{Context, Verdict};
use crate::shell;

/// Runs clippy on every target of every package, also after one failed.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let mut clippy = shell::cargo(context.workspace.root());
    clippy.args(["clippy", "--quiet", "--keep-going", "--no-deps", "--workspace", "--all-targets"]);
    context.shell.run(clippy.args(["--all-features", "--", "-D", "warnings"]))?;
    Ok(Verdict::Passed(format!("{} packages", context.workspace.members().len())))
}
