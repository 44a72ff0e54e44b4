//! Why a session of another library cannot be used.

use core::fmt;

/// Why a session of another library cannot be used. No variant holds a part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportError {
    /// The text is not base64.
    NotBase64,
    /// No session of this library has this length.
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// The version of the format is unknown.
    UnknownVersion {
        /// The version, or the constructor id in its place.
        version: u32,
    },
    /// It is too short, too long, or has an invalid field.
    Malformed {
        /// The part that was being read.
        what: &'static str,
    },
    /// The session was saved before the library had made a key.
    NoKey,
    /// The key does not have 256 bytes.
    KeyLength {
        /// Its length in bytes.
        len: usize,
    },
    /// The id is not one that a datacenter can have.
    Datacenter {
        /// The id found.
        id: i64,
    },
    /// The address of the datacenter is neither an IP address nor a name.
    Server {
        /// Its length in bytes.
        len: usize,
    },
    /// The port is not one that a datacenter can have.
    Port {
        /// The port found.
        port: i64,
    },
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64 => f.write_str("the text is not base64"),
            Self::Length { len } => write!(f, "no session of this library has {len} bytes"),
            Self::UnknownVersion { version } => write!(f, "unknown version {version:#x} of the session"),
            Self::Malformed { what } => write!(f, "the session is malformed: {what}"),
            Self::NoKey => f.write_str("the session has no key"),
            Self::KeyLength { len } => write!(f, "the key has {len} bytes instead of 256"),
            Self::Datacenter { id } => write!(f, "{id} is not the id of a datacenter"),
            Self::Server { len } => write!(f, "the server's address of {len} bytes is not an address"),
            Self::Port { port } => write!(f, "{port} is not a port"),
        }
    }
}

impl core::error::Error for ImportError {}
