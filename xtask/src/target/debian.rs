//! Packages of Debian, unpacked into a folder without being installed.
//!
//! apt runs with a configuration, lists and an empty record of installed packages of its own, so that the machine's are not
//! touched. It knows the machine's sources and keys, and verifies what it downloads with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::Shell;

/// Libraries that a package needs and the machine has: a second C library in one process would not work.
const ALWAYS_THERE: &[&str] = &["libc6", "libgcc-s1", "libstdc++6"];

/// The folder of the packages.
pub(super) struct Debian {
    folder: PathBuf,
}

impl Debian {
    /// Prepares the folder.
    pub(super) fn new(folder: PathBuf) -> Result<Self> {
        for name in ["state/lists/partial", "cache/archives/partial", "archives", "unpacked", "root"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let (state, cache) = (folder.join("state"), folder.join("cache"));
        fs::write(state.join("status"), "")?;
        let configuration = format!(
            "APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; \"arm64\"; }};\n\
             Dir::State \"{state}\";\nDir::State::status \"{state}/status\";\nDir::Cache \"{cache}\";\n\
             APT::Sandbox::User \"\";\nAcquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n",
            state = state.display(),
            cache = cache.display(),
        );
        fs::write(folder.join("apt.conf"), configuration)?;
        Ok(Self { folder })
    }

    /// Returns the folder that stands for `/`.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Returns whether a package is unpacked.
    pub(super) fn has(&self, package: &str) -> bool {
        self.mark(package).exists()
    }

    /// Brings the lists of packages up to date.
    pub(super) fn update(&self, shell: &Shell) -> Result<()> {
        shell.run(self.apt("apt-get").args(["--quiet", "update"]))
    }

    /// Returns the packages that `package` depends on, without those that every machine has.
    pub(super) fn dependencies(&self, shell: &Shell, package: &str) -> Result<Vec<String>> {
        let mut command = self.apt("apt-cache");
        command.args(["depends", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"]);
        command.args(["--no-replaces", "--no-enhances", package]);
        Ok(named_as_dependencies(&shell.read(&mut command)?))
    }

    /// Downloads and unpacks those of the packages that are not unpacked yet.
    pub(super) fn unpack(&self, shell: &Shell, packages: &[String]) -> Result<()> {
        let missing: Vec<&String> = packages.iter().filter(|package| !self.has(package)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let archives = self.folder.join("archives");
        empty(&archives)?;
        let mut download = self.apt("apt-get");
        shell.run(download.current_dir(&archives).args(["--quiet", "download"]).args(&missing))?;
        for entry in fs::read_dir(&archives)? {
            let mut unpack = Command::new("dpkg-deb");
            shell.run(unpack.arg("--extract").arg(entry?.path()).arg(self.root()))?;
        }
        for package in missing {
            fs::write(self.mark(package), "")?;
        }
        empty(&archives)
    }

    fn mark(&self, package: &str) -> PathBuf {
        self.folder.join("unpacked").join(package)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).env("LC_ALL", "C");
        command
    }
}

/// Removes the files in a folder.
fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// Returns the packages that the output of `apt-cache depends` names, each once.
fn named_as_dependencies(output: &str) -> Vec<String> {
    let mut names: Vec<String> = output
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("Depends: "))
        .filter(|name| !name.starts_with('<') && !ALWAYS_THERE.contains(name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod checks {
    use super::named_as_dependencies;

    #[test]
    fn dependencies_are_read_without_virtual_ones_and_the_c_library() {
        let output = "lld-22\n  Depends: libc6\n  Depends: libllvm22\n |Depends: zlib1g\n  Depends: <editor>\n    nano\n";
        assert_eq!(named_as_dependencies(output), ["libllvm22"]);
    }
}
