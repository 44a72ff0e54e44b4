//! `cargo xtask limits`: `docs/limits.md`, every bound of every crate with its value and its reason.
//!
//! The page is read off the sources: public fields of the structs in [`STRUCTS`] with their defaults, and documented
//! constants that [`is_bound`] accepts. The reason is the doc comment. So the page cannot differ from the code.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::workspace;

/// The page, relative to the root of the repository.
const PAGE: &str = "docs/limits.md";

/// Structs whose public fields are bounds or time limits.
const STRUCTS: [&str; 17] = [
    "AgeLimits",
    "BackOff",
    "Budgets",
    "ConnectionLimits",
    "DialOptions",
    "EngineOptions",
    "LaneLimits",
    "ListenOptions",
    "LivenessPolicy",
    "Networks",
    "RateLimit",
    "ServerConfig",
    "ServerOptions",
    "SessionLimits",
    "TimeWindow",
    "Timing",
    "UpdateLimits",
];

/// Parts of names of constants that are bounds. A constant of type `Duration` is one whatever its name.
const NAME_PARTS: [&str; 17] = [
    "ATTEMPTS",
    "CAPACITY",
    "COMPLAINTS",
    "DELAY",
    "DEPTH",
    "FORMER",
    "KEPT",
    "LANES",
    "LIMIT",
    "MAX",
    "MIN",
    "MOST",
    "QUEUE",
    "RETRIES",
    "SENT_IDS",
    "SLACK",
    "UNIQUE_IDS",
];

/// Crates that are no part of a program that uses chappe.
const LEFT_OUT: [&str; 4] = ["chappe-bench", "chappe-conformance", "chappe-fuzz", "examples"];

/// Arguments of `cargo xtask limits`.
#[derive(Args)]
pub(crate) struct Limits {
    /// Compares the page instead of writing it.
    #[arg(long)]
    check: bool,
}

impl Limits {
    /// Writes or compares the page.
    pub(crate) fn run(&self) -> Result<()> {
        if self.check {
            println!("{PAGE}: {} bounds", check()?);
            return Ok(());
        }
        let bounds = bounds(&workspace::root()?)?;
        fs::write(workspace::root()?.join(PAGE), render(&bounds))
            .with_context(|| format!("cannot write {PAGE}"))?;
        println!("{PAGE}: {} bounds", bounds.len());
        Ok(())
    }
}

/// Compares the page with the sources and returns the number of bounds.
pub(crate) fn check() -> Result<usize> {
    let root = workspace::root()?;
    let bounds = bounds(&root)?;
    let found = fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    if found != render(&bounds) {
        bail!("{PAGE} is stale\nrun `cargo xtask limits`");
    }
    Ok(bounds.len())
}

/// One bound.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    krate: String,
    /// Relative to the root of the repository.
    file: String,
    name: String,
    /// The expression in the source.
    value: String,
    kind: String,
    reason: String,
}

fn bounds(root: &Path) -> Result<Vec<Bound>> {
    let mut bounds = Vec::new();
    let mut crates: Vec<PathBuf> = fs::read_dir(root.join("crates"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    crates.sort();
    for krate in crates {
        let name = krate.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        for path in rust_files(&krate.join("src"))? {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let file = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            bounds.extend(in_file(&name, &file, &text));
        }
    }
    ensure!(bounds.len() > 100, "only {} bounds were found", bounds.len());
    Ok(bounds)
}

/// Lists the Rust files below a folder, sorted. Leaves out generated code, kernels and tests.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(files) };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if !matches!(name.to_str(), Some("generated" | "backend")) {
                files.extend(rust_files(&path)?);
            }
        } else if name != "tests.rs" && path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Finds the bounds of a file.
fn in_file(krate: &str, file: &str, text: &str) -> Vec<Bound> {
    // Tests inside a file stand at its end.
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let mut bounds = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    let mut owner: Option<&str> = None;
    for line in code.lines() {
        let trimmed = line.trim();
        if let Some(comment) = trimmed.strip_prefix("///") {
            doc.push(comment.trim());
            continue;
        }
        if trimmed.starts_with("#[") {
            continue;
        }
        let bound = |name: String, kind: &str, value: String| Bound {
            krate: krate.to_owned(),
            file: file.to_owned(),
            name,
            value,
            kind: kind.rsplit("::").next().unwrap_or(kind).to_owned(),
            reason: first_paragraph(&doc),
        };
        if let Some(name) = trimmed.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            owner = STRUCTS.contains(&name).then_some(name);
        } else if line == "}" {
            owner = None;
        } else if let (Some(owner), Some((field, kind))) = (owner, field(trimmed)) {
            if let Some(value) = is_number(kind).then(|| default_of(code, owner, field)).flatten() {
                bounds.push(bound(format!("{owner}::{field}"), kind, value));
            }
        } else if let Some((name, kind, value)) = constant(trimmed)
            && !doc.is_empty()
            && is_bound(name, kind, value)
        {
            bounds.push(bound(name.to_owned(), kind, value.to_owned()));
        }
        doc.clear();
    }
    bounds
}

/// Splits `pub name: Type,`.
fn field(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("pub ")?.strip_suffix(',')?.split_once(": ")
}

/// Splits `const NAME: Type = value;`, whatever its visibility.
fn constant(line: &str) -> Option<(&str, &str, &str)> {
    let start = line.find("const ")?;
    ensure_visibility(&line[..start])?;
    let (name, rest) = line[start + "const ".len()..].strip_suffix(';')?.split_once(": ")?;
    let (kind, value) = rest.split_once(" = ")?;
    Some((name, kind, value))
}

