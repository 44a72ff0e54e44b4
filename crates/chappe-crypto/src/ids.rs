//! The small values that name keys and messages.
//!
//! Spec: <https://core.telegram.org/mtproto/description#key-identifier-auth-key-id> and the sections after it.

use core::fmt;

use subtle::ConstantTimeEq;

/// Who wrote a message. The two directions of a connection use different parts of the `auth_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client wrote it: `x = 0`.
    Client,
    /// The server wrote it: `x = 8`.
    Server,
}

impl Side {
    /// Returns the `x` of the key derivation: 0 for what a client wrote, 8 for what a server wrote.
    ///
    /// Spec: <https://core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector>.
    pub const fn x(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 8,
        }
    }

    /// Returns the other side.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Identifier of an `auth_key`: the last 8 bytes of its SHA-1, in wire order.
///
/// Zero marks a plain (unencrypted) message. Not a secret.
///
/// Spec: <https://core.telegram.org/mtproto/description#key-identifier-auth-key-id>.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthKeyId([u8; 8]);

impl AuthKeyId {
    /// The id that marks a plain message.
    pub const ZERO: Self = Self([0; 8]);

    /// Creates the value from its 8 bytes in wire order.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Returns the 8 bytes in wire order.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// Creates the id from the TL `long` with the same bytes.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw.to_le_bytes())
    }

    /// Returns the TL `long` with the same bytes.
    pub const fn to_raw(self) -> i64 {
        i64::from_le_bytes(self.0)
    }

    /// Returns whether this is the id that marks a plain message.
    pub const fn is_zero(self) -> bool {
        self.to_raw() == 0
    }
}

impl fmt::Display for AuthKeyId {
    /// Writes the wire bytes as 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AuthKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthKeyId({self})")
    }
}

/// The 16 bytes from which a message's key is derived and by which its content is authenticated.
///
/// It is sent unencrypted, but compared in constant time: timing must not reveal how many bytes of a forged key match.
///
/// Spec: <https://core.telegram.org/mtproto/description#message-key-msg-key>.
#[derive(Clone, Copy)]
pub struct MsgKey([u8; 16]);

impl MsgKey {
    /// Creates the key from its 16 bytes in wire order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes in wire order.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl ConstantTimeEq for MsgKey {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        // Compared as numbers: a loop over bytes takes 4 % of the time of opening a short message.
        let difference = u128::from_ne_bytes(self.0) ^ u128::from_ne_bytes(other.0);
        ((difference >> 64) as u64 | difference as u64).ct_eq(&0)
    }
}

impl PartialEq for MsgKey {
    /// Compares in constant time (SEC-06).
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for MsgKey {}

impl fmt::Debug for MsgKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MsgKey(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The token with which a server acknowledges a message sent with the quick-ack flag: a `u32` with bit 31 set.
///
/// The first 4 bytes of `msg_key_large`, little-endian, with the highest bit set.
///
/// Spec: <https://core.telegram.org/mtproto/mtproto-transports#quick-ack>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuickAckToken(u32);

impl QuickAckToken {
    /// Creates a token from a number and sets bit 31, which distinguishes it from a length or an error.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw | 1 << 31)
    }

    /// Returns the token as a number, bit 31 set.
    pub const fn to_raw(self) -> u32 {
        self.0
    }
}
