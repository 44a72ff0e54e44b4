//! `cargo xtask conformance`: `docs/conformance.md`, the checklist with the place and the test of each rule.
//!
//! The rules are listed in `conformance/rules.tsv`. The places that enforce them are found by the citations `SEC-nn` in the
//! sources, the tests by their names (`sec_021_…`). The page therefore cannot claim a test that does not exist.

mod page;
mod rules;
mod sources;

use std::fs;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::workspace;
use rules::Rule;
use sources::Sources;

/// The page, relative to the root of the repository.
const PAGE: &str = "docs/conformance.md";

/// Arguments of `cargo xtask conformance`.
#[derive(Args)]
pub(crate) struct Conformance {
    /// Compares the page instead of writing it.
    #[arg(long)]
    check: bool,
}

/// The number of rules in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// A test proves them.
    pub(crate) proven: usize,
    /// They concern other software, or have no subject here.
    pub(crate) excused: usize,
}

/// A rule with its places and tests.
struct Row {
    rule: Rule,
    /// Files that enforce it, relative to the root of the repository.
    places: Vec<String>,
    tests: Vec<sources::Test>,
}

impl Conformance {
    /// Runs the task.
    pub(crate) fn run(&self) -> Result<()> {
        let counts = if self.check { check()? } else { write()? };
        println!("{PAGE}: {counts}");
        Ok(())
    }
}

/// Compares the page with the rules and the tests, and counts.
pub(crate) fn check() -> Result<Counts> {
    let rows = rows()?;
    let path = workspace::root()?.join(PAGE);
    let found = fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    let expected = page::render(&rows);
    if let Some((left, right)) = found.lines().zip(expected.lines()).find(|(left, right)| left != right) {
        bail!("{PAGE} is stale\n  has:    {left}\n  should: {right}\nrun `cargo xtask conformance`");
    }
    if found != expected {
        bail!("{PAGE} is stale: its length differs\nrun `cargo xtask conformance`");
    }
    Ok(Counts::of(&rows))
}

fn write() -> Result<Counts> {
    let rows = rows()?;
    fs::write(workspace::root()?.join(PAGE), page::render(&rows))
        .with_context(|| format!("cannot write {PAGE}"))?;
    Ok(Counts::of(&rows))
}

/// Joins the rules with the sources. Fails if a rule has neither a test nor a reason.
fn rows() -> Result<Vec<Row>> {
    let root = workspace::root()?;
    let sources = Sources::read(&root)?;
    let mut problems = Vec::new();
    let mut rows = Vec::new();
    for rule in rules::all()? {
        let mut places = sources.places(rule.id);
        for place in &rule.places {
            if !root.join(place).is_file() {
                problems.push(format!("{}: there is no {place}", rule.name()));
            }
            if !places.contains(place) {
                places.push(place.clone());
            }
        }
        let tests = sources.tests(rule.id);
        let row = Row { rule, places, tests };
        problems.extend(row.problem());
        rows.push(row);
    }
    for test in sources.strangers(rules::COUNT) {
        problems.push(format!("{} names no rule", test.name));
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(rows)
}

impl Row {
    /// Returns what is missing or superfluous: a rule has either tests or a reason for having none.
    fn problem(&self) -> Option<String> {
        let name = self.rule.name();
        match (self.tests.is_empty(), self.rule.reason.as_str()) {
            (true, "") => Some(format!("{name}: neither a test nor a reason")),
            (true, reason) if reason.starts_with(rules::NOT_YET) => Some(format!("{name}: {reason}")),
            (false, reason) if !reason.is_empty() => {
                Some(format!("{name}: has tests, and a reason for having none"))
            }
            _ => None,
        }
    }
}

impl Counts {
    fn of(rows: &[Row]) -> Self {
        let proven = rows.iter().filter(|row| !row.tests.is_empty()).count();
        Self { proven, excused: rows.len() - proven }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { proven, excused } = self;
        write!(f, "{proven} rules with a test, {excused} with a reason")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_one_row_and_every_row_is_counted() {
        let rows = rows().expect("the repository is in order");
        let ids: Vec<u16> = rows.iter().map(|row| row.rule.id).collect();
        assert_eq!(ids, (1..=rules::COUNT).collect::<Vec<_>>());
        let Counts { proven, excused } = Counts::of(&rows);
        assert_eq!(proven + excused, rows.len());
        assert!(proven > 100, "{proven}");
    }

    #[test]
    fn a_rule_without_test_and_without_reason_is_refused() {
        let test = || sources::Test { name: "sec_001_holds".to_owned(), file: "tests/rules.rs".to_owned() };
        let row = |reason: &str, tests: Vec<sources::Test>| Row {
            rule: Rule { reason: reason.to_owned(), ..rules::sample() },
            places: Vec::new(),
            tests,
        };
        let problem = row("", Vec::new()).problem().expect("nothing stands for it");
        assert_eq!(problem, "SEC-01: neither a test nor a reason");
        assert!(row("not yet proven: later", Vec::new()).problem().is_some(), "a promise is no reason");
        assert!(row("for the application", vec![test()]).problem().is_some(), "one of the two is wrong");
        assert_eq!(row("for the application", Vec::new()).problem(), None);
        assert_eq!(row("", vec![test()]).problem(), None);
    }
}
