//! What `cargo metadata` says about the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The packages of this workspace and all that they depend on.
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo for the resolved dependency graph of all targets and features.
    pub(crate) fn load() -> Result<Self> {
        let mut command = MetadataCommand::new();
        command.manifest_path(manifest()).other_options(vec!["--all-features".into()]);
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

    /// Returns every package that is not of this workspace, for all targets.
    pub(crate) fn third_party(&self) -> Vec<&Package> {
        let ours = |package: &&Package| self.metadata.workspace_members.contains(&package.id);
        self.metadata.packages.iter().filter(|package| !ours(package)).collect()
    }
}

/// Returns the path of the root `Cargo.toml`: this package lies one folder below it.
fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml")
}

/// Returns the workspace's root folder without asking cargo.
pub(crate) fn root() -> PathBuf {
    let mut root = manifest();
    root.pop();
    root
}
