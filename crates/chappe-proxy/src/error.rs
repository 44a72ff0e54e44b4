//! Why a configuration cannot be used.

use core::fmt;
use std::io;
use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The text is not TOML, a key is unknown, or a value has the wrong type.
    Syntax {
        /// The line, the first one being 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A value cannot be used.
    Invalid {
        /// Where: the key, and the name of the user.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refuses a socket or randomness.
    System(io::Error),
}

impl ConfigError {
    pub(crate) fn invalid(key: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Invalid { key: key.into(), reason: reason.to_string() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "cannot use {}", path.display()),
            Self::Syntax { line, reason } => write!(f, "line {line}: {reason}"),
            Self::Invalid { key, reason } => write!(f, "{key}: {reason}"),
            Self::System(_) => f.write_str("operating system refuses"),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { error, .. } | Self::System(error) => Some(error),
            Self::Syntax { .. } | Self::Invalid { .. } => None,
        }
    }
}
