//! The documentation, with warnings as errors.

use anyhow::Result;

use super::{Context, Verdict};
use crate::shell;

/// Builds the documentation of every package of the workspace.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let mut doc = shell::cargo(context.workspace.root());
    doc.args(["doc", "--workspace", "--no-deps", "--all-features"]).env("RUSTDOCFLAGS", "-D warnings");
    context.shell.run(&mut doc)?;
    Ok(Verdict::Passed(String::new()))
}
