//! Why a store did not do what it was asked.

use core::fmt;
use std::io;
use std::path::PathBuf;

use chappe_session::client::StateError;

use super::Slot;

/// Why a store did not do what it was asked. None of the texts holds anything of a state.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else uses this store. Two that use one key at the same time make the datacenter give it up for both
    /// (`AUTH_KEY_DUPLICATED`).
    InUse {
        /// The store.
        store: String,
        /// Who says to hold it, such as the id of a process, if they said so.
        holder: Option<String>,
    },
    /// The state was found, and is not as it was written. It counts as missing (`SEC-08`).
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
    /// The operating system refused something about a file.
    File {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// What lies behind another implementation failed: a database, a network. Make one with [`StoreError::other`].
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Wraps an error of another implementation. It must not hold anything of a state.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { store, holder: Some(holder) } => write!(f, "{store} is in use by {holder}"),
            Self::InUse { store, holder: None } => write!(f, "{store} is in use"),
            Self::Damaged { slot, error } => write!(f, "slot {slot} cannot be used: {error}"),
            Self::TooLarge { len, max } => write!(f, "a state of {len} bytes is too large: at most {max}"),
            Self::File { action, path, error } => {
                write!(f, "cannot {action} {}: {error}", path.display())
            }
            Self::Other(error) => write!(f, "the store failed: {error}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged { error, .. } => Some(error),
            Self::File { error, .. } => Some(error),
            Self::Other(error) => Some(&**error),
            Self::InUse { .. } | Self::TooLarge { .. } => None,
        }
    }
}
