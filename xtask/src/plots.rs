//! Plots of the tables in `docs/performance.md`, as SVG files beside it.
//!
//! The tables are the record; a plot is drawn from them, so that both always show the same figures.

mod draw;
mod tables;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use draw::{Bar, Chart, Role};
use tables::Group;

/// The page with the tables, from the root of the repository.
const PAGE: &str = "docs/performance.md";

/// The folder of the plots.
const FOLDER: &str = "docs/performance";

/// One file: charts of the groups of a section whose title starts with one of `groups`.
struct Plot {
    file: &'static str,
    section: &'static str,
    /// Empty for all groups of the section.
    groups: &'static [&'static str],
}

const PLOTS: &[Plot] = &[
    Plot {
        file: "messages.svg",
        section: "crypto default",
        groups: &[
            "open, 128 B",
            "open, 1 KiB",
            "open, 16 KiB",
            "open, 512 KiB",
            "seal, payload of 100 B",
            "seal, payload of 1 KiB",
            "seal, payload of 16 KiB",
            "seal, payload of 512 KiB",
        ],
    },
    Plot { file: "ige.svg", section: "crypto default", groups: &["IGE encrypt, ", "IGE decrypt, "] },
    Plot { file: "numbers.svg", section: "crypto default", groups: &["g^b", "a safe prime", "RSA_PAD"] },
    Plot { file: "handshake.svg", section: "handshake default", groups: &[] },
    Plot { file: "session.svg", section: "session default", groups: &[] },
    Plot { file: "net.svg", section: "net default", groups: &[] },
    Plot {
        file: "tl.svg",
        section: "tl default",
        groups: &["decode messages.messages", "encode messages.messages", "decode updates", "encode updates"],
    },
    Plot { file: "build.svg", section: "tl-build default", groups: &[] },
];

/// The rows of the overview: a label, and the group in which ours is compared with the fastest peer.
const OVERVIEW: &[(&str, &str, &str)] = &[
    ("open a frame of 128 B", "crypto default", "open, 128 B"),
    ("open a frame of 512 KiB", "crypto default", "open, 512 KiB"),
    ("seal a payload of 100 B", "crypto default", "seal, payload of 100 B"),
    ("seal a payload of 512 KiB", "crypto default", "seal, payload of 512 KiB"),
    ("handshake, the client's half", "handshake default", "the client's half"),
    ("64 calls, one in a packet", "session default", "out, one call in a packet"),
    ("64 calls, ten in a packet", "session default", "out, ten calls in a container"),
    ("64 answers, one in a packet", "session default", "in, one answer in a packet"),
    ("64 answers, ten in a packet", "session default", "in, ten answers in a container"),
    ("decode 100 messages", "tl default", "decode messages.messages, 100 messages"),
    ("encode 100 messages", "tl default", "encode messages.messages, 100 messages"),
    ("TCP: a call, one at a time", "net default", "Calls: 1 at a time"),
    ("TCP: a call, 64 at a time", "net default", "Calls: 64 at a time"),
    ("compile the API types, release", "tl-build default", "release, CPU time"),
];

/// The page with the short comparison, and the columns of its table: the peers' names as the tables begin them.
const README: &str = "README.md";
const COLUMNS: [&str; 3] = ["chappe", "grammers", "layer"];

/// Draws every plot for which there are figures, rewrites the table of `README.md`, and prints what was written.
pub(crate) fn write(root: &Path) -> Result<()> {
    let readme = with_comparison(root)?;
    fs::write(root.join(README), readme).with_context(|| format!("cannot write {README}"))?;
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {FOLDER}"))?;
    for (file, svg) in all(root)? {
        fs::write(folder.join(file), svg).with_context(|| format!("cannot write {FOLDER}/{file}"))?;
        println!("wrote {FOLDER}/{file}");
    }
    Ok(())
}

/// Returns the name and the text of every file.
fn all(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let page = fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let mut files = vec![("overview.svg", draw::svg(&[overview(&page)], 1)?)];
    for plot in PLOTS {
        let groups = tables::groups(&page, plot.section)?;
        let wanted = |group: &&Group| {
            plot.groups.is_empty() || plot.groups.iter().any(|start| group.title.starts_with(start))
        };
        let charts: Vec<Chart> = groups.iter().filter(wanted).map(chart).collect();
        if groups.is_empty() {
            continue;
        }
        ensure!(
            !charts.is_empty(),
            "{PAGE} has no table for {} in its section `{}`",
            plot.file,
            plot.section
        );
        files.push((plot.file, draw::svg(&charts, 2)?));
    }
    Ok(files)
}

