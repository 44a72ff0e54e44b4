//! The keys of a client in a file, so that its traffic can be read later.

use std::collections::VecDeque;
use std::env;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_crypto::AuthKey;

/// The environment variable that names the file of [`KeyLogFile::from_env`].
pub const KEY_LOG_FILE: &str = "MTPROTO_KEYLOGFILE";

/// Receives the keys of a client: those of its store, and permanent and temporary ones that it makes.
///
/// Set one with [`ConnectOptions::with_key_log`](crate::ConnectOptions::with_key_log). Without it, keys leave a client by its
/// store alone.
pub trait KeyLog: fmt::Debug + Send + Sync {
    /// Takes a key, before anything is sent under it.
    ///
    /// It is called outside of the client's locks, by the thread that brought the key. Whatever is to be sent waits until
    /// it returns, so it must not call the client.
    fn log(&self, key: &AuthKey);
}

/// Keys on their way from an engine, which does no I/O, to a log.
#[derive(Debug)]
pub(crate) struct KeyQueue {
    log: Arc<dyn KeyLog>,
    waiting: Mutex<VecDeque<AuthKey>>,
    /// Held while keys are logged.
    turn: Mutex<()>,
}

impl KeyQueue {
    pub(crate) fn new(log: Arc<dyn KeyLog>) -> Self {
        Self { log, waiting: Mutex::default(), turn: Mutex::default() }
    }

    /// Adds a key. Called under the lock of the engine.
    pub(crate) fn push(&self, key: &AuthKey) {
        lock(&self.waiting).push_back(key.clone());
    }

    /// Logs what waits, or blocks until another thread has logged it. Called without the lock of the engine, before
    /// anything is written that the engine lent under it.
    pub(crate) fn flush(&self) {
        let _turn = lock(&self.turn);
        loop {
            // The queue is free again before the log is called.
            let next = lock(&self.waiting).pop_front();
            let Some(key) = next else { return };
            self.log.log(&key);
        }
    }
}

/// Appends keys to a file, in the format that `chappe decrypt` and `chappe tap` read: `AUTH_KEY <id> <key>` in each line.
///
/// A reader of the file can read everything that was or will be sent under its keys. Only its owner can, where the file is
/// new and the system is Unix.
///
/// ```no_run
/// use std::sync::Arc;
/// use chappe_net::{ConnectOptions, KeyLogFile};
///
/// // Does nothing unless the environment names a file.
/// let options = ConnectOptions::production(2).with_key_log(Arc::new(KeyLogFile::from_env()));
/// ```
pub struct KeyLogFile(Option<Mutex<File>>);

impl KeyLogFile {
    /// Opens the file that the environment variable [`KEY_LOG_FILE`] names. Logs nothing if it names none, or if that file
    /// cannot be opened, which is reported as an event of `tracing`.
    pub fn from_env() -> Self {
        let Some(path) = env::var_os(KEY_LOG_FILE).filter(|path| !path.is_empty()) else {
            return Self(None);
        };
        Self::open(Path::new(&path)).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "key log cannot be opened");
            Self(None)
        })
    }

    /// Opens a file, and creates it if there is none.
    ///
    /// # Errors
    ///
    /// Those of opening.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        Ok(Self(Some(Mutex::new(options.open(path)?))))
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, key: &AuthKey) {
        let Some(file) = &self.0 else { return };
        let mut line = key.to_key_log_line();
        // The line was allocated at its size: one more byte may move it, and what it leaves behind is not wiped.
        line.reserve_exact(1);
        line.push('\n');
        // One write, so that lines of several programs do not mix.
        if let Err(error) = lock(file).write_all(line.as_bytes()) {
            tracing::warn!(%error, "key cannot be logged");
        }
    }
}

impl fmt::Debug for KeyLogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLogFile").field("is_open", &self.0.is_some()).finish()
    }
}
