//! `cargo xtask layers-proof`: the repository with each layer of the API in turn.
//!
//! Each layer is taken into a copy of the tracked files, as someone with a new schema would, so that the working tree stays
//! as it is. Copies and builds are kept in the target folder.

use std::fs;
use std::path::{Path, PathBuf};

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

/// What is built and tested with each layer: all that reads the generated types.
const TESTS: &[&[&str]] = &[
    &["check", "--workspace", "--all-targets", "--quiet"],
    &["test", "-p", "chappe-tl-api", "--quiet"],
    &["test", "-p", "chappe-conformance", "--test", "tl_api_types", "--quiet"],
];

/// What is tested with each layer on request.
const ALL: &[&[&str]] = &[&["test", "--workspace", "--quiet"]];

impl Proof {
    /// Takes each layer and tests it.
    pub(crate) fn run(&self) -> Result<()> {
        let root = workspace::root();
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

/// The schemas of all layers in the repository.
fn layers(root: &Path) -> Result<Vec<PathBuf>> {
    let history = fs::read_dir(root.join("tl-schema/history"))?;
    let mut files = history.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    files.push(root.join("tl-schema/api.tl"));
    Ok(files)
}

/// Copies the tracked files of the repository, in place of an earlier copy.
fn copy(root: &Path, copy: &Path) -> Result<PathBuf> {
    let listed = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root).output()?;
    ensure!(listed.status.success(), "`git ls-files` failed in {}", root.display());
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(name), copy.join(name));
        if from.is_file() {
            fs::create_dir_all(to.parent().context("a file has a folder")?)?;
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(copy.to_owned())
}
