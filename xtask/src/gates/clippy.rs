//! Clippy with warnings as errors.
//!
//! This gate covers every target, including tests, examples and programs. One run over the workspace unifies features; the
//! gate `features` runs clippy on each package alone.

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
