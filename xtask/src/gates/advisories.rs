//! Known vulnerabilities of the locked packages, from a checkout of the advisory database.
//!
//! The database is a git repository that not every build machine can reach, so nothing is fetched here: the checkout is
//! the one that `ADVISORY_DB` names, or one that `cargo audit` or `cargo deny` left behind. `deny.toml` lists the
//! known advisories that do not apply, each with its reason.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result};
use cargo_metadata::Package;
use cargo_metadata::semver::{Version, VersionReq};
use serde::Deserialize;

/// The part of `deny.toml` about advisories.
#[derive(Default, Deserialize)]
pub(super) struct Advisories {
    ignore: Vec<Ignored>,
}

/// A known advisory, and why it does not apply.
#[derive(Deserialize)]
struct Ignored {
    id: String,
    #[expect(dead_code, reason = "required in the file, for its readers")]
    reason: String,
}

/// The head of an advisory's file.
#[derive(Deserialize)]
struct Advisory {
    advisory: Facts,
    versions: Versions,
}

#[derive(Deserialize)]
struct Facts {
    id: String,
    withdrawn: Option<toml::Value>,
}

/// Versions that are not affected.
#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

impl Advisory {
    /// Reads the block of TOML at the beginning of a file.
    fn parse(text: &str) -> Result<Self> {
        let block = text.split_once("```toml").and_then(|(_, rest)| rest.split_once("```"));
        let (head, _) = block.context("no head")?;
        Ok(toml::from_str(head)?)
    }

    fn affects(&self, version: &Version) -> bool {
        let is_good = |range: &VersionReq| range.matches(version);
        let Versions { patched, unaffected } = &self.versions;
        self.advisory.withdrawn.is_none() && !patched.iter().chain(unaffected).any(is_good)
    }
}

/// Returns the checkout, if there is one.
pub(super) fn database() -> Option<PathBuf> {
    let is_database = |path: &PathBuf| path.join("crates").is_dir();
    if let Some(path) = env::var_os("ADVISORY_DB") {
        return Some(PathBuf::from(path)).filter(is_database);
    }
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")))?;
    let of_deny = fs::read_dir(home.join("advisory-dbs")).into_iter().flatten().flatten();
    let mut places = [home.join("advisory-db")].into_iter().chain(of_deny.map(|entry| entry.path()));
    places.find(is_database)
}

/// Returns a line for each advisory about one of the packages that `deny.toml` does not name, and for each that it
/// names for nothing.
pub(super) fn check(database: &Path, packages: &[&Package], known: &Advisories) -> Result<Vec<String>> {
    let mut used = Vec::new();
    let mut broken = Vec::new();
    for package in packages {
        for advisory in about(database, package.name.as_str())? {
            if !advisory.affects(&package.version) {
                continue;
            }
            let id = advisory.advisory.id;
            if known.ignore.iter().any(|entry| entry.id == id) {
                used.push(id);
            } else {
                broken.push(format!("{} {} is affected by {id}", package.name, package.version));
            }
        }
    }
    let idle = known.ignore.iter().filter(|entry| !used.contains(&entry.id));
    broken.extend(idle.map(|entry| format!("deny.toml ignores {}, which affects nothing here", entry.id)));
    Ok(broken)
}

/// Reads all advisories about a crate.
fn about(database: &Path, name: &str) -> Result<Vec<Advisory>> {
    let folder = database.join("crates").join(name);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry?.path();
        Advisory::parse(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())
    };
    fs::read_dir(folder)?.map(read).collect()
}

#[cfg(test)]
mod checks {
    use super::Advisory;

    const TEXT: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2099-0001\"\npackage = \"x\"\n\n[versions]\n\
                        patched = [\"^1.2.3\", \">= 2.0.1\"]\nunaffected = [\"< 0.9\"]\n```\n\n# Title\n";

    #[test]
    fn a_version_is_affected_unless_a_range_says_that_it_is_not() {
        let advisory = Advisory::parse(TEXT).expect("it is one");
        let affected = ["0.9.0", "1.2.2", "2.0.0", "2.1.0-rc.1"];
        let fine = ["0.8.9", "1.2.3", "1.9.0", "2.0.1", "3.0.0"];
        for version in affected {
            assert!(advisory.affects(&version.parse().expect("a version")), "{version}");
        }
        for version in fine {
            assert!(!advisory.affects(&version.parse().expect("a version")), "{version}");
        }
    }

    #[test]
    fn a_withdrawn_advisory_affects_nothing() {
        let text = TEXT.replace("package", "withdrawn = \"2099-01-01\"\npackage");
        let advisory = Advisory::parse(&text).expect("it is one");
        assert!(!advisory.affects(&"1.0.0".parse().expect("a version")));
    }
}
