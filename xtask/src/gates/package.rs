//! The archives to publish: complete metadata, and crates that build from their archives alone.
//!
//! The archives are unpacked side by side and checked together with the lock file of the workspace. A file outside a crate's
//! folder is missing there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::Package;

use super::{Context, Verdict};
use crate::shell;

/// Maximum size of an archive in the registry.
const ARCHIVE_LIMIT: u64 = 10 << 20;

/// Packs, unpacks and checks every publishable crate.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let packages = context.workspace.publishable();
    let gaps: Vec<String> = packages.iter().filter_map(|package| gaps(package)).collect();
    if !gaps.is_empty() {
        bail!("{}", gaps.join("; "));
    }
    let mut pack = shell::cargo(context.workspace.root());
    pack.args(["package", "--quiet", "--no-verify", "--allow-dirty"]);
    for package in &packages {
        pack.args(["-p", package.name.as_str()]);
    }
    context.shell.run(&mut pack)?;
    let folder = context.workspace.target().join("package-check");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let size = unpack(context, &packages, &folder)?;
    lay_out(context.workspace.root(), &packages, &folder)?;
    let mut check = shell::cargo(&folder);
    check.args(["check", "--quiet", "--workspace", "--all-targets", "--all-features", "--offline"]);
    context.shell.run(check.arg("--target-dir").arg(context.workspace.target()))?;
    Ok(Verdict::Passed(format!("{} crates, {} KiB", packages.len(), size >> 10)))
}

/// Returns the fields that a package's metadata lacks.
fn gaps(package: &Package) -> Option<String> {
    let lacks = [
        ("description", package.description.is_none()),
        ("license", package.license.is_none()),
        ("repository", package.repository.is_none()),
        ("readme", package.readme.is_none()),
        ("rust-version", package.rust_version.is_none()),
        ("categories", package.categories.is_empty()),
        ("keywords", package.keywords.is_empty()),
    ];
    let lacks: Vec<&str> = lacks.iter().filter(|(_, missing)| *missing).map(|(field, _)| *field).collect();
    (!lacks.is_empty()).then(|| format!("{} has no {}", package.name, lacks.join(", no ")))
}

/// Unpacks every archive into `folder` and returns the size of all archives.
fn unpack(context: &Context, packages: &[&Package], folder: &Path) -> Result<u64> {
    let mut total = 0;
    for package in packages {
        let name = format!("{}-{}.crate", package.name, package.version);
        let archive = context.workspace.target().join("package").join(&name);
        let size = fs::metadata(&archive).with_context(|| format!("no {}", archive.display()))?.len();
        ensure!(size <= ARCHIVE_LIMIT, "{name} has {size} bytes, more than the registry takes");
        total += size;
        // Archives have one fixed date. With it, cargo would not notice that files changed since the last run.
        context.shell.run(Command::new("tar").arg("-xzmf").arg(&archive).arg("-C").arg(folder))?;
    }
    Ok(total)
}

/// Creates a workspace of the unpacked crates with the same settings.
fn lay_out(root: &Path, packages: &[&Package], folder: &Path) -> Result<()> {
    let original: toml::Table = toml::from_str(&fs::read_to_string(root.join("Cargo.toml"))?)?;
    let place = |package: &&Package| format!("{}-{}", package.name, package.version);
    let path = |package: &&Package| {
        toml::Value::Table([("path".to_owned(), place(package).into())].into_iter().collect())
    };
    let members: Vec<toml::Value> = packages.iter().map(|package| place(package).into()).collect();
    let patch: toml::Table =
        packages.iter().map(|package| (package.name.to_string(), path(package))).collect();
    let mut manifest = toml::toml! {
        [workspace]
        resolver = "3"
        [patch]
    };
    set(&mut manifest, "workspace", "members", members.into());
    set(&mut manifest, "patch", "crates-io", patch.into());
    if let Some(profiles) = original.get("profile") {
        manifest.insert("profile".to_owned(), profiles.clone());
    }
    fs::write(folder.join("Cargo.toml"), toml::to_string(&manifest)?)?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}

fn set(manifest: &mut toml::Table, table: &str, key: &str, value: toml::Value) {
    if let Some(table) = manifest.get_mut(table).and_then(toml::Value::as_table_mut) {
        table.insert(key.to_owned(), value);
    }
}
