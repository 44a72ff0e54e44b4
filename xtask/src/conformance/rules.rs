//! The checklist as it stands in `rules.tsv`: a heading or a rule on each line.

use anyhow::{Context as _, Result, ensure};

/// Number of rules.
pub(super) const COUNT: u16 = 177;
/// How a reason begins that is none: of a rule that is ours and has no test.
pub(super) const NOT_YET: &str = "not yet proven";

const TABLE: &str = include_str!("rules.tsv");

/// One rule of the checklist.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: u16,
    /// The heading it stands under.
    pub(super) section: &'static str,
    /// Client, server, both or proxy.
    pub(super) side: &'static str,
    /// What must hold.
    pub(super) text: &'static str,
    /// Files that enforce it without citing it.
    pub(super) places: Vec<String>,
    /// Why there is no test.
    pub(super) reason: String,
}

impl Rule {
    /// Returns the id as it is cited.
    pub(super) fn name(&self) -> String {
        format!("SEC-{:02}", self.id)
    }
}

/// Reads the table.
pub(super) fn all() -> Result<Vec<Rule>> {
    let mut section = "";
    let mut rules = Vec::new();
    for (index, line) in TABLE.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("# ") {
            section = heading;
        } else {
            rules.push(read(section, line).with_context(|| format!("rules.tsv:{}: {line}", index + 1))?);
        }
    }
    let ids = rules.iter().map(|rule: &Rule| rule.id);
    ensure!(ids.eq(1..=COUNT), "rules.tsv: expected the rules 1 to {COUNT}, in order");
    Ok(rules)
}

/// Reads a line: id, side, rule, files, reason, with tabs between them; the last two may be missing.
fn read(section: &'static str, line: &'static str) -> Result<Rule> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    let (id, side, text, places, reason) = (next(), next(), next(), next(), next());
    ensure!(["B", "C", "P", "S"].contains(&side), "unknown side {side:?}");
    ensure!(!text.is_empty() && !text.contains('|'), "the rule is missing, or has a bar in it");
    let places = places.split_whitespace().map(|place| format!("crates/{place}")).collect();
    Ok(Rule { id: id.parse()?, section, side, text, places, reason: reason.to_owned() })
}

#[cfg(test)]
pub(super) fn sample() -> Rule {
    read("Section", "1\tB\tA rule").expect("a line in order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_end_after_the_rule_and_not_before() {
        let rule = read("Section", "7\tC\tText\tchappe-tl/src/lib.rs\tfor others").expect("a line in order");
        assert_eq!((rule.id, rule.name().as_str(), rule.reason.as_str()), (7, "SEC-07", "for others"));
        assert_eq!(rule.places, ["crates/chappe-tl/src/lib.rs"]);
        assert!(sample().reason.is_empty());
        for bad in ["7\tC", "7\tX\tText", "x\tC\tText", "7\tC\ta | b"] {
            assert!(read("Section", bad).is_err(), "{bad:?}");
        }
    }
}
