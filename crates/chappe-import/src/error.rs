//! Why a session of another library cannot be used.

use core::fmt;

/// Why a session of another library cannot be used. Nothing of the key is ever part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportError {
    /// The text is not base64.
    NotBase64,
    /// The text or file has a length that none of this library's has.
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// It was written in a version of the format that is not known.
    UnknownVersion {
        /// The version, or the constructor id that stands in its place.
        version: u32,
    },
    /// It ends too early, goes on too long or has a field that cannot be.
    Malformed {
        /// Where: which part was being read.
        what: &'static str,
    },
    /// The library had not made a key when it wrote this.
    NoKey,
    /// The key does not have 256 bytes.
    KeyLength {
        /// Its length in bytes.
        len: usize,
    },
    /// There is no such datacenter.
    Datacenter {
        /// The id found.
        id: i64,
    },
    /// The address of the datacenter is neither an IP address nor a name.
    Server {
        /// Its length in bytes.
        len: usize,
    },
    /// The port of the datacenter cannot be.
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
            Self::Datacenter { id } => write!(f, "there is no datacenter {id}"),
            Self::Server { len } => write!(f, "the {len} bytes in place of an address are none"),
            Self::Port { port } => write!(f, "there is no port {port}"),
        }
    }
}

impl core::error::Error for ImportError {}
