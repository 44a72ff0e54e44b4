//! A store in a directory: a file for each slot.
//!
//! A state is written to a new file, which reaches the disk before it takes the old one's name: whatever happens in
//! between, the slot holds the old state or the new one. The file `lock` in the same directory is locked for as long as
//! the store lives, so that no second process uses the same keys; the system gives the lock back when a process dies.
//!
//! What is removed or replaced is unlinked, not overwritten: on the file systems and disks of today that would promise
//! more than it does.

use core::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::{KeyStore, MAX_STATE_LEN, Slot, StoreError, check_len};

/// Keeps states as files of one directory, readable by their owner alone, for one process at a time.
///
/// On Unix new files have mode 0600 and a new directory 0700. Elsewhere they inherit the directory's permissions: choose one
/// that is the user's own.
pub struct FileStore {
    directory: PathBuf,
    /// Held for its lock; see [`lock`].
    _lock: File,
    /// One change at a time, since a slot has one name for its new file.
    changes: Mutex<()>,
}

impl FileStore {
    /// Opens the store in a directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreError::InUse`] if another process, or another `FileStore` of this one, has it open, and if
    /// the directory or the lock cannot be had.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let directory = directory.into();
        make_private(&directory).map_err(|error| file_error("make", &directory, error))?;
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

    /// Makes a change of names last.
    fn sync_directory(&self) -> Result<(), StoreError> {
        // Windows cannot open a directory as a file, and writes names without being asked.
        if cfg!(unix) {
            let sync = File::open(&self.directory).and_then(|directory| directory.sync_all());
            sync.map_err(|error| file_error("sync", &self.directory, error))?;
        }
        Ok(())
    }
}

impl KeyStore for FileStore {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let path = self.path(slot);
        match File::open(&path) {
            Ok(file) => read(file, &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("open", &path, error)),
        }
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        check_len(state)?;
        let _one_at_a_time = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(slot);
        let new = path.with_extension("new");
        let written = write(&new, state).map_err(|error| file_error("write", &new, error));
        let renamed = written
            .and_then(|()| fs::rename(&new, &path).map_err(|error| file_error("replace", &path, error)));
        if renamed.is_err() {
            // Of no use to anybody, and it holds a key. Why it could not be written is the error that counts.
            let _ = fs::remove_file(&new);
        }
        renamed?;
        self.sync_directory()
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        let _one_at_a_time = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(slot);
        match fs::remove_file(&path) {
            Ok(()) => self.sync_directory(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file_error("remove", &path, error)),
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("directory", &self.directory).finish_non_exhaustive()
    }
}

fn file_error(action: &'static str, path: &Path, error: io::Error) -> StoreError {
    StoreError::File { action, path: path.to_owned(), error }
}

/// Takes the lock of the directory, or says who has it.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let error = |action| {
        let path = &path;
        move |error| file_error(action, path, error)
    };
    let mut options = private();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(error("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse { store: directory.display().to_string(), holder: holder(&file) });
        }
        Err(TryLockError::Error(cause)) => return Err(error("lock")(cause)),
    }
    file.set_len(0).and_then(|()| write!(file, "process {}", std::process::id())).map_err(error("write"))?;
    Ok(file)
}

/// Reads what the holder of the lock wrote about itself. Some systems do not allow that.
fn holder(file: &File) -> Option<String> {
    const MAX_LEN: u64 = 64;
    let mut text = String::new();
    file.take(MAX_LEN).read_to_string(&mut text).ok()?;
    text.strip_prefix("process ")?.parse::<u32>().ok()?;
    Some(text)
}

/// Reads a file into one block of memory, so that growing it leaves no copy behind.
fn read(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let error = |error| file_error("read", path, error);
    let len = file.metadata().map_err(error)?.len();
    let max = MAX_STATE_LEN;
    let fits =
        usize::try_from(len).ok().filter(|len| *len <= max).ok_or(StoreError::TooLarge { len, max })?;
    let mut state = Zeroizing::new(vec![0; fits]);
    let mut file = file;
    file.read_exact(&mut state).map_err(error)?;
    Ok(state)
}

/// Writes a file that was not there, and waits until the disk has it.
fn write(path: &Path, state: &[u8]) -> io::Result<()> {
    // Left by a process that died here. Its permissions may be anything.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private().write(true).create_new(true).open(path)?;
    file.write_all(state)?;
    file.sync_all()
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}
