//! Clippy with warnings as errors.
//!
//! One run over the whole workspace unifies features, and so would hide a package that forgot to ask for one
//! that it uses; the gate of the features builds each package alone, and shows that.

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
