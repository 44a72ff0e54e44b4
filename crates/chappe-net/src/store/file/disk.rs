//! What a store asks of a file system, one system call a method.
//!
//! [`System`] is the file system of the machine. The tests of [`steps`](super::steps) use another one, which is cut off
//! after any of these calls and forgets what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Changes of files and directories. None of them follows a link in the last part of a path.
pub(super) trait Disk {
    /// A new file that is open for writing.
    type File: io::Write;

    /// Returns whether something has this name, be it a link that leads nowhere.
    fn exists(&self, path: &Path) -> bool;

    /// Makes a directory that only its owner can use. Its parent must exist.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the changes of names in a directory survive a crash of the machine.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that only its owner can use. Fails if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Makes the content of a file survive a crash of the machine.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Gives a file another name, in place of what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name. Fails if that is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Adds the content of a file to another one.
    fn copy(&self, from: &Path, to: &mut Self::File) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system of the machine.
pub(super) struct System;

impl Disk for System {
    type File = File;

    fn exists(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        // Windows cannot open a directory as a file, and writes names without being asked.
        if !cfg!(unix) {
            return Ok(());
        }
        match File::open(path)?.sync_all() {
            // Some file systems of networks know no such request.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            synced => synced,
        }
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        private().write(true).create_new(true).open(path)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn copy(&self, from: &Path, to: &mut File) -> io::Result<()> {
        // Opening a pipe would block until somebody writes to it.
        if !fs::symlink_metadata(from)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        io::copy(&mut File::open(from)?, to).map(drop)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// Returns options for a file that only its owner can use.
#[cfg(unix)]
pub(super) fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
pub(super) fn private() -> OpenOptions {
    OpenOptions::new()
}
