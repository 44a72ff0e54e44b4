//! `cargo xtask layers-proof`: the repository with each layer of the API in turn.
//!
//! Each layer replaces the schema in a copy of the tracked files, so that the working tree is not changed. Copies and builds
//! are in the target folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::shell::{self, Shell};
use crate::workspace::{self, Workspace};

/// Arguments of `cargo xtask layers-proof`.
#[derive(Args)]
pub(crate) struct Proof {
    /// Schemas of layers; by default all in `tl-schema/`.
    files: Vec<PathBuf>,
    /// Runs all tests of the workspace with each layer, not only those of the generated types.
    #[arg(long)]
    all: bool,
}

/// The builds and tests for each layer: all packages that depend on the types of the API.
const TESTS: &[&[&str]] = &[
    &["check", "-p", "chappe", "--features", "api", "--quiet"],
    &["test", "-p", "chappe-tl-api", "--quiet"],
    &["test", "-p", "chappe-conformance", "--test", "tl_api_types", "--test", "tl_dynamic", "--quiet"],
];

/// The tests for each layer with `--all`.
const ALL: &[&[&str]] = &[&["xtask", "test"]];

impl Proof {
    /// Takes each layer and tests it.
    pub(crate) fn run(&self) -> Result<()> {
        let root = workspace::root()?;
        let scratch = Workspace::load()?.target().join("layers-proof");
        let files = if self.files.is_empty() { layers(&root)? } else { self.files.clone() };
        for file in &files {
            let file = file.canonicalize().with_context(|| format!("cannot read {}", file.display()))?;
            let copy = copy(&root, &scratch.join("copy"))?;
            let cargo = |arguments: &[&str]| {
                let mut command = shell::cargo(&copy);
                command.args(arguments).env("CARGO_TARGET_DIR", scratch.join("target"));
                command
            };
            let mut take = cargo(&["xtask", "codegen", "--schema"]);
            Shell::loud().run(take.arg(&file))?;
            Shell::loud().run(&mut cargo(&["xtask", "codegen", "--check"]))?;
            for test in if self.all { ALL } else { TESTS } {
                Shell::loud().run(&mut cargo(test))?;
            }
            println!("{}: generated, built and tested", file.display());
        }
        Ok(())
    }
}

/// Returns the schemas of all layers in the repository.
fn layers(root: &Path) -> Result<Vec<PathBuf>> {
    let history = fs::read_dir(root.join("tl-schema/history"))?;
    let mut files = history.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    files.push(root.join("tl-schema/api.tl"));
    Ok(files)
}

/// Copies the tracked files of the repository over an earlier copy. Equal files are not
/// written, so that cargo does not compile them again.
fn copy(root: &Path, copy: &Path) -> Result<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output()?;
    ensure!(listed.status.success(), "`git ls-files` failed in {}", root.display());
    let names = String::from_utf8(listed.stdout)?;
    let names: BTreeSet<&Path> = names.split_terminator('\0').map(Path::new).collect();
    fs::create_dir_all(copy)?;
    remove_others(copy, copy, &names)?;
    for name in names {
        let (from, to) = (root.join(name), copy.join(name));
        if !from.is_file() {
            continue;
        }
        let content = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        if fs::read(&to).is_ok_and(|old| old == content) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        fs::write(&to, content).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(copy.to_owned())
}

/// Removes the files of an earlier layer below `folder`.
fn remove_others(copy: &Path, folder: &Path, names: &BTreeSet<&Path>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(copy, &path, names)?;
        } else if !names.contains(path.strip_prefix(copy)?) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
