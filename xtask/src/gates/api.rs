//! Snapshots of the public API, which show changes of signatures in review.
//!
//! The text is generated from rustdoc's JSON, whose format belongs to one version of rustc. With another version the gate is
//! skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::Package;
use clap::Args;

use super::{Context, Verdict};
use crate::shell::{self, Shell};
use crate::workspace::Workspace;

/// The environment variable of child processes in which this program replaces rustdoc.
const AS_RUSTDOC: &str = "CHAPPE_XTASK_AS_RUSTDOC";

/// The generated crate with thousands of types, which the gate `codegen` checks instead.
const GENERATED: &str = "chappe-tl-api";

/// Arguments of `cargo xtask api`.
#[derive(Args)]
pub(crate) struct Api {
    /// Writes the snapshots instead of comparing them.
    #[arg(long)]
    bless: bool,
}

impl Api {
    /// Compares or writes the snapshots.
    pub(crate) fn run(&self) -> Result<()> {
        let mut context = Context { workspace: Workspace::load()?, shell: Shell::loud() };
        if !self.bless {
            super::show("api", &run(&mut context)?);
            return Ok(());
        }
        let Some(current) = current(&context)? else { bail!("{}", other_rustdoc()) };
        for Snapshot { path, text } in current {
            if fs::read_to_string(&path).is_ok_and(|old| old == text) {
                continue;
            }
            fs::create_dir_all(path.with_file_name(""))?;
            fs::write(&path, text)?;
            println!("wrote {}", path.display());
        }
        Ok(())
    }
}

/// The API of one crate and its file.
struct Snapshot {
    path: PathBuf,
    text: String,
}

/// Compares each crate's API with its snapshot.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let Some(current) = current(context)? else { return Ok(Verdict::Skipped(other_rustdoc())) };
    let mut changed = Vec::new();
    for Snapshot { path, text } in &current {
        let old = fs::read_to_string(path).unwrap_or_default();
        let difference = difference(&old, text);
        if !difference.is_empty() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            context.shell.say(&format!("{name}:\n{difference}"))?;
            changed.push(name);
        }
    }
    if !changed.is_empty() {
        bail!(
            "the public API changed: {}; look at it, then run `cargo xtask api --bless`",
            changed.join(", ")
        );
    }
    Ok(Verdict::Passed(format!("{} crates", current.len())))
}

/// Returns the API of every publishable library, or `None` if this rustdoc writes another format.
fn current(context: &Context) -> Result<Option<Vec<Snapshot>>> {
    let libraries: Vec<&Package> = context
        .workspace
        .publishable()
        .into_iter()
        .filter(|package| package.name.as_str() != GENERATED)
        // A program has no API.
        .filter(|package| package.targets.iter().any(cargo_metadata::Target::is_lib))
        .collect();
    let mut doc = shell::cargo(context.workspace.root());
    doc.args(["doc", "--quiet", "--no-deps", "--all-features"]);
    for package in &libraries {
        doc.args(["-p", package.name.as_str()]);
    }
    // A folder of its own: in `target/doc` the pages of `cargo doc` would be replaced by JSON.
    let target = context.workspace.target().join("api");
    doc.arg("--target-dir").arg(&target);
    doc.env("RUSTDOC", crate::program()?).env(AS_RUSTDOC, "1").env("RUSTDOCFLAGS", "--cap-lints=allow");
    context.shell.run(&mut doc)?;
    let folder = target.join("doc");
    let mut snapshots = Vec::new();
    for package in libraries {
        let json = folder.join(package.name.replace('-', "_")).with_extension("json");
        if !is_readable(&json)? {
            return Ok(None);
        }
        let path = context.workspace.root().join("docs/api").join(format!("{}.txt", package.name));
        snapshots.push(Snapshot { path, text: render(&json)? });
    }
    Ok(Some(snapshots))
}

/// Returns whether the file has the format version that this program can read.
fn is_readable(json: &Path) -> Result<bool> {
    #[derive(serde::Deserialize)]
    struct Head {
        format_version: u32,
    }
    let text = fs::read_to_string(json).with_context(|| format!("rustdoc wrote no {}", json.display()))?;
    let head: Head = serde_json::from_str(&text)?;
    Ok(head.format_version == FORMAT)
}

/// Version of rustdoc's JSON that the pinned `public-api` reads: that of rustc 1.95.
const FORMAT: u32 = 57;

fn other_rustdoc() -> String {
    format!("the snapshots are read by rustdoc JSON {FORMAT} (rustc 1.95), and this rustc writes another")
}

/// Returns one sorted line per public item, without blanket and auto trait implementations.
fn render(json: &Path) -> Result<String> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .with_context(|| format!("cannot read {}", json.display()))?;
    let mut text = String::new();
    for line in api.items().map(ToString::to_string).filter(|line| !is_implied(line)) {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// Methods of derived traits.
const METHODS: &[&str] = &["clone", "fmt", "eq", "cmp", "partial_cmp", "hash", "drop", "default"];

/// Returns whether the line is implied by the line of an `impl`.
fn is_implied(line: &str) -> bool {
    if line.starts_with("impl core::marker::StructuralPartialEq") {
        return true;
    }
    let Some((path, _)) = line.split_once('(') else { return false };
    let implied = path.rsplit("::").next().is_some_and(|name| METHODS.contains(&name));
    line.starts_with("pub fn ") && implied && line.contains("self")
        || path.ends_with("::hash<__H: core::hash::Hasher>")
}

/// Returns the lines only in `old` with `-` and those only in `new` with `+`.
fn difference(old: &str, new: &str) -> String {
    let gone =
        old.lines().filter(|line| !new.lines().any(|other| other == *line)).map(|line| format!("-{line}"));
    let come =
        new.lines().filter(|line| !old.lines().any(|other| other == *line)).map(|line| format!("+{line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}

/// Runs rustdoc if cargo started this program in its place, and returns whether it succeeded.
///
/// JSON output needs a flag that stable compilers accept only with an environment variable. The variable is set only for
/// rustdoc: for cargo it would change the compilation of every dependency.
pub(crate) fn as_rustdoc() -> Option<Result<bool>> {
    std::env::var_os(AS_RUSTDOC)?;
    let mut rustdoc = Command::new("rustdoc");
    rustdoc.args(std::env::args_os().skip(1)).env_remove(AS_RUSTDOC).env("RUSTC_BOOTSTRAP", "1");
    let status = rustdoc.args(["-Zunstable-options", "--output-format=json"]).status();
    Some(status.map(|status| status.success()).context("cannot start rustdoc"))
}

#[cfg(test)]
mod checks {
    use super::{difference, is_implied};

    #[test]
    fn a_changed_signature_shows_as_one_line_gone_and_one_come() {
        assert_eq!(
            difference("pub fn a::f()\npub fn a::g()\n", "pub fn a::f(u8)\npub fn a::g()\n"),
            "-pub fn a::f()\n+pub fn a::f(u8)"
        );
    }

    #[test]
    fn methods_of_derives_are_left_to_the_line_of_the_impl() {
        assert!(is_implied("pub fn a::B::clone(&self) -> a::B"));
        assert!(!is_implied("pub fn a::B::seal(&self) -> a::B"));
        assert!(!is_implied("pub fn a::ct::eq(a: &[u8], b: &[u8]) -> bool"));
    }
}
