//! A store in a directory: a file for each slot.
//!
//! A save writes a new file, syncs it, renames it over the old one and syncs the directory: after a crash at any point the
//! slot holds the old state or the new one, whole ([`steps`]). The file `lock` in the directory is locked for as long as the store
//! lives, so that no second process uses the same keys; the system releases the lock when a process dies.
//!
//! What is removed or replaced is unlinked, not overwritten: on the file systems and disks of today overwriting would
//! promise more than it does.
//!
//! **Invariant:** only the owner can change names in the directory, which [`FileStore::open`] checks. So a path that
//! was checked cannot become a link or a pipe before it is opened.

mod disk;
#[cfg(test)]
mod simulated;
mod steps;

use core::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use zeroize::Zeroizing;

use self::disk::{Disk as _, System, private};
use self::steps::failed;
use super::{KeyStore, MAX_STATE_LEN, Slot, StoreError, check_len};

/// Keeps states as files of one directory, readable by their owner alone, for one process at a time.
///
/// On Unix a new directory gets mode 0700 and new files 0600, and a directory that others can write to is refused.
/// Elsewhere both inherit permissions: choose a directory that is the user's own.
pub struct FileStore {
    directory: PathBuf,
    /// Open for its lock; see [`lock`].
    _lock: File,
    /// One change at a time: a slot has one name for its new file.
    changes: Mutex<()>,
}

impl FileStore {
    /// Opens the store in a directory, and makes the directory if there is none.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreError::InUse`] if another process, or another `FileStore` of this one, has the store open, with
    /// [`StoreError::WritableByOthers`] if other users can change the directory, and if the directory or its lock cannot
    /// be opened.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let directory = directory.into();
        steps::make_directory(&System, &directory)?;
        refuse_writable_by_others(&directory)?;
        let lock = lock(&directory)?;
        Ok(Self { directory, _lock: lock, changes: Mutex::new(()) })
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, slot: Slot) -> PathBuf {
        self.directory.join(format!("{slot}.key"))
    }
}

impl KeyStore for FileStore {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let path = self.path(slot);
        // Asked before opening: opening a pipe blocks until somebody writes to it.
        match fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() => Err(StoreError::NotAFile { path }),
            Ok(_) => {
                let file = File::open(&path).map_err(|error| failed("open", &path, error))?;
                read(file, &path).map(Some)
            }
            // A link that leads nowhere is not an empty slot: its target may be on a disk that is not mounted.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !System.exists(&path) => Ok(None),
            Err(error) => Err(failed("open", &path, error)),
        }
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        check_len(state)?;
        let _one_at_a_time = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        steps::replace(&System, &self.path(slot), state)
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        let _one_at_a_time = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        steps::remove(&System, &self.path(slot))
    }

    /// Gives the file a second name, `SLOT.damaged-SECONDS` with the Unix time.
    fn keep_aside(&self, slot: Slot) -> Result<Option<String>, StoreError> {
        let _one_at_a_time = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(slot);
        let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let first = path.with_extension(format!("damaged-{seconds}"));
        let further = (1_u32..).map(|number| path.with_extension(format!("damaged-{seconds}-{number}")));
        let aside = steps::keep_aside(&System, &path, std::iter::once(first).chain(further))?;
        Ok(aside.map(|aside| aside.display().to_string()))
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Takes the lock of the directory, or reports its holder.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let mut file = open_lock(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse { store: directory.display().to_string(), holder: holder(&file) });
        }
        Err(TryLockError::Error(cause)) => return Err(failed("lock", &path, cause)),
    }
    let written = file.set_len(0).and_then(|()| write!(file, "process {}", std::process::id()));
    written.map_err(|error| failed("write", &path, error))?;
    Ok(file)
}

/// Opens the file of the lock, or makes it. Follows no link: its target would be overwritten.
fn open_lock(path: &Path) -> Result<File, StoreError> {
    let made = private().read(true).write(true).create_new(true).open(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map_err(|error| failed("make", path, error)),
    }
    let metadata = fs::symlink_metadata(path).map_err(|error| failed("open", path, error))?;
    if !metadata.is_file() {
        return Err(StoreError::NotAFile { path: path.to_owned() });
    }
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map_err(|error| failed("open", path, error))
}

/// Reads what the holder of the lock wrote about itself. Some systems do not allow that.
fn holder(file: &File) -> Option<String> {
    const MAX_LEN: u64 = 64;
    let mut text = String::new();
    file.take(MAX_LEN).read_to_string(&mut text).ok()?;
    text.strip_prefix("process ")?.parse::<u32>().ok()?;
    Some(text)
}

/// Reads a file into one block of memory, since a block that grows leaves copies behind.
fn read(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let error = |error| failed("read", path, error);
    let len = file.metadata().map_err(error)?.len();
    let max = MAX_STATE_LEN;
    let fits =
        usize::try_from(len).ok().filter(|len| *len <= max).ok_or(StoreError::TooLarge { len, max })?;
    let mut state = Zeroizing::new(vec![0; fits]);
    let mut file = file;
    file.read_exact(&mut state).map_err(error)?;
    Ok(state)
}

#[cfg(unix)]
fn refuse_writable_by_others(directory: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    const GROUP_AND_OTHERS_WRITE: u32 = 0o022;
    let metadata = fs::metadata(directory).map_err(|error| failed("open", directory, error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & GROUP_AND_OTHERS_WRITE != 0 {
        return Err(StoreError::WritableByOthers { path: directory.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn refuse_writable_by_others(_directory: &Path) -> Result<(), StoreError> {
    Ok(())
}
