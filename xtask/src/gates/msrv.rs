//! The minimum Rust version: checked by clippy's lint everywhere, and by that toolchain if rustup has it.
//!
//! The lint `incompatible_msrv` compares the standard library's items with the version. It does not check syntax and
//! dependencies, so the toolchain is the stronger proof.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::semver::Version;

use super::{Context, Verdict, clippy};
use crate::workspace::Workspace;

/// The lint, as `[workspace.lints.clippy]` in the root manifest names it.
const LINT: &str = "incompatible_msrv";

/// Checks that every package states the same version, that the lint is quiet, and that the toolchain builds.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let version = stated(&context.workspace)?;
    let manifest = std::fs::read_to_string(context.workspace.root().join("Cargo.toml"))?;
    ensure!(is_enabled(&manifest)?, "Cargo.toml does not enable the lint clippy::{LINT}");
    // The arguments of the gate `clippy`: cargo repeats its result.
    clippy::run(context)?;
    let name = format!("{}.{}", version.major, version.minor);
    let Some(toolchain) = installed(&name) else {
        return Ok(Verdict::Passed(format!(
            "Rust {name} by the lint clippy::{LINT} only: rustup has no toolchain {name}"
        )));
    };
    let mut check = Command::new("rustup");
    check.current_dir(context.workspace.root());
    check.args(["run", &toolchain, "cargo", "check", "--quiet", "--workspace", "--all-features"]);
    // The variables that cargo sets for this program would take precedence over the toolchain.
    check.env_remove("RUSTC").env_remove("RUSTDOC").env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    check.arg("--target-dir").arg(context.workspace.target().join("msrv"));
    context.shell.run(&mut check)?;
    Ok(Verdict::Passed(format!("Rust {name} by the lint clippy::{LINT} and by the toolchain {toolchain}")))
}

/// Returns the version that all packages of the workspace state.
fn stated(workspace: &Workspace) -> Result<Version> {
    let mut found: Option<Version> = None;
    for package in workspace.members() {
        let Some(version) = &package.rust_version else { bail!("{} has no rust-version", package.name) };
        let first = found.get_or_insert_with(|| version.clone());
        ensure!(first == version, "{} has the rust-version {version}, others have {first}", package.name);
    }
    found.context("the workspace has no packages")
}

/// Returns whether the root manifest sets the lint to `warn` or stricter.
fn is_enabled(manifest: &str) -> Result<bool> {
    let manifest: toml::Table = toml::from_str(manifest)?;
    let lints = manifest.get("workspace").and_then(|workspace| workspace.get("lints"));
    let level = lints.and_then(|lints| lints.get("clippy")?.get(LINT)?.as_str());
    Ok(level.is_some_and(|level| ["warn", "deny", "forbid"].contains(&level)))
}

/// Returns the name of rustup's toolchain of this version, if there is one.
fn installed(version: &str) -> Option<String> {
    let output = Command::new("rustup").args(["toolchain", "list", "--quiet"]).output().ok()?;
    named(&String::from_utf8_lossy(&output.stdout), version).map(str::to_owned)
}

/// Returns the toolchain of this version in a list with one toolchain a line.
fn named<'l>(list: &'l str, version: &str) -> Option<&'l str> {
    let is_it = |name: &&str| {
        name.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    };
    list.lines().filter_map(|line| line.split_whitespace().next()).find(is_it)
}

#[cfg(test)]
mod checks {
    use super::{is_enabled, named};

    #[test]
    fn a_toolchain_is_found_by_minor_version() {
        let list =
            "stable-x86_64-unknown-linux-gnu (active, default)\n1.90.0-x86_64\n1.89.0-x86_64\n1.8.0-x86_64\n";
        assert_eq!(named(list, "1.89"), Some("1.89.0-x86_64"));
        assert_eq!(named("1.89-x86_64\n", "1.89"), Some("1.89-x86_64"));
        assert_eq!(named(list, "1.9"), None);
    }

    #[test]
    fn a_lint_that_is_allowed_or_not_named_proves_nothing() {
        let lint = |level: &str| format!("[workspace.lints.clippy]\nincompatible_msrv = \"{level}\"\n");
        assert!(is_enabled(&lint("warn")).expect("it is TOML"));
        assert!(!is_enabled(&lint("allow")).expect("it is TOML"));
        assert!(!is_enabled("[workspace]\n").expect("it is TOML"));
    }
}
