//! The `no_std` proof: `xtask/no-std-proof` is built without `std` and libc, and run.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Context, Verdict};
use crate::shell;

/// Whether the program can run on this machine.
const HERE: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// Flags that link nothing besides the Rust code.
const LINK: &[&str] = &[
    "-Crelocation-model=static",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-no-pie",
];

/// Builds the program with the versions of the workspace's lock file, and runs it.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    if !HERE {
        return Ok(Verdict::Skipped("the program is written for x86-64 Linux".to_owned()));
    }
    let root = context.workspace.root();
    let folder = root.join("xtask/no-std-proof");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).context("cannot copy the lock file")?;
    let target = context.workspace.target().join("no-std-proof");
    let mut build = shell::cargo(root);
    build.args(["rustc", "--quiet", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    build.arg("--target-dir").arg(&target).arg("--").args(LINK);
    context.shell.run(&mut build)?;
    context.shell.run(&mut Command::new(target.join("debug/no-std-proof")))?;
    Ok(Verdict::Passed("linked without std and libc, and ran".to_owned()))
}
