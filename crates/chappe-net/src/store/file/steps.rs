//! Changes of files in an order that survives a crash at any point: a name holds the old content or the new one, whole.
//!
//! The errors carry the operation and the path that failed.

use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::disk::Disk;
use crate::store::StoreError;

type Done = Result<(), StoreError>;

/// Makes a directory and the ones above it that are missing.
///
/// Each is synced in its parent before the next one is made. What is found was made by a run that may have ended before
/// it synced: the lowest directory that exists is synced as well.
pub(super) fn make_directory(disk: &impl Disk, path: &Path) -> Done {
    let mut missing: Vec<&Path> = path.ancestors().filter(|path| !is_here(path)).collect();
    missing.retain(|path| !disk.exists(path));
    let found = path.ancestors().nth(missing.len()).filter(|path| !is_here(path));
    if let Some(found) = found {
        // A directory that somebody else made may lie in one that this user cannot read.
        let _ = disk.sync_directory(parent(found));
    }
    for directory in missing.into_iter().rev() {
        match disk.make_directory(directory) {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(|error| failed("make", directory, error))?,
        }
        let above = parent(directory);
        disk.sync_directory(above).map_err(|error| failed("sync", above, error))?;
    }
    Ok(())
}

/// Puts `content` in place of what a name holds.
pub(super) fn replace(disk: &impl Disk, path: &Path, content: &[u8]) -> Done {
    let new = beside(path);
    let replaced = write(disk, &new, content)
        .map_err(|error| failed("write", &new, error))
        .and_then(|()| disk.rename(&new, path).map_err(|error| failed("replace", path, error)));
    if replaced.is_err() {
        // It holds a key. Why it could not be written is the error that counts.
        let _ = disk.remove(&new);
    }
    replaced?;
    sync_names(disk, path)
}

/// Removes a file, and one beside it that a run left which ended while it wrote.
pub(super) fn remove(disk: &impl Disk, path: &Path) -> Done {
    let mut is_changed = false;
    for path in [path, &beside(path)] {
        match disk.remove(path) {
            Ok(()) => is_changed = true,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("remove", path, error)),
        }
    }
    if is_changed { sync_names(disk, path) } else { Ok(()) }
}

/// Gives a file a second name, the first of `names` that is not taken, and returns it; `None` if there is no file.
pub(super) fn keep_aside(
    disk: &impl Disk,
    path: &Path,
    names: impl Iterator<Item = PathBuf>,
) -> Result<Option<PathBuf>, StoreError> {
    if !disk.exists(path) {
        return Ok(None);
    }
    for aside in names {
        match second_name(disk, path, &aside) {
            Ok(()) => {
                sync_names(disk, path)?;
                return Ok(Some(aside));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("keep aside", path, error)),
        }
    }
    Ok(None)
}

/// Writes a new file, and returns once the disk has it.
fn write(disk: &impl Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    // Left by a process that died here. Its permissions may be anything.
    match disk.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = disk.create(path)?;
    file.write_all(content)?;
    disk.sync(&file)
}

/// Gives what has a name a second one, unless something has that already.
fn second_name(disk: &impl Disk, path: &Path, aside: &Path) -> io::Result<()> {
    match disk.link(path, aside) {
        // Some file systems know no hard links; there a copy does.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => copy(disk, path, aside),
        linked => linked,
    }
}

fn copy(disk: &impl Disk, path: &Path, aside: &Path) -> io::Result<()> {
    let mut file = disk.create(aside)?;
    let copied = disk.copy(path, &mut file).and_then(|()| disk.sync(&file));
    if copied.is_err() {
        // A part of a state is useless, and the next attempt needs the name.
        let _ = disk.remove(aside);
    }
    copied
}

fn sync_names(disk: &impl Disk, path: &Path) -> Done {
    let directory = parent(path);
    disk.sync_directory(directory).map_err(|error| failed("sync", directory, error))
}

/// Returns the name under which the next content of a file is written.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Returns the directory in which a name is.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !is_here(parent)).unwrap_or_else(|| Path::new("."))
}

/// Returns whether a path is the current directory, as the last ancestor of a relative path.
fn is_here(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

pub(super) fn failed(action: &'static str, path: &Path, error: io::Error) -> StoreError {
    StoreError::File { action, path: path.to_owned(), error }
}
