//! Feature combinations: nothing, each feature alone, the defaults, everything.
//!
//! Features are additive, so what can be wrong is a feature that needs another one and does not say so.
//! Each alone shows that. A crate with many features (one per namespace of a schema) is tried with few
//! subsets instead, chosen so that for any two features one subset has the first and not the second.

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

/// Up to this number of features, each is tried alone.
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
    let subsets =
        if atoms.len() <= FEW { atoms.iter().map(|name| vec![*name]).collect() } else { separating(&atoms) };
    for subset in subsets {
        all.push(vec!["--no-default-features".to_owned(), "--features".to_owned(), subset.join(",")]);
    }
    if own.len() > 1 {
        all.push(vec!["--all-features".to_owned()]);
    }
    all
}

/// Tells whether a feature is a list of more than [`FEW`] others and nothing else.
fn is_sum(package: &Package, name: &str) -> bool {
    package.features.get(name).is_some_and(|parts| {
        parts.len() > FEW && parts.iter().all(|part| package.features.contains_key(part))
    })
}

/// Returns subsets so that for any two of `names` one subset has the first and not the second.
///
/// Each name gets its own set of subsets, all of the same size: then no such set contains another.
fn separating<'a>(names: &[&'a str]) -> Vec<Vec<&'a str>> {
    let codes = |bits: u32| (0..1_u32 << bits).filter(move |code| code.count_ones() == bits / 2);
    let bits = (2..u32::BITS - 1).find(|bits| codes(*bits).count() >= names.len()).unwrap_or(0);
    let named: Vec<(&str, u32)> = names.iter().copied().zip(codes(bits)).collect();
    let having =
        |bit: u32| named.iter().filter(|(_, code)| code >> bit & 1 == 1).map(|(name, _)| *name).collect();
    (0..bits).map(having).collect()
}

#[cfg(test)]
mod checks {
    use super::separating;

    #[test]
    fn any_feature_is_once_there_without_any_other() {
        let names: Vec<String> = (0..28).map(|at| format!("f{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let subsets = separating(&names);
        assert!(subsets.len() <= 8, "{}", subsets.len());
        for one in &names {
            for other in names.iter().filter(|other| *other != one) {
                let parted = subsets.iter().any(|subset| subset.contains(one) && !subset.contains(other));
                assert!(parted, "{one} without {other}");
            }
        }
    }
}