/// Returns the chart of one table: a bar for each case.
fn chart(group: &Group) -> Chart {
    // Cases that work on many messages at once are compared by the byte, in the table of targets.
    let alone = group.cases.iter().filter(|case| !case.name.ends_with(" together"));
    let bars = alone.map(|case| Bar {
        label: case.name.clone(),
        value: case.median,
        spread: Some((case.low, case.high)),
        text: duration(case.median),
        role: role(&case.name),
    });
    Chart { title: group.title.clone(), bars: bars.collect(), mark: None }
}

/// Returns the chart of all comparisons: how many times as fast ours is as the fastest peer.
fn overview(page: &str) -> Chart {
    let ratio = |section: &str, title: &str| {
        let groups = tables::groups(page, section).ok()?;
        let group = groups.into_iter().find(|group| group.title == title)?;
        let own = |name: &str| !name.starts_with("a user's program");
        let of =
            |wanted| group.cases.iter().filter(move |case| own(&case.name) && role(&case.name) == wanted);
        let ours = of(Role::Ours).map(|case| case.median).next()?;
        let fastest = of(Role::Peer).map(|case| case.median).fold(f64::INFINITY, f64::min);
        fastest.is_finite().then(|| fastest / ours)
    };
    let bars = OVERVIEW.iter().filter_map(|(label, section, title)| {
        let value = ratio(section, title)?;
        let text = format!("{value:.2} ×");
        Some(Bar { label: (*label).to_owned(), value, spread: None, text, role: Role::Ours })
    });
    Chart {
        title: "How many times as fast as the fastest peer measured beside it".to_owned(),
        bars: bars.collect(),
        mark: Some(1.0),
    }
}

/// Returns `README.md` with the table between its markers made of the recorded tables.
fn with_comparison(root: &Path) -> Result<String> {
    const BEGIN: &str = "<!-- begin comparison -->\n";
    const END: &str = "<!-- end comparison -->";
    let readme = fs::read_to_string(root.join(README)).with_context(|| format!("cannot read {README}"))?;
    let page = fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let parts = readme.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| format!("{README} has no markers of the comparison"))?;
    let mut table = String::from("| work | chappe | grammers | layer |\n|---|---|---|---|\n");
    for (label, section, title) in OVERVIEW {
        let groups = tables::groups(&page, section)?;
        let Some(group) = groups.iter().find(|group| group.title == *title) else { continue };
        let cells = COLUMNS.map(|name| {
            let case = group.cases.iter().find(|case| case.name.starts_with(name));
            case.map_or_else(|| "–".to_owned(), |case| duration(case.median))
        });
        _ = writeln!(table, "| {label} | {} |", cells.join(" | "));
    }
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

/// Libraries of other projects, by the start of their names in the tables.
const PEERS: &[&str] = &[
    "grammers",
    "layer",
    "ferogram",
    "RustCrypto",
    "OpenSSL",
    "two of OpenSSL",
    "a user's program, grammers",
];

fn role(name: &str) -> Role {
    if PEERS.iter().any(|peer| name.starts_with(peer)) {
        Role::Peer
    } else if name.ends_with("chain") || name.ends_with("alone") {
        Role::Limit
    } else {
        Role::Ours
    }
}

/// Returns a time with a unit, in three digits.
fn duration(nanos: f64) -> String {
    let (value, unit) = match nanos {
        value if value < 1e3 => (value, "ns"),
        value if value < 1e6 => (value / 1e3, "µs"),
        value if value < 1e9 => (value / 1e6, "ms"),
        value => (value / 1e9, "s"),
    };
    match value {
        value if value < 10.0 => format!("{value:.2} {unit}"),
        value if value < 100.0 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod checks {
    use super::*;
    use crate::workspace;

    #[test]
    fn the_plots_show_the_figures_of_the_tables() {
        let root = workspace::root().expect("the tests run in the workspace");
        for (file, svg) in all(&root).expect("the page has its tables") {
            let committed = fs::read_to_string(root.join(FOLDER).join(file)).unwrap_or_default();
            assert!(committed == svg, "{file} is stale: run `cargo xtask bench --plot-only`");
        }
    }

    #[test]
    fn the_comparison_of_the_readme_shows_the_figures_of_the_tables() {
        let root = workspace::root().expect("the tests run in the workspace");
        let committed = fs::read_to_string(root.join(README)).expect("there is a README.md");
        let expected = with_comparison(&root).expect("the page has its tables");
        assert!(committed == expected, "{README} is stale: run `cargo xtask bench --plot-only`");
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        assert_eq!(duration(4.4), "4.40 ns");
        assert_eq!(duration(12_345.0), "12.3 µs");
        assert_eq!(duration(3_810_000_000.0), "3.81 s");
    }
}
