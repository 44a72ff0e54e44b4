//! End-to-end encryption of secret chats: key fingerprint, messages, files, the picture of the key.
//!
//! The 256 bytes of the Diffie-Hellman secret are used like an `auth_key`. The creator of the chat takes the part of the
//! client.
//!
//! Not here: sequence numbers, re-keying, and the bytes of `decryptedMessageLayer`.
//!
//! Spec: <https://core.telegram.org/api/end-to-end>.

mod file;
mod message;

use core::fmt;

pub use self::{
    file::{EncryptedFileKey, FileFingerprint, FileKeyMismatch},
    message::{ENVELOPE_LEN, Envelope, LENGTH_LEN, MessageError, Version, seal, seal_v1},
};
use crate::{AuthKey, Side, hash};

/// Which party of the chat wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The party that requested the chat: `x = 0`.
    Creator,
    /// The party that accepted it: `x = 8`.
    Participant,
}

impl Party {
    /// Returns the side of a cloud message whose key derivation is the same.
    ///
    /// Spec: <https://core.telegram.org/api/end-to-end#serialization-and-encryption-of-outgoing-messages>.
    pub const fn side(self) -> Side {
        match self {
            Self::Creator => Side::Client,
            Self::Participant => Side::Server,
        }
    }
}

/// `key_fingerprint`: the last 8 bytes of the SHA-1 of the key, as a TL `long`. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyFingerprint([u8; 8]);

impl KeyFingerprint {
    /// Computes the fingerprint of a key.
    pub fn of(key: &AuthKey) -> Self {
        Self(*key.id().as_bytes())
    }

    /// Creates the value from its 8 bytes in wire order.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Returns the 8 bytes in wire order.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// Takes the TL `long`.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw.to_le_bytes())
    }

    /// Returns the TL `long`.
    pub const fn to_raw(self) -> i64 {
        i64::from_le_bytes(self.0)
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFingerprint({:016x})", u64::from_be_bytes(self.0))
    }
}

/// Returns the 36 bytes behind the picture that both parties compare.
///
/// 16 bytes of the SHA-1 of the first key of the chat, then 20 of the SHA-256 of the key that was in use when
/// layer 46 was reached: the first key too, for every chat that began with that layer.
///
/// Spec: <https://core.telegram.org/api/end-to-end#key-visualization>.
pub fn key_visualization(first_key: &AuthKey, layer_46_key: &AuthKey) -> [u8; 36] {
    let mut out = [0; 36];
    out[..16].copy_from_slice(&hash::sha1(&[first_key.as_bytes()])[..16]);
    out[16..].copy_from_slice(&hash::sha256(&[layer_46_key.as_bytes()])[..20]);
    out
}
