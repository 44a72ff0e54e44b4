//! Transport errors: the number a server sends instead of a message.
//!
//! They are unauthenticated: anyone on the path can send one, so a code alone never proves anything about a
//! key (`SEC-134`), and a server never answers [`ErrorCode::UnknownAuthKey`] to a packet whose `msg_key` fails
//! under a known key (`SEC-135`).
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports#transport-errors>.

use core::fmt;

/// A transport error, framed as a payload of four bytes: the negative code, little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// −404: unknown `auth_key_id`, wrong handshake query, malformed packet or zero `session_id`.
    UnknownAuthKey,
    /// −429: too many connections from one address, or limits of the service exceeded.
    TooManyConnections,
    /// −444: the data centre id in a handshake or in an obfuscation header is wrong.
    WrongDc,
    /// Any other negative number; `-403` and the like mean what they mean in HTTP.
    Other(i32),
}

impl ErrorCode {
    /// Reads the number of the wire, which is negative for a real error.
    pub const fn from_raw(raw: i32) -> Self {
        match raw {
            -404 => Self::UnknownAuthKey,
            -429 => Self::TooManyConnections,
            -444 => Self::WrongDc,
            other => Self::Other(other),
        }
    }

    /// Reads the status of an HTTP answer that is not 200 (`SEC-140`): 404 is −404.
    pub const fn from_http_status(status: u16) -> Self {
        Self::from_raw(-(status as i32))
    }

    /// Returns the number of the wire.
    pub const fn to_raw(self) -> i32 {
        match self {
            Self::UnknownAuthKey => -404,
            Self::TooManyConnections => -429,
            Self::WrongDc => -444,
            Self::Other(raw) => raw,
        }
    }

    /// Returns the payload of the frame that carries this code.
    pub const fn to_payload(self) -> [u8; 4] {
        self.to_raw().to_le_bytes()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transport error {}", self.to_raw())
    }
}

impl core::error::Error for ErrorCode {}
