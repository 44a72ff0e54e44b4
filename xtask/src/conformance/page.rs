//! The page: a table for each section, and the count.

use std::fmt::Write as _;

use super::{Counts, Row};

const INTRODUCTION: &str = "\
# Conformance

Every rule that MTProto's [security guidelines](https://core.telegram.org/mtproto/security_guidelines) and the pages
around them put on a client (C), a server (S), both (B) or a proxy (P), with the code that enforces it and the tests that
prove it. A rule without a test has the reason.

Written by `cargo xtask conformance` from the names of the tests and from the places that cite a rule; do not edit. The
wording and the reasons stand in `xtask/src/conformance/rules.tsv`.
";

/// Returns the whole page.
pub(super) fn render(rows: &[Row]) -> String {
    let mut page = String::from(INTRODUCTION);
    let mut section = "";
    for row in rows {
        if row.rule.section != section {
            section = row.rule.section;
            let head =
                "| id | side | rule | enforced in | test, or why there is none |\n|---|---|---|---|---|";
            _ = writeln!(page, "\n## {section}\n\n{head}");
        }
        _ = writeln!(page, "{}", line(row));
    }
    page + &summary(rows)
}

fn line(row: &Row) -> String {
    let places: Vec<String> = row.places.iter().map(|path| link(&shortened(path), path)).collect();
    let tests = row.tests.iter().map(|test| link(&format!("`{}`", test.name), &test.file));
    let mut proofs: Vec<String> = tests.collect();
    if proofs.is_empty() {
        proofs.push(row.rule.reason.clone());
    }
    let rule = &row.rule;
    format!(
        "| <a id=\"{}\"></a>{} | {} | {} | {} | {} |",
        rule.name().to_lowercase(),
        rule.name(),
        rule.side,
        rule.text,
        places.join("<br>"),
        proofs.join("<br>")
    )
}

fn link(text: &str, path: &str) -> String {
    format!("[{text}](../{path})")
}

/// Leaves out of a path what is the same in all of them.
fn shortened(path: &str) -> String {
    path.trim_start_matches("crates/chappe-").replacen("/src/", "/", 1)
}

fn summary(rows: &[Row]) -> String {
    let Counts { proven, excused } = Counts::of(rows);
    format!(
        "\n## Count\n\n{} rules: {proven} have a test, {excused} have a reason why they need none here.\n",
        rows.len()
    )
}
