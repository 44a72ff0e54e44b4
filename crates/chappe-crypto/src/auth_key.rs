//! The authorization key that both sides of a connection share.
//!
//! **Invariant:** the key is always 256 bytes, leading zeros kept (SEC-36), and its id is computed once.
//!
//! Spec: <https://core.telegram.org/mtproto/description#authorization-key-auth-key>.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::{AuthKeyId, hash};

/// Length of an authorization key in bytes.
const LEN: usize = 256;

/// A 2048-bit authorization key, big-endian.
///
/// Wiped on drop, compared in constant time and redacted in `Debug`. It is stored on the heap, so that moving it leaves no
/// copy.
///
/// ```
/// use chappe_crypto::AuthKey;
///
/// let key = AuthKey::from_slice(&[3; 256])?;
/// assert_eq!(format!("{key:?}"), "AuthKey { id: 23cb9431a56e812f, .. }");
/// # Ok::<(), chappe_crypto::AuthKeyError>(())
/// ```
#[derive(Clone)]
pub struct AuthKey {
    secret: Box<Zeroizing<[u8; LEN]>>,
    id: AuthKeyId,
    aux_hash: [u8; 8],
}

impl AuthKey {
    /// Creates a key from its 256 bytes and computes its id.
    ///
    /// The argument is a copy. If it was created only for this call, the caller must wipe it.
    pub fn from_bytes(mut bytes: [u8; LEN]) -> Self {
        let secret = Box::new(Zeroizing::new(bytes));
        bytes.zeroize();
        let digest = hash::sha1(&[&secret[..]]);
        let [a, b, c, d, e, f, g, h, _, _, _, _, id @ ..] = digest;
        Self { secret, id: AuthKeyId::from_bytes(id), aux_hash: [a, b, c, d, e, f, g, h] }
    }

    /// Creates a key from a slice of exactly 256 bytes.
    ///
    /// # Errors
    ///
    /// Fails if the slice has another length. A shorter key has lost leading zeros, which
    /// changes its id.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, AuthKeyError> {
        let bytes = bytes.try_into().map_err(|_| AuthKeyError::InvalidLength { len: bytes.len() })?;
        Ok(Self::from_bytes(bytes))
    }

    /// Returns the secret bytes, to store them or to pass them to another implementation.
    pub fn as_bytes(&self) -> &[u8; LEN] {
        &self.secret
    }

    /// Returns the id: the last 8 bytes of the key's SHA-1.
    ///
    /// Spec: <https://core.telegram.org/mtproto/description#key-identifier-auth-key-id>.
    pub const fn id(&self) -> AuthKeyId {
        self.id
    }

    /// Returns the line of a key log for this key, without a line end: `AUTH_KEY`, the id in 16 and the key in 512
    /// hexadecimal digits.
    ///
    /// A reader of the line can read everything that was or will be sent under the key.
    pub fn to_key_log_line(&self) -> Zeroizing<String> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let head = alloc::format!("AUTH_KEY {} ", self.id);
        // Allocated at full size: a text that grows leaves its old memory behind without wiping it.
        let mut line = Zeroizing::new(String::with_capacity(head.len() + 2 * LEN));
        line.push_str(&head);
        for byte in self.secret.iter() {
            line.push(char::from(DIGITS[usize::from(byte >> 4)]));
            line.push(char::from(DIGITS[usize::from(byte & 0xf)]));
        }
        line
    }

    /// Returns `auth_key_aux_hash`, the first 8 bytes of the key's SHA-1, used in the nonce hashes and as
    /// `retry_id`.
    ///
    /// Spec: <https://core.telegram.org/mtproto/auth_key#9-server-responds-in-one-of-three-ways>.
    pub const fn aux_hash(&self) -> [u8; 8] {
        self.aux_hash
    }
}

impl From<[u8; LEN]> for AuthKey {
    fn from(bytes: [u8; LEN]) -> Self {
        Self::from_bytes(bytes)
    }
}

impl ConstantTimeEq for AuthKey {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.as_bytes().ct_eq(other.as_bytes())
    }
}

impl PartialEq for AuthKey {
    /// Compares in constant time (SEC-06).
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for AuthKey {}

impl fmt::Debug for AuthKey {
    /// Prints the id and redacts the secret (SEC-05).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthKey").field("id", &format_args!("{}", self.id)).finish_non_exhaustive()
    }
}

/// Why bytes are not an authorization key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthKeyError {
    /// A key has 256 bytes.
    InvalidLength {
        /// The number of bytes.
        len: usize,
    },
}

impl fmt::Display for AuthKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLength { len } => write!(f, "an auth_key has 256 bytes, not {len}"),
        }
    }
}

impl core::error::Error for AuthKeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_036_a_key_keeps_its_leading_zeros() {
        let mut bytes = [0; LEN];
        bytes[255] = 1;
        assert_eq!(AuthKey::from_bytes(bytes).as_bytes(), &bytes);
        assert_eq!(AuthKey::from_slice(&bytes[1..]), Err(AuthKeyError::InvalidLength { len: 255 }));
    }

    #[test]
    fn a_line_of_a_key_log_has_the_id_and_the_key() {
        let line = AuthKey::from_bytes([3; LEN]).to_key_log_line();
        assert_eq!(*line, std::format!("AUTH_KEY 23cb9431a56e812f {}", "03".repeat(LEN)));
    }

    #[test]
    fn sec_005_debug_shows_nothing_of_the_key() {
        let text = std::format!("{:?}", AuthKey::from_bytes([0xab; LEN]));
        assert!(!text.contains("ab, ab") && !text.contains("171"), "{text}");
    }

    #[test]
    fn keys_that_differ_in_one_bit_are_not_equal() {
        let key = AuthKey::from_bytes([9; LEN]);
        for bit in 0..LEN * 8 {
            let mut other = [9; LEN];
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(AuthKey::from_bytes(other), key, "bit {bit}");
        }
        assert_eq!(key.clone(), key);
    }
}
