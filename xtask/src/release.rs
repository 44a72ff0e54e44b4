//! `cargo xtask release --dry-run`: whether the workspace can be published, and the commands that publish it.
//!
//! Nothing is uploaded. Each check prints a line; the command fails if one of them does.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::semver::{Version, VersionReq};
use cargo_metadata::{Dependency, DependencyKind, Package};
use clap::Args;

use crate::gates::{self, Context, Verdict};
use crate::shell::{self, Shell};
use crate::workspace::Workspace;

/// Arguments of `cargo xtask release`.
#[derive(Args)]
pub(crate) struct Release {
    /// Checks and prints; publishing is left to a person.
    #[arg(long, required = true)]
    dry_run: bool,
    /// Leaves out the check that builds every crate from its archive.
    #[arg(long)]
    no_package: bool,
}

impl Release {
    /// Runs every check, then prints the commands that publish.
    pub(crate) fn run(&self) -> Result<()> {
        let mut context = Context { workspace: Workspace::load()?, shell: Shell::loud() };
        let mut failed = Vec::new();
        let mut check = |name: &'static str, result: Result<String>| match result {
            Ok(note) => println!("{name}: {note}"),
            Err(error) => {
                println!("{name}: FAILED, {error:#}");
                failed.push(name);
            }
        };
        check("versions", versions(&context.workspace));
        check("change log", change_log(&context.workspace));
        check("working tree", working_tree(&context));
        check("public api", public_api(&context));
        if !self.no_package {
            check("package", package(&mut context));
        }
        let order = order(&context.workspace.publishable())?;
        ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
        println!("\nto publish, in this order:");
        for name in order {
            println!("cargo publish -p {name}");
        }
        Ok(())
    }
}

/// Compares the versions of all packages, and those that they require of each other.
fn versions(workspace: &Workspace) -> Result<String> {
    let packages = workspace.publishable();
    let version = &packages.first().context("nothing can be published")?.version;
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    for package in &packages {
        ensure!(package.version == *version, "{} is {}, not {version}", package.name, package.version);
        let required =
            package.dependencies.iter().filter(|dependency| ours.contains(dependency.name.as_str()));
        for dependency in required.filter(|dependency| dependency.kind != DependencyKind::Development) {
            let (name, req) = (&dependency.name, &dependency.req);
            ensure!(req.comparators.len() == 1, "{} requires {name} without a version", package.name);
            ensure!(
                req.matches(version),
                "{} requires {name} {req}, and the version is {version}",
                package.name
            );
        }
    }
    Ok(format!("{} crates, all {version}", packages.len()))
}

/// Checks that the change log has an entry for the version, or lines that are still unreleased.
fn change_log(workspace: &Workspace) -> Result<String> {
    let text =
        fs::read_to_string(workspace.root().join("CHANGELOG.md")).context("there is no CHANGELOG.md")?;
    let version =
        workspace.publishable().first().map(|package| package.version.to_string()).unwrap_or_default();
    for heading in [version.as_str(), "Unreleased"] {
        let lines = entry(&text, heading);
        if lines > 0 {
            return Ok(format!("{lines} lines below `{heading}`"));
        }
    }
    bail!("no entry for {version}, and nothing below `Unreleased`")
}

/// Returns the number of list items below the heading that starts with `name`.
fn entry(text: &str, name: &str) -> usize {
    let mut below = text.lines().skip_while(|line| {
        line.strip_prefix("## ")
            .is_none_or(|title| title.trim_matches(['[', ']']).split(' ').next() != Some(name))
    });
    below.next();
    below.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("- ")).count()
}

/// Checks that every change is committed: what is published is what the tag names.
fn working_tree(context: &Context) -> Result<String> {
    let changed = git(context, &["status", "--porcelain"])?;
    ensure!(changed.is_empty(), "{} files are not committed", changed.lines().count());
    Ok("clean".to_owned())
}

/// Compares the public API with that of the last tag.
///
/// cargo-semver-checks knows more about compatibility, so it is used where it is installed. The snapshots in `docs/api`
/// serve otherwise: a line that is gone is a breaking change, one that came is an addition.
fn public_api(context: &Context) -> Result<String> {
    let tags = git(context, &["tag", "--list", "v*", "--sort=-version:refname"])?;
    let Some(tag) = tags.lines().next() else {
        return Ok("there is no tag `v…` to compare with".to_owned());
    };
    if shell::has_cargo_command("semver-checks", &env::var_os("PATH").unwrap_or_default()) {
        let mut checks = shell::cargo(context.workspace.root());
        context.shell.run(checks.args(["semver-checks", "--workspace", "--baseline-rev", tag]))?;
        return Ok(format!("compatible with {tag}, by cargo-semver-checks"));
    }
    let current = context.workspace.publishable().first().map(|package| package.version.clone());
    let current = current.context("nothing can be published")?;
    let last = Version::parse(tag.trim_start_matches('v'))
        .with_context(|| format!("the tag {tag} is no version"))?;
    let (gone, come) = differences(context, tag)?;
    let needed = needed(&last, gone > 0, come > 0);
    ensure!(
        current >= needed,
        "{gone} items are gone and {come} came since {tag}: the version must be {needed}"
    );
    Ok(format!(
        "since {tag} {gone} items are gone and {come} came, by the snapshots of docs/api \
         (cargo-semver-checks is not installed)"
    ))
}

