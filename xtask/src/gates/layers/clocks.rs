//! The rule that engines get time and randomness as arguments.
//!
//! Only drivers, stores and convenience functions behind features read a clock or ask the operating system for randomness. They
//! are listed here by file, so an engine cannot begin to do so unnoticed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Crates that the rule holds for, besides those that drivers use.
const CRATES: &[&str] = &["chappe-import", "chappe-net", "chappe-server"];

/// Files that may read clocks and randomness, below `crates/`.
const EDGES: &[&str] = &[
    // The functions that read them.
    "chappe-crypto/src/rng.rs",
    "chappe-framing/src/system_clock.rs",
    "chappe-framing/src/unix_time.rs",
    // Convenience functions behind `std` and `getrandom`.
    "chappe-handshake/src/steps.rs",
    "chappe-session/src/encrypted/system.rs",
    "chappe-session/src/plain.rs",
    // Drivers of clients.
    "chappe-net/src/block_on.rs",
    "chappe-net/src/blocking/mod.rs",
    "chappe-net/src/client/handle.rs",
    "chappe-net/src/driver/tokio.rs",
    // Drivers of servers, the clock that they give to an engine, and a store.
    "chappe-server/src/blocking.rs",
    "chappe-server/src/blocking_front.rs",
    "chappe-server/src/clock.rs",
    "chappe-server/src/directory/file.rs",
    "chappe-server/src/handshake_workers.rs",
    "chappe-server/src/shared.rs",
    "chappe-server/src/tokio.rs",
];

/// What reads a clock or asks for randomness.
const READINGS: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "UnixTime::now",
    "Now::from_system",
    "Drbg::from_os",
    "OsRng",
    "SysRng",
    "getrandom::",
    "thread_rng",
    "rand::rng(",
];

/// Returns a line for each reading outside of the edges.
pub(super) fn violations(root: &Path, machines: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for name in machines.iter().chain(CRATES) {
        let folder = root.join("crates").join(name).join("src");
        for path in sources(&folder)? {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let path = path.strip_prefix(root.join("crates")).unwrap_or(&path).display().to_string();
            if !EDGES.contains(&&*path) {
                found.extend(readings(&text).map(|(line, reading)| {
                    format!("{path}:{line} is no edge and has `{reading}`: take it as an argument")
                }));
            }
        }
    }
    Ok(found)
}

/// Returns all Rust files of a folder that are not tests.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests" || stem == "test_util");
        if is_test {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the readings in front of the unit tests, with their lines, comments left out.
fn readings(text: &str) -> impl Iterator<Item = (usize, &'static str)> {
    let code = text.lines().take_while(|line| *line != "#[cfg(test)]");
    code.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")).filter_map(|(at, line)| {
        READINGS.iter().find(|reading| line.contains(**reading)).map(|reading| (at + 1, *reading))
    })
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn a_reading_is_found_but_in_comments_and_tests() {
        let text =
            "// Instant::now\nlet now = Instant::now();\n#[cfg(test)]\nlet now = Now::from_system();\n";
        assert_eq!(readings(text).collect::<Vec<_>>(), [(2, "Instant::now")]);
    }

    #[test]
    fn every_edge_is_a_file_that_needs_to_be_one() {
        let root = crate::workspace::root().expect("a workspace");
        for edge in EDGES {
            let text = fs::read_to_string(root.join("crates").join(edge)).unwrap_or_default();
            assert!(readings(&text).next().is_some(), "{edge}");
        }
    }
}
