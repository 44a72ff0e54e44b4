//! Why a session of another library cannot be used.

use core::fmt;

/// Why a session of another library cannot be used.
///
/// No variant holds a byte of the input: what is in the place of a version or of an id may be a part of the key, if the
/// text is something else than it was taken for. Lengths are the only numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportError {
    /// The text is not base64.
    NotBase64,
    /// The text is not hexadecimal.
    NotHex,
    /// No session of this library has this length.
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// The version of the format is unknown.
    UnknownVersion,
    /// It is a bare key of 256 bytes. No library saves one so: its datacenter is missing.
    BareKey,
    /// The passcode or key does not open the file, or one is needed.
    Locked,
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
    Datacenter,
    /// The address of the datacenter is neither an IP address nor a name.
    Server {
        /// Its length in bytes.
        len: usize,
    },
    /// The port is not one that a datacenter can have.
    Port,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64 => f.write_str("the text is not base64"),
            Self::NotHex => f.write_str("the text is not hexadecimal"),
            Self::Length { len } => write!(f, "no session of this library has {len} bytes"),
            Self::UnknownVersion => f.write_str("unknown version of the session, or another library's"),
            Self::BareKey => f.write_str("a bare key of 256 bytes, without its datacenter"),
            Self::Locked => f.write_str("the passcode or key does not open the file"),
            Self::Malformed { what } => write!(f, "the session is malformed: {what}"),
            Self::NoKey => f.write_str("the session has no key"),
            Self::KeyLength { len } => write!(f, "the key has {len} bytes instead of 256"),
            Self::Datacenter => f.write_str("the id is not that of a datacenter"),
            Self::Server { len } => write!(f, "the server's address of {len} bytes is not an address"),
            Self::Port => f.write_str("the port is not one of a datacenter"),
        }
    }
}

impl core::error::Error for ImportError {}