/// Returns how many lines of the snapshots are gone since `tag`, and how many came.
fn differences(context: &Context, tag: &str) -> Result<(usize, usize)> {
    let changes = git(context, &["diff", "--unified=0", "--no-renames", tag, "--", "docs/api"])?;
    let count = |sign: char| {
        let marker = sign.to_string().repeat(3);
        changes.lines().filter(|line| line.starts_with(sign) && !line.starts_with(&marker)).count()
    };
    Ok((count('-'), count('+')))
}

/// Returns the lowest version that may follow `last`.
fn needed(last: &Version, breaks: bool, adds: bool) -> Version {
    match (last.major, breaks, adds) {
        // Before 1.0 a new minor version may break, and a new patch version may add.
        (0, true, _) => Version::new(0, last.minor + 1, 0),
        (0, false, _) | (_, false, false) => Version::new(last.major, last.minor, last.patch + 1),
        (_, true, _) => Version::new(last.major + 1, 0, 0),
        (_, false, true) => Version::new(last.major, last.minor + 1, 0),
    }
}

fn package(context: &mut Context) -> Result<String> {
    match gates::run_named("package", context)? {
        Verdict::Passed(note) | Verdict::Skipped(note) => Ok(note),
    }
}

/// Returns the names of the packages, each behind those that it depends on.
fn order(packages: &[&Package]) -> Result<Vec<String>> {
    let mut left: Vec<&&Package> = packages.iter().collect();
    let mut order: Vec<String> = Vec::new();
    while !left.is_empty() {
        // cargo resolves development dependencies too when it publishes, except those without a version.
        let is_needed = |dependency: &&Dependency| {
            dependency.kind != DependencyKind::Development || dependency.req != VersionReq::STAR
        };
        let waits = |package: &Package, left: &[&&Package]| {
            let mut needed = package.dependencies.iter().filter(is_needed);
            needed.any(|dependency| left.iter().any(|other| *other.name == dependency.name))
        };
        let (later, ready): (Vec<&&Package>, Vec<&&Package>) =
            left.iter().partition(|package| waits(package, &left));
        ensure!(!ready.is_empty(), "the dependencies go in a circle");
        order.extend(ready.iter().map(|package| package.name.to_string()));
        left = later;
    }
    Ok(order)
}

/// Runs git in the root of the workspace and returns what it printed.
fn git(context: &Context, arguments: &[&str]) -> Result<String> {
    read(context.workspace.root(), arguments)
}

fn read(root: &Path, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new("git").current_dir(root).args(arguments).output().context("cannot start git")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn every_crate_is_published_behind_those_that_it_needs() {
        let workspace = Workspace::load().expect("the tests run in the workspace");
        let order = order(&workspace.publishable()).expect("there is an order");
        let place =
            |name: &str| order.iter().position(|other| other == name).expect("the crate is published");
        assert!(place("chappe-crypto") < place("chappe-framing"));
        assert!(place("chappe-framing") < place("chappe-session"));
        assert!(place("chappe-server") < place("chappe-net"), "whose tests need it");
        assert!(place("chappe-net") < place("chappe"), "the facade re-exports it");
        assert_eq!(order.last().map(String::as_str), Some("chappe-cli"), "it uses the facade");
    }

    #[test]
    fn the_versions_and_the_change_log_of_this_workspace_are_in_order() {
        let workspace = Workspace::load().expect("the tests run in the workspace");
        versions(&workspace).expect("all crates share a version");
        change_log(&workspace).expect("the change log has lines");
    }

    #[test]
    fn only_lines_of_the_right_entry_count() {
        let text = "# Changes\n\n## Unreleased\n\n- a\n- b\n\n## 0.1.0 (2026-01-01)\n\n- c\n";
        assert_eq!(entry(text, "Unreleased"), 2);
        assert_eq!(entry(text, "0.1.0"), 1);
        assert_eq!(entry(text, "0.2.0"), 0);
    }

    #[test]
    fn what_is_gone_needs_a_higher_version_than_what_came() {
        let next = |last, breaks, adds| needed(&last, breaks, adds).to_string();
        assert_eq!(next(Version::new(0, 1, 3), true, true), "0.2.0");
        assert_eq!(next(Version::new(0, 1, 3), false, true), "0.1.4");
        assert_eq!(next(Version::new(1, 1, 3), true, false), "2.0.0");
        assert_eq!(next(Version::new(1, 1, 3), false, true), "1.2.0");
        assert_eq!(next(Version::new(1, 1, 3), false, false), "1.1.4");
    }
}
