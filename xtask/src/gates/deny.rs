//! Licences, duplicate versions and sources of everything in the lock file.
//!
//! Reads `deny.toml`, in the format of `cargo-deny`, so that the file has one meaning for both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::Package;
use cargo_metadata::semver::{Version, VersionReq};
use serde::Deserialize;

use super::advisories::{self, Advisories};
use super::{Context, Verdict};

/// The part of `deny.toml` that this gate applies.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
    #[serde(default)]
    advisories: Advisories,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// An allowed duplicate version, and the reason.
#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    package: String,
    #[expect(dead_code, reason = "required in the file, for its readers")]
    reason: String,
}

impl Skip {
    /// Returns whether this entry, `name@requirement`, is about that version.
    fn covers(&self, name: &str, version: &Version) -> bool {
        let Some((package, requirement)) = self.package.split_once('@') else { return false };
        package == name && VersionReq::parse(requirement).is_ok_and(|wanted| wanted.matches(version))
    }
}

/// The only allowed source of third-party crates.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks every package of the dependency graph, and advisories if the database is available.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let path = context.workspace.root().join("deny.toml");
    let rules: Rules = toml::from_str(&fs::read_to_string(&path)?).context("deny.toml")?;
    let packages = context.workspace.third_party();
    let mut broken = Vec::new();
    broken.extend(packages.iter().filter_map(|package| licence(package, &rules.licenses.allow)));
    broken.extend(packages.iter().filter_map(|package| source(package)));
    let named: Vec<_> = packages.iter().map(|package| (package.name.as_str(), &package.version)).collect();
    broken.extend(duplicates(&named, &rules.bans.skip));
    broken.extend(context.workspace.publishable().into_iter().filter_map(build_script));
    broken.extend(explanations(context)?);
    let database = advisories::database();
    if let Some(database) = &database {
        broken.extend(advisories::check(database, &packages, &rules.advisories)?);
    }
    for line in &broken {
        context.shell.say(line)?;
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("; "));
    }
    let advisories = match database {
        Some(_) => "no advisory that is not explained",
        None => "advisories NOT checked: there is no checkout of the database",
    };
    Ok(Verdict::Passed(format!("{} third-party packages, {advisories}", packages.len())))
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
fn duplicates(packages: &[(&str, &Version)], skip: &[Skip]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&Version>> = BTreeMap::new();
    for (name, version) in packages {
        versions.entry(name).or_default().push(version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let mut found = Vec::new();
    for (name, versions) in &versions {
        let skipped = |version: &&&Version| skip.iter().any(|entry| entry.covers(name, version));
        if versions.iter().filter(|version| !skipped(version)).count() > 1 {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            found.push(format!("{name} is there in versions {}", versions.join(" and ")));
        }
    }
    let covers_one = |entry: &&Skip| {
        versions.iter().any(|(name, versions)| versions.iter().any(|version| entry.covers(name, version)))
    };
    let idle = skip.iter().filter(|entry| !covers_one(entry));
    found.extend(idle.map(|entry| format!("deny.toml skips {}, which is no duplicate", entry.package)));
    found
}

/// Returns a line for each crate that ships, or is asked for by name, and has no line in the document, and for
/// each crate in the document that is not in the graph.
fn explanations(context: &Context) -> Result<Vec<String>> {
    let document = context.workspace.root().join("docs/dependencies.md");
    let text = fs::read_to_string(&document).context("docs/dependencies.md")?;
    let explained = explained(&text);
    let shipped = context.workspace.shipped();
    let tools = context.workspace.members().into_iter().flat_map(|package| &package.dependencies);
    let third_party = context.workspace.third_party();
    let graph: BTreeSet<&str> = third_party.iter().map(|package| package.name.as_str()).collect();
    let direct = tools.map(|dependency| dependency.name.as_str()).filter(|name| graph.contains(name));
    let shipped_names: BTreeSet<&str> = shipped.into_iter().collect();
    let wanted: BTreeSet<&str> = shipped_names.iter().copied().chain(direct).collect();
    let runs_code =
        |name: &&str| third_party.iter().any(|package| *package.name == **name && has_script(package));
    let scripts: BTreeSet<&str> = shipped_names.iter().copied().filter(runs_code).collect();
    let listed = named(section(&text, "## Build scripts"));
    let of_scripts = scripts
        .symmetric_difference(&listed)
        .map(|name| format!("docs/dependencies.md is wrong about a build script of {name}"));
    let missing =
        wanted.difference(&explained).map(|name| format!("docs/dependencies.md does not explain {name}"));
    let idle = explained
        .difference(&graph)
        .map(|name| format!("docs/dependencies.md explains {name}, which is not used"));
    Ok(missing.chain(idle).chain(of_scripts).collect())
}

/// Returns the crates named in the first column of the tables.
fn explained(text: &str) -> BTreeSet<&str> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(" |").next());
    names
        .flat_map(|cell| cell.split('`').filter(|part| !part.is_empty() && !part.contains([' ', ','])))
        .collect()
}

/// Returns the text below a heading, up to the next one.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let rest = text.split_once(heading).map_or("", |(_, rest)| rest);
    rest.split("\n## ").next().unwrap_or_default()
}

/// Returns all code spans of a text.
fn named(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn has_script(package: &Package) -> bool {
    package.targets.iter().any(cargo_metadata::Target::is_custom_build)
}

/// Build scripts run on every machine that compiles the crates, so that published crates have none.
fn build_script(package: &Package) -> Option<String> {
    has_script(package).then(|| format!("{} has a build script", package.name))
}

#[cfg(test)]
mod checks {
    use cargo_metadata::semver::Version;

    use super::{Skip, duplicates, explained, named, section};

    const OLD: Version = Version::new(2, 0, 119);
    const NEW: Version = Version::new(3, 0, 1);

    fn skip(package: &str) -> Skip {
        Skip { package: package.to_owned(), reason: String::new() }
    }

    #[test]
    fn two_versions_are_refused_unless_one_is_named() {
        let both = [("syn", &OLD), ("syn", &NEW)];
        assert_eq!(duplicates(&both, &[]), ["syn is there in versions 2.0.119 and 3.0.1"]);
        assert!(duplicates(&both, &[skip("syn@2")]).is_empty());
    }

    #[test]
    fn an_entry_that_is_no_longer_needed_is_refused() {
        assert_eq!(
            duplicates(&[("syn", &NEW)], &[skip("syn@2")]),
            ["deny.toml skips syn@2, which is no duplicate"]
        );
    }

    #[test]
    fn a_section_ends_where_the_next_one_begins() {
        let text = "## A\n\n`x`\n\n## B\n\n`y`, `z`\n\n## C\n\n`w`\n";
        assert_eq!(named(section(text, "## B")).into_iter().collect::<Vec<_>>(), ["y", "z"]);
    }

    #[test]
    fn every_crate_of_a_first_column_counts_as_explained() {
        let text = "| crate | why |\n| `aes` | `x` |\n| `sha1`, `md-5` (somebody) | why |\ntext `hex`\n";
        assert_eq!(explained(text).into_iter().collect::<Vec<_>>(), ["aes", "md-5", "sha1"]);
    }
}
