//! The recorded tables: a section between two markers, and in it a table for each group of cases.

use anyhow::{Context as _, Result};

/// Cases that were measured beside each other.
pub(super) struct Group {
    pub(super) title: String,
    pub(super) cases: Vec<Case>,
}

/// A row of a table, in nanoseconds.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Returns the groups of the section `section`, which is empty if nothing was measured.
pub(super) fn groups(page: &str, section: &str) -> Result<Vec<Group>> {
    let (begin, end) = (format!("<!-- begin {section} -->"), format!("<!-- end {section} -->"));
    let text = page.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    let (text, _) = text.with_context(|| format!("there is no section `{section}`"))?;
    let tables = text.split("\n#### ").skip(1);
    Ok(tables.filter_map(group).collect())
}

fn group(text: &str) -> Option<Group> {
    let (title, table) = text.split_once('\n')?;
    let cases: Vec<Case> = table.lines().filter_map(case).collect();
    (!cases.is_empty()).then(|| Group { title: title.trim().to_owned(), cases })
}

/// Reads `| name | median | low to high | rate |`. Other lines, the head of the table among them, are none.
fn case(line: &str) -> Option<Case> {
    let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
    let name = cells.next()?.to_owned();
    let median = cells.next()?.parse().ok()?;
    let (low, high) = cells.next()?.split_once(" to ")?;
    Some(Case { name, median, low: low.parse().ok()?, high: high.parse().ok()? })
}

#[cfg(test)]
mod checks {
    use super::groups;

    #[test]
    fn tables_are_read_from_their_section_alone() {
        let page = "<!-- begin a default -->\n#### One\n\n| case | ns | spread | rate |\n|---|---|---|---|\n\
                    | chappe | 10 | 9 to 12 | 1 /s |\n<!-- end a default -->\n#### Two\n| x | 1 | 1 to 1 | |";
        let found = groups(page, "a default").expect("the section is there");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].title, "One");
        let case = &found[0].cases[0];
        assert_eq!((case.name.as_str(), case.median, case.low, case.high), ("chappe", 10.0, 9.0, 12.0));
        assert!(groups(page, "b default").is_err());
    }
}
