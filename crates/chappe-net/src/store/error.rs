//! Why a store failed.

use core::fmt;
use std::io;
use std::path::PathBuf;

use chappe_session::client::StateError;

use super::Slot;

/// Why a store failed. None of the texts contains anything of a state.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Another client, or another process, uses the store. Two sessions under one key from two places make the datacenter
    /// give the key up for both (`AUTH_KEY_DUPLICATED`).
    InUse {
        /// The store, or the slot in it.
        store: String,
        /// What the holder says about itself, such as the id of its process.
        holder: Option<String>,
    },
    /// The slot holds something that is not a state, or was written by a later version, or was changed since it was
    /// written (`SEC-08`). It was left as it is.
    Damaged {
        /// Where it was found.
        slot: Slot,
        /// What is wrong with it.
        error: StateError,
    },
    /// A state is larger than a store must keep.
    TooLarge {
        /// Its length in bytes.
        len: u64,
        /// The most that is allowed.
        max: usize,
    },
    /// A path that should be a regular file is something else: a directory, a pipe, a device, a symbolic link.
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Other users of the machine can write to the directory of a store: they could replace its keys.
    WritableByOthers {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The operating system refused an operation on a file.
    File {
        /// The operation.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// What lies behind another implementation failed: a database, a network. Made by [`StoreError::other`].
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Wraps an error of another implementation. It must not contain anything of a state.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Returns whether the slot holds something that cannot be read, now or later. Other errors do not tell what the slot
    /// holds.
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::TooLarge { .. } | Self::NotAFile { .. })
    }
}

/// What a person can do about a state that cannot be read.
const REPAIR: &str = "it was left as it is; restore it from a backup, or start afresh \
    (`ConnectOptions::with_fresh_start`), which keeps it aside and needs a new login";

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { store, holder: Some(holder) } => write!(f, "{store} is in use by {holder}"),
            Self::InUse { store, holder: None } => write!(f, "{store} is in use"),
            Self::Damaged { slot, error: StateError::UnknownVersion { .. } } => write!(
                f,
                "the saved state {slot} cannot be read by this version of the program; it was left as it is; \
                use the version that wrote it, or start afresh (`ConnectOptions::with_fresh_start`)"
            ),
            Self::Damaged { slot, .. } => write!(f, "the saved state {slot} cannot be read; {REPAIR}"),
            Self::TooLarge { len, max } => write!(f, "a state of {len} bytes is larger than {max}"),
            Self::NotAFile { path } => {
                write!(f, "{} is not a regular file; remove it, or choose another directory", path.display())
            }
            Self::WritableByOthers { path, mode } => write!(
                f,
                "other users can write to {}: its mode is {mode:o}; make it 700, or choose another directory",
                path.display()
            ),
            Self::File { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
            Self::Other(_) => f.write_str("the store of keys failed"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged { error, .. } => Some(error),
            Self::File { error, .. } => Some(error),
            Self::Other(error) => Some(&**error),
            Self::InUse { .. }
            | Self::TooLarge { .. }
            | Self::NotAFile { .. }
            | Self::WritableByOthers { .. } => None,
        }
    }
}
