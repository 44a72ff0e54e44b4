//! Rules in the sources: citations in the code, names of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Files that cite rules without enforcing them: they name errors, bounds or whole chapters.
const ONLY_NAMING: &[&str] = &[
    "error.rs",
    "write_error.rs",
    "bind_error.rs",
    "transport_error_code.rs",
    "rule.rs",
    "lib.rs",
    "limits.rs",
    "refusal.rs",
    "counters.rs",
    "tests.rs",
];

/// A test named after one or more rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) name: String,
    /// Relative to the root of the repository.
    pub(super) file: String,
}

/// Citations and tests by rule.
#[derive(Default)]
pub(super) struct Sources {
    places: BTreeMap<u16, BTreeSet<String>>,
    tests: Vec<(Vec<u16>, Test)>,
}

impl Sources {
    /// Reads `src` and `tests` of every crate.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut sources = Self::default();
        for krate in sorted(&root.join("crates"))? {
            for (folder, is_code) in [("src", true), ("tests", false)] {
                for path in rust_files(&krate.join(folder))? {
                    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                    let file = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                    sources.add(&file, &text, is_code);
                }
            }
        }
        Ok(sources)
    }

    fn add(&mut self, file: &str, text: &str, is_code: bool) {
        let is_only_naming = ONLY_NAMING.iter().any(|name| file.ends_with(&format!("/{name}")));
        // Tests inside a file stand at its end.
        let code = text.split("#[cfg(test)]").next().unwrap_or(text);
        if is_code && !is_only_naming {
            for id in cited(code) {
                self.places.entry(id).or_default().insert(file.to_owned());
            }
        }
        for name in tests(text) {
            self.tests.push((ids(name), Test { name: name.to_owned(), file: file.to_owned() }));
        }
    }

    /// Returns the files that enforce a rule.
    pub(super) fn places(&self, id: u16) -> Vec<String> {
        self.places.get(&id).into_iter().flatten().cloned().collect()
    }

    /// Returns the tests that prove a rule.
    pub(super) fn tests(&self, id: u16) -> Vec<Test> {
        let proves = |(ids, _): &&(Vec<u16>, Test)| ids.contains(&id);
        self.tests.iter().filter(proves).map(|(_, test)| test.clone()).collect()
    }

    /// Returns the tests that are named after a rule above `last`, or after none.
    pub(super) fn strangers(&self, last: u16) -> impl Iterator<Item = &Test> {
        let is_known = move |id: &u16| (1..=last).contains(id);
        let strange = move |ids: &[u16]| ids.is_empty() || !ids.iter().all(is_known);
        self.tests.iter().filter(move |(ids, _)| strange(ids)).map(|(_, test)| test)
    }
}

/// Returns the rules that a text cites as `SEC-nn` or `SEC-nn to SEC-nn`.
fn cited(text: &str) -> BTreeSet<u16> {
    let mut ids = BTreeSet::new();
    let mut parts = text.split("SEC-");
    let mut range_from = parts.next().and(None);
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let Ok(id) = part[..digits].parse::<u16>() else { continue };
        ids.extend(range_from.unwrap_or(id)..=id);
        range_from = (&part[digits..] == " to ").then_some(id);
    }
    ids
}

/// Returns the names of the tests in a file that are named after rules.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    let mut has_attribute = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        let is_test = has_attribute;
        if line.starts_with("#[") {
            has_attribute |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            return None;
        }
        has_attribute &= line.starts_with("//");
        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn sec_")?;
        let name = &line[line.len() - rest.len() - "sec_".len()..];
        is_test.then(|| name.split('(').next().unwrap_or(name))
    })
}

/// Returns the rules in the name of a test: every `sec_` with a number behind it.
fn ids(name: &str) -> Vec<u16> {
    let numbers = name.split("sec_").skip(1).filter_map(|rest| rest.split('_').next());
    numbers.filter(|digits| digits.len() == 3).filter_map(|digits| digits.parse().ok()).collect()
}

/// Returns all Rust files below a folder, sorted; none if there is no such folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for path in sorted(folder)? {
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn ranges_are_cited_whole() {
        let text = "(SEC-30 to SEC-33); SEC-9, SEC-12 to 14. SEC-x SEC-40";
        assert_eq!(cited(text).into_iter().collect::<Vec<_>>(), [9, 12, 30, 31, 32, 33, 40]);
    }

    #[test]
    fn only_tests_count_and_a_name_may_prove_several_rules() {
        let text = "
            fn sec_001_a_helper() {}
            #[test]
            // why
            #[cfg(unix)]
            fn sec_002_and_sec_035_hold() {}
            #[tokio::test]
            async fn sec_043_too() {}
            fn sec_044_a_helper() {}
        ";
        let names: Vec<&str> = tests(text).collect();
        assert_eq!(names, ["sec_002_and_sec_035_hold", "sec_043_too"]);
        assert_eq!(ids(names[0]), [2, 35]);
    }

    #[test]
    fn a_test_named_after_no_rule_is_reported() {
        let mut sources = Sources::default();
        sources.add(
            "crates/x/src/y.rs",
            "#[test]\nfn sec_178_is_unknown() {}\n#[test]\nfn sec_177_is_known() {}",
            true,
        );
        let names: Vec<&str> = sources.strangers(177).map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["sec_178_is_unknown"]);
        assert_eq!(sources.tests(177).len(), 1);
    }

    #[test]
    fn citations_in_tests_and_in_lists_of_errors_are_no_places() {
        let mut sources = Sources::default();
        sources.add("crates/x/src/y.rs", "// SEC-20\n#[cfg(test)]\n// SEC-21", true);
        sources.add("crates/x/src/error.rs", "// SEC-22", true);
        sources.add("crates/x/tests/z.rs", "// SEC-23", false);
        assert_eq!(sources.places.keys().collect::<Vec<_>>(), [&20]);
    }
}
