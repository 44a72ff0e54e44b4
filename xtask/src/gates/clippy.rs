//! Clippy with warnings as errors, package by package.
//!
//! One run over the whole workspace would unify features, and so hide a package that forgot to ask
//! for one that it uses.

use anyhow::{Result, bail};

use super::{Context, Verdict};
use crate::{progress, shell};

/// Runs clippy on every package of the workspace, also after one failed.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let members = context.workspace.members();
    let bar = progress::steps("clippy", members.len());
    let mut failed = Vec::new();
    for package in &members {
        bar.set_message(package.name.to_string());
        let mut clippy = shell::cargo(context.workspace.root());
        clippy.args([
            "clippy",
            "--quiet",
            "--no-deps",
            "--all-targets",
            "--all-features",
            "-p",
            package.name.as_str(),
        ]);
        if context.shell.run(clippy.args(["--", "-D", "warnings"])).is_err() {
            failed.push(package.name.as_str());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !failed.is_empty() {
        bail!("warnings in {}", failed.join(", "));
    }
    Ok(Verdict::Passed(format!("{} packages", members.len())))
}
