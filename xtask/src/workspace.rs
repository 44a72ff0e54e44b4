//! The workspace as `cargo metadata` describes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, NodeDep, Package, PackageId};

/// The packages of this workspace and their dependencies.
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Runs `cargo metadata` for all targets and features.
    pub(crate) fn load() -> Result<Self> {
        let mut command = MetadataCommand::new();
        command.manifest_path(root()?.join("Cargo.toml")).other_options(vec!["--all-features".into()]);
        Ok(Self { metadata: command.exec().context("cargo metadata failed")? })
    }

    /// Returns the folder of the root `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Returns the folder that builds write to.
    pub(crate) fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// Returns the packages of the workspace, sorted by name.
    pub(crate) fn members(&self) -> Vec<&Package> {
        let mut members = self.metadata.workspace_packages();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// Returns the packages of the workspace that may be published.
    pub(crate) fn publishable(&self) -> Vec<&Package> {
        let forbidden = |package: &&Package| package.publish.as_ref().is_some_and(Vec::is_empty);
        self.members().into_iter().filter(|package| !forbidden(package)).collect()
    }

    /// Returns whether a package of the workspace has an example of that name.
    pub(crate) fn has_example(&self, name: &str) -> bool {
        let mut targets = self.members().into_iter().flat_map(|package| &package.targets);
        targets.any(|target| target.is_example() && target.name == name)
    }

    /// Returns the names of the third-party packages that users of the published crates build on this platform.
    ///
    /// Development dependencies are left out, other platforms too.
    pub(crate) fn shipped(&self) -> BTreeSet<&str> {
        let Some(resolve) = &self.metadata.resolve else { return BTreeSet::new() };
        let mut todo: Vec<&PackageId> = self.publishable().into_iter().map(|package| &package.id).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                let node = resolve.nodes.iter().find(|node| node.id == *id);
                todo.extend(
                    node.into_iter()
                        .flat_map(|node| &node.deps)
                        .filter(|edge| ships(edge))
                        .map(|edge| &edge.pkg),
                );
            }
        }
        let third_party = self.third_party().into_iter().filter(|package| seen.contains(&package.id));
        third_party.map(|package| package.name.as_str()).collect()
    }

    /// Returns every package that is not of this workspace, for all targets.
    pub(crate) fn third_party(&self) -> Vec<&Package> {
        let ours = |package: &&Package| self.metadata.workspace_members.contains(&package.id);
        self.metadata.packages.iter().filter(|package| !ours(package)).collect()
    }
}

/// Returns whether a dependency is more than a development dependency, and not for other platforms only.
fn ships(edge: &NodeDep) -> bool {
    let here = |kind: &cargo_metadata::DepKindInfo| {
        let platform = kind.target.as_ref().map(ToString::to_string);
        let elsewhere =
            |target: String| ["windows", "wasm", "macos", "apple"].iter().any(|os| target.contains(os));
        kind.kind != DependencyKind::Development && !platform.is_some_and(elsewhere)
    };
    edge.dep_kinds.iter().any(here)
}

/// Returns the root folder of the workspace that contains the current folder, without running cargo.
///
/// The path is looked up at run time: clones that share a target folder share this program, too.
///
/// # Errors
///
/// Fails if the current folder is not in a checkout of this workspace.
pub(crate) fn root() -> Result<PathBuf> {
    let current = std::env::current_dir().context("cannot read the current folder")?;
    find_root(&current)
        .with_context(|| format!("{}: expected a folder of the chappe workspace", current.display()))
}

/// Returns the nearest folder at or above `from` that contains this program's package.
///
/// Packages such as `crates/chappe-bench` are workspaces of their own, so a manifest alone does not mark the root.
fn find_root(from: &Path) -> Option<PathBuf> {
    let is_root =
        |folder: &&Path| folder.join("xtask/Cargo.toml").is_file() && folder.join("Cargo.toml").is_file();
    from.ancestors().find(is_root).map(Path::to_owned)
}
