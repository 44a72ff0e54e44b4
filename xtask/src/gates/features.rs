//! Feature combinations: clippy on each library alone, with nothing, each feature alone, the defaults, everything.
//!
//! A run over the whole workspace unifies features, which hides a package that uses a feature without enabling it. Here each
//! package is compiled alone.
//!
//! Features are additive, so a feature can only be wrong by not enabling another one that it needs. Each feature alone shows
//! that. Of a crate with many generated features (one per namespace of a schema), one is tried.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
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
        let mut clippy = shell::cargo(context.workspace.root());
        clippy
            .args(["clippy", "--quiet", "--no-deps", "--lib", "-p", package.name.as_str()])
            .args(arguments)
            .args(["--", "-D", "warnings"]);
        context
            .shell
            .run(&mut clippy)
            .with_context(|| format!("{} {}", package.name, arguments.join(" ")))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Verdict::Passed(format!("{} combinations", combinations.len())))
}

/// Up to this number of features, each is tried alone. Of more, only the first is tried.
const FEW: usize = 8;

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
    // A feature that only names others is the sum of them.
    let atoms: Vec<&str> =
        own.iter().filter(|name| !is_sum(package, name)).map(|name| name.as_str()).collect();
    for name in tried(&atoms) {
        all.push(vec!["--no-default-features".to_owned(), "--features".to_owned(), (*name).to_owned()]);
    }
    if own.len() > 1 {
        all.push(vec!["--all-features".to_owned()]);
    }
    all
}

/// Returns the features that are tried alone.
fn tried<'f>(atoms: &'f [&'f str]) -> &'f [&'f str] {
    if atoms.len() <= FEW { atoms } else { &atoms[..1] }
}

/// Returns whether a feature is a list of more than [`FEW`] others and nothing else.
fn is_sum(package: &Package, name: &str) -> bool {
    package.features.get(name).is_some_and(|parts| {
        parts.len() > FEW && parts.iter().all(|part| package.features.contains_key(part))
    })
}

#[cfg(test)]
mod checks {
    use super::tried;

    #[test]
    fn few_features_are_each_tried_alone_and_of_many_one() {
        assert_eq!(tried(&["serde", "std"]), ["serde", "std"]);
        let many: Vec<String> = (0..28).map(|at| format!("f{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(tried(&many), ["f0"]);
    }
}
