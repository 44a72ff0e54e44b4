//! Licences, duplicate versions and sources of everything in the lock file.
//!
//! Reads `deny.toml`, in the format of `cargo-deny`, and applies the rules that need no network: so
//! the file has one meaning, and whoever has `cargo-deny` can check advisories with it too.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::Package;
use serde::Deserialize;

use super::{Context, Verdict};
use crate::shell;

/// The part of `deny.toml` that this gate applies.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A version that may stand beside another one, and why.
#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    package: String,
    #[expect(dead_code, reason = "required in the file, for its readers")]
    reason: String,
}

/// The only place that third-party crates may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks every package of the dependency graph, and the advisories where that is possible.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let path = context.workspace.root().join("deny.toml");
    let rules: Rules = toml::from_str(&fs::read_to_string(&path)?).context("deny.toml")?;
    let packages = context.workspace.third_party();
    let mut broken = Vec::new();
    broken.extend(packages.iter().filter_map(|package| licence(package, &rules.licenses.allow)));
    broken.extend(packages.iter().filter_map(|package| source(package)));
    broken.extend(duplicates(&packages, &rules.bans.skip));
    broken.extend(context.workspace.members().into_iter().filter_map(build_script));
    for line in &broken {
        context.shell.say(line)?;
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("; "));
    }
    let advisories = advisories(context)?;
    Ok(Verdict::Passed(format!("{} third-party packages, {advisories}", packages.len())))
}

/// Asks `cargo-deny`, if there is one and it can have the advisory database.
fn advisories(context: &Context) -> Result<&'static str> {
    if !shell::has_cargo_command("deny") {
        return Ok("advisories not checked: cargo-deny is not installed");
    }
    let root = context.workspace.root();
    if context.shell.run(shell::cargo(root).args(["deny", "fetch", "db"])).is_err() {
        return Ok("advisories not checked: the database cannot be had");
    }
    context.shell.run(shell::cargo(root).args(["deny", "check", "advisories"]))?;
    Ok("no advisory")
}

fn licence(package: &Package, allowed: &[String]) -> Option<String> {
    let name = format!("{} {}", package.name, package.version);
    let Some(text) = &package.license else { return Some(format!("{name} has no licence expression")) };
    let Ok(expression) = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX) else {
        return Some(format!("{name}: cannot read the licence expression `{text}`"));
    };
    let may = |requirement: &spdx::LicenseReq| allowed.contains(&requirement.to_string());
    (!expression.evaluate(may)).then(|| format!("{name}: `{text}` is not allowed by deny.toml"))
}

fn source(package: &Package) -> Option<String> {
    let from = package.source.as_ref().map(|source| source.repr.as_str());
    (from != Some(REGISTRY)).then(|| format!("{} {} comes from {from:?}", package.name, package.version))
}

/// Returns a line for each crate in more versions than allowed, and for each entry that allows nothing.
fn duplicates(packages: &[&Package], skip: &[Skip]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in packages {
        versions.entry(package.name.as_str()).or_default().push(package.version.to_string());
    }
    let mut found = Vec::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let skipped =
            |version: &&String| skip.iter().any(|entry| entry.package == format!("{name}@{version}"));
        if versions.iter().filter(|version| !skipped(version)).count() > 1 {
            found.push(format!("{name} is there in versions {}", versions.join(" and ")));
        }
    }
    for entry in skip {
        let (name, version) = entry.package.split_once('@').unwrap_or((&entry.package, ""));
        let twice =
            versions.get(name).is_some_and(|all| all.len() > 1 && all.iter().any(|one| one == version));
        if !twice {
            found.push(format!("deny.toml skips {}, which is no duplicate", entry.package));
        }
    }
    found
}

/// Build scripts run on the machine of everyone who compiles; none of ours does.
fn build_script(package: &Package) -> Option<String> {
    let has = package.targets.iter().any(cargo_metadata::Target::is_custom_build);
    has.then(|| format!("{} has a build script", package.name))
}