fn ensure_visibility(before: &str) -> Option<()> {
    (before.is_empty() || before.starts_with("pub")).then_some(())
}

fn is_number(kind: &str) -> bool {
    let kind = kind.strip_prefix("Option<").and_then(|inner| inner.strip_suffix('>')).unwrap_or(kind);
    matches!(kind.rsplit("::").next(), Some("usize" | "u64" | "u32" | "u16" | "u8" | "Duration"))
}

/// Returns whether a constant is a bound rather than a constructor id or a length of the wire.
fn is_bound(name: &str, kind: &str, value: &str) -> bool {
    let is_duration = kind.ends_with("Duration");
    is_number(kind)
        && !value.starts_with("0x")
        && (is_duration || NAME_PARTS.iter().any(|part| name.contains(part)))
}

/// Finds the value that a constructor in the file gives a field: the first `field: value,` after `Self {`.
fn default_of(code: &str, owner: &str, field: &str) -> Option<String> {
    let prefix = format!("{field}: ");
    let opening = format!("{owner} {{");
    let blocks = code.split(opening.as_str()).skip(1).flat_map(|block| block.split("Self {").skip(1));
    for block in blocks {
        let body = block.split('}').next().unwrap_or(block);
        let flat = body.replace('\n', " ");
        for part in flat.split(", ").flat_map(|part| part.split(",  ")) {
            if let Some(value) = part.trim().trim_end_matches(',').strip_prefix(&prefix) {
                return Some(value.to_owned());
            }
        }
    }
    None
}

fn first_paragraph(doc: &[&str]) -> String {
    doc.split(|line| line.is_empty()).next().unwrap_or_default().join(" ")
}

/// Writes an expression of the source as a reader writes it: `Duration::from_secs(10)` is `10 s`.
fn plain(value: &str) -> String {
    let seconds = |unit: &str, rest: &str| rest.strip_suffix(')').map(|number| format!("{number} {unit}"));
    let value = value.strip_prefix("core::time::").unwrap_or(value);
    let duration = value
        .strip_prefix("Duration::from_secs(")
        .and_then(|rest| seconds("s", rest))
        .or_else(|| value.strip_prefix("Duration::from_millis(").and_then(|rest| seconds("ms", rest)));
    let optional = value.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')')).map(plain);
    let shifted = value.split_once(" << ").and_then(|(number, shift)| bytes(number, shift));
    duration.or(optional).or(shifted).unwrap_or_else(|| value.to_owned())
}

fn bytes(number: &str, shift: &str) -> Option<String> {
    match shift {
        "10" => Some(format!("{number} Ki")),
        "20" => Some(format!("{number} Mi")),
        _ => None,
    }
}

fn render(bounds: &[Bound]) -> String {
    let mut page = String::from(
        "# Limits\n\n\
         Every bound and time limit of every crate, with its default and its reason. `cargo xtask limits` writes this page \
         from\nthe sources; the gate of the same name compares it. Fields can be set, constants cannot. `Ki` and `Mi` are \
         1024 and 1024².\n",
    );
    let mut krate = "";
    for bound in bounds {
        if bound.krate != krate {
            krate = &bound.krate;
            let _ = write!(page, "\n## {krate}\n\n| bound | value | type | meaning |\n|---|---|---|---|\n");
        }
        let Bound { file, name, value, kind, reason, .. } = bound;
        let reason = reason.replace('|', "\\|").replace("[`", "`").replace("`]", "`");
        let reason = without_targets(&reason);
        let _ = writeln!(page, "| [`{name}`](../{file}) | {} | `{kind}` | {reason} |", plain(value));
    }
    page
}

/// Removes the targets of intra-doc links, which no page resolves: `` `x`(Self::x) `` becomes `` `x` ``.
fn without_targets(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find("`(") {
        let target = &rest[at + 2..];
        let Some(end) = target.find(')') else { break };
        out.push_str(&rest[..=at]);
        rest = &target[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod checks {
    use super::{in_file, plain, without_targets};

    const SOURCE: &str = "
/// Longest wait.
///
/// Details.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Constructor id of something.
pub const MAX_ID: u32 = 0x1234;
const MAX_UNDOCUMENTED: usize = 3;

/// Bounds.
pub struct UpdateLimits {
    /// Updates. Default 4096.
    pub count: usize,
    /// A name.
    pub name: String,
}

impl Default for UpdateLimits {
    fn default() -> Self {
        Self { count: 4096, name: String::new() }
    }
}
";

    #[test]
    fn fields_with_defaults_and_documented_constants_are_bounds() {
        let found = in_file("chappe", "src/x.rs", SOURCE);
        let shown: Vec<_> = found.iter().map(|bound| (bound.name.as_str(), plain(&bound.value))).collect();
        assert_eq!(shown, [("PATIENCE", "30 s".to_owned()), ("UpdateLimits::count", "4096".to_owned())]);
        assert_eq!(found[0].reason, "Longest wait.");
    }

    #[test]
    fn values_are_written_plainly() {
        assert_eq!(plain("64 << 20"), "64 Mi");
        assert_eq!(plain("Some(Duration::from_millis(250))"), "250 ms");
        assert_eq!(plain("MAX_IDS_PER_LIST"), "MAX_IDS_PER_LIST");
        assert_eq!(without_targets("see `x`(Self::x) and `y`"), "see `x` and `y`");
    }
}
