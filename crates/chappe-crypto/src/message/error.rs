//! Why a message cannot be sealed or opened.

use core::fmt;

/// Why bytes were not sealed: a mistake of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// The plaintext is shorter than its header or not a multiple of 16 bytes.
    InvalidLength {
        /// Its length in bytes.
        len: usize,
    },
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLength { len } => write!(f, "a plaintext of {len} bytes cannot be sealed"),
        }
    }
}

impl core::error::Error for SealError {}

/// Why bytes were not opened: a mistake of the peer, or damage in transit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The encrypted part is shorter than a header or not a multiple of 16 bytes (SEC-62).
    InvalidLength {
        /// Its length in bytes.
        len: usize,
    },
    /// `msg_key` is not the hash of the decrypted bytes (SEC-63). Nothing of the message may be used.
    MsgKeyMismatch,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLength { len } => write!(f, "an encrypted part of {len} bytes is not a message"),
            Self::MsgKeyMismatch => f.write_str("msg_key does not match the decrypted data"),
        }
    }
}

impl core::error::Error for OpenError {}
