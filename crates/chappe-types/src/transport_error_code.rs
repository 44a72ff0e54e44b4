//! Transport errors: the number a server sends instead of a message.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports#transport-errors>.

use core::fmt;

/// A transport error, framed as a payload of four bytes: the negative code, little endian.
///
/// It is unauthenticated: anyone on the path can send one, so a code alone never proves anything about a key
/// (SEC-134). A server never answers [`UnknownAuthKey`](Self::UnknownAuthKey) to a packet whose `msg_key` fails under
/// a known key (SEC-135).
///
/// Spec: <https://core.telegram.org/mtproto/mtproto-transports#transport-errors>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorCode {
    /// -404: unknown `auth_key_id`, wrong handshake query, malformed packet or zero `session_id`.
    UnknownAuthKey,
    /// -429: too many connections or requests from one address, or limits of the service exceeded.
    TooManyConnections,
    /// -444: the datacenter id in a handshake or in an obfuscation header is wrong.
    WrongDc,
    /// Any other number. A real error is negative; `-403` and the like mean what they mean in HTTP.
    Other(i32),
}

impl TransportErrorCode {
    /// Takes the number of the wire, which is negative for a real error.
    pub const fn from_raw(raw: i32) -> Self {
        match raw {
            -404 => Self::UnknownAuthKey,
            -429 => Self::TooManyConnections,
            -444 => Self::WrongDc,
            other => Self::Other(other),
        }
    }

    /// Takes the status of an HTTP answer that is not 200 (SEC-140): 404 is -404.
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

impl fmt::Display for TransportErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transport error {}", self.to_raw())
    }
}

impl core::error::Error for TransportErrorCode {}

#[cfg(test)]
mod tests {
    use super::TransportErrorCode as Code;

    #[test]
    fn numbers_and_names_convert_both_ways() {
        for raw in [-404, -429, -444, -403, -1, 0, i32::MIN, i32::MAX] {
            assert_eq!(Code::from_raw(raw).to_raw(), raw);
        }
        assert_eq!(Code::from_http_status(404), Code::UnknownAuthKey);
        assert_eq!(Code::WrongDc.to_payload(), (-444_i32).to_le_bytes());
    }
}
