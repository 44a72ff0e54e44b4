//! Feature combinations: nothing, each feature alone, the defaults, everything.
//!
//! Features are additive, so these combinations find a missing `cfg` without trying all subsets.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use cargo_metadata::Package;

use super::{Context, Verdict};
use crate::{progress, shell};

/// Checks every combination of every library.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let members = context.workspace.members();
    let combinations: Vec<(&Package, Vec<String>)> =
        members.iter().flat_map(|package| combinations(package).into_iter().map(|c| (*package, c))).collect();
    let bar = progress::steps("features", combinations.len());
    for (package, arguments) in &combinations {
        bar.set_message(format!("{} {}", package.name, arguments.join(" ")));
        let mut check = shell::cargo(context.workspace.root());
        check
            .args(["check", "--lib", "--message-format", "short", "-p", package.name.as_str()])
            .args(arguments);
        let printed = context.shell.read(&mut check)?;
        if let Some(warning) = printed.lines().find(|line| line.contains(": warning: ")) {
            bail!("{} {}: {warning}", package.name, arguments.join(" "));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Verdict::Passed(format!("{} combinations", combinations.len())))
}

/// Returns the arguments of each combination worth trying, none twice.
fn combinations(package: &Package) -> Vec<Vec<String>> {
    if !package.targets.iter().any(cargo_metadata::Target::is_lib) {
        return Vec::new();
    }
    let own: BTreeSet<&String> = package.features.keys().filter(|name| *name != "default").collect();
    let mut all = vec![vec!["--no-default-features".to_owned()]];
    if own.is_empty() {
        return all;
    }
    all.push(Vec::new());
    for feature in &own {
        all.push(vec!["--no-default-features".to_owned(), "--features".to_owned(), (*feature).clone()]);
    }
    if own.len() > 1 {
        all.push(vec!["--all-features".to_owned()]);
    }
    all
}
