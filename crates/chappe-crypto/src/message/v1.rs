//! Messages of MTProto 1.0: the binding of temporary keys and old secret chats. Nothing else may use them.
//!
//! The hash excludes the padding (0 to 15 bytes), so the inner length must be read before the check. That is the weakness
//! of 1.0. Here the length only decides how many bytes are hashed, and an invalid length fails at the same point as a wrong
//! hash.
//!
//! Spec: <https://core.telegram.org/mtproto/description_v1>.

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use crate::{
    AuthKey, MsgKey, Side, hash, ige, kdf,
    message::{OpenError, SealError},
};

/// The position of the length in the plaintext of a 1.0 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `salt`, `session_id`, `msg_id`, `seq_no`, length, body: the length at byte 28, the body at 32.
    Envelope,
    /// Length, body: the length at byte 0, the body at 4. Use with [`Side::Client`] in both directions.
    SecretChat,
}

impl Layout {
    const fn body_at(self) -> usize {
        match self {
            Self::Envelope => 32,
            Self::SecretChat => 4,
        }
    }

    /// Returns the length of the plaintext without padding, if the inner length is valid.
    fn unpadded_len(self, plaintext: &[u8]) -> Option<usize> {
        let header = plaintext.get(..self.body_at())?;
        let len = usize::try_from(u32::from_le_bytes(*header.last_chunk()?)).ok()?;
        let unpadded = self.body_at().checked_add(len)?;
        (unpadded.checked_next_multiple_of(16)? == plaintext.len()).then_some(unpadded)
    }
}

/// The result of [`open_v1`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedV1 {
    /// Length of the plaintext without padding, header included.
    pub unpadded_len: usize,
}

/// Encrypts `plaintext` in place, of which the first `unpadded_len` bytes are hashed.
///
/// # Errors
///
/// Fails, and leaves the bytes unchanged, if their number is not a multiple of 16 or the padding is not 0 to
/// 15 bytes.
pub fn seal_v1(
    auth_key: &AuthKey,
    from: Side,
    plaintext: &mut [u8],
    unpadded_len: usize,
) -> Result<MsgKey, SealError> {
    let len = plaintext.len();
    if unpadded_len == 0 || unpadded_len.checked_next_multiple_of(16) != Some(len) {
        return Err(SealError::InvalidLength { len });
    }
    let msg_key = kdf::msg_key_v1(&plaintext[..unpadded_len]);
    let aes = kdf::aes_v1(auth_key, from, &msg_key);
    ige::encrypt(&aes.key, &aes.iv, plaintext)
        .map_err(|error| SealError::InvalidLength { len: error.len })?;
    Ok(msg_key)
}

/// Decrypts `ciphertext` in place and compares `msg_key` in constant time.
///
/// # Errors
///
/// Fails if the length is not a positive multiple of 16. Fails, and wipes the bytes, if `msg_key` is not the hash of the
/// decrypted bytes or the inner length is invalid; the error does not tell which.
pub fn open_v1(
    auth_key: &AuthKey,
    from: Side,
    layout: Layout,
    msg_key: &MsgKey,
    ciphertext: &mut [u8],
) -> Result<OpenedV1, OpenError> {
    let len = ciphertext.len();
    if len == 0 {
        return Err(OpenError::InvalidLength { len });
    }
    let aes = kdf::aes_v1(auth_key, from, msg_key);
    ige::decrypt(&aes.key, &aes.iv, ciphertext).map_err(|_| OpenError::InvalidLength { len })?;
    let claimed = layout.unpadded_len(ciphertext);
    let unpadded_len = claimed.unwrap_or(len);
    let digest = hash::sha1(&[&ciphertext[..unpadded_len]]);
    let is_right = digest[4..].ct_eq(msg_key.as_bytes()) & Choice::from(u8::from(claimed.is_some()));
    if bool::from(is_right) {
        return Ok(OpenedV1 { unpadded_len });
    }
    ciphertext.zeroize();
    Err(OpenError::MsgKeyMismatch)
}
