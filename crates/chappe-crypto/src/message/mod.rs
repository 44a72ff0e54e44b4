//! Whole messages, sealed and opened in one buffer.
//!
//! [`seal`] hashes and encrypts the bytes it is given; [`open`] decrypts them and compares `msg_key` in constant
//! time. [`seal_v1`] and [`open_v1`] implement MTProto 1.0. With the feature `batch`, `seal_many` and `open_many`
//! process several messages together, each with its own key.
//!
//! Not here: headers and padding. They are part of the plaintext, and the caller writes and checks them.
//!
//! **Invariant:** no decrypted byte leaves [`open`] unless `msg_key` matched. On failure the bytes are wiped.
//!
//! Spec: <https://core.telegram.org/mtproto/description> and
//! <https://core.telegram.org/mtproto/security_guidelines#mtproto-encrypted-messages>.

#[cfg(feature = "batch")]
pub(crate) mod batch;
mod error;
mod v1;

use subtle::ConstantTimeEq;

#[cfg(feature = "batch")]
pub use self::batch::{OpenJob, SealJob, open_many, seal_many};
pub use self::{
    error::{OpenError, SealError},
    v1::{Layout, OpenedV1, open_v1, seal_v1},
};
use crate::{
    AuthKey, MsgKey, QuickAckToken, Side,
    backend::Backend,
    kdf::{self, MsgKeyLarge},
};

/// Minimum length of an encrypted part: its header has 32 bytes.
pub const MIN_LEN: usize = 32;

/// What [`seal`] computed from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key to send in front of the encrypted bytes.
    pub msg_key: MsgKey,
    /// The server's answer if a quick ack is requested.
    pub quick_ack: QuickAckToken,
}

/// Encrypts `plaintext` (header, body and padding) in place, as written by `from`.
///
/// # Errors
///
/// Fails, and leaves the bytes unchanged, if their number is less than 32 or not a multiple of 16.
pub fn seal(auth_key: &AuthKey, from: Side, plaintext: &mut [u8]) -> Result<Sealed, SealError> {
    seal_with(Backend::detect(), auth_key, from, plaintext)
}

/// [`seal`] with the given implementation.
///
/// # Errors
///
/// Those of [`seal`].
pub fn seal_with(
    backend: Backend,
    auth_key: &AuthKey,
    from: Side,
    plaintext: &mut [u8],
) -> Result<Sealed, SealError> {
    let blocks = whole_blocks(plaintext).map_err(|len| SealError::InvalidLength { len })?;
    let digest = backend.sha256_prefixed(kdf::msg_key_prefix(auth_key, from), blocks);
    let large = MsgKeyLarge::from_bytes(digest);
    let msg_key = large.msg_key();
    let aes = kdf::aes_v2_with(backend, auth_key, from, &msg_key);
    backend.ige_encrypt(&aes.key, &aes.iv, blocks.as_flattened_mut());
    Ok(Sealed { msg_key, quick_ack: large.quick_ack() })
}

/// Decrypts `ciphertext` in place, as written by `from`, and compares `msg_key` in constant time.
///
/// Returns the token to send if the peer asked for a quick ack.
///
/// The time depends on the length alone: not on the bytes, and not on whether or where they are wrong (SEC-64).
///
/// # Errors
///
/// Fails if the length is less than 32 or not a multiple of 16. Fails, and wipes the bytes, if `msg_key` is not the
/// hash of the decrypted bytes.
pub fn open(
    auth_key: &AuthKey,
    from: Side,
    msg_key: &MsgKey,
    ciphertext: &mut [u8],
) -> Result<QuickAckToken, OpenError> {
    open_with(Backend::detect(), auth_key, from, msg_key, ciphertext)
}

/// [`open`] with the given implementation.
///
/// # Errors
///
/// Those of [`open`].
pub fn open_with(
    backend: Backend,
    auth_key: &AuthKey,
    from: Side,
    msg_key: &MsgKey,
    ciphertext: &mut [u8],
) -> Result<QuickAckToken, OpenError> {
    let blocks = whole_blocks(ciphertext).map_err(|len| OpenError::InvalidLength { len })?;
    let aes = kdf::aes_v2_with(backend, auth_key, from, msg_key);
    let prefix = kdf::msg_key_prefix(auth_key, from);
    let digest = backend.ige_decrypt_sha256(&aes.key, &aes.iv, prefix, blocks);
    check(backend, &MsgKeyLarge::from_bytes(digest), msg_key, blocks)
}

/// Compares `msg_key` and wipes the plaintext on a mismatch. Both outcomes take the same time.
fn check(
    backend: Backend,
    large: &MsgKeyLarge,
    msg_key: &MsgKey,
    plaintext: &mut [[u8; 16]],
) -> Result<QuickAckToken, OpenError> {
    let is_right = large.msg_key().ct_eq(msg_key);
    backend.keep_if(is_right, plaintext);
    if is_right.into() { Ok(large.quick_ack()) } else { Err(OpenError::MsgKeyMismatch) }
}

/// Splits an encrypted part into blocks, or returns its length if it is invalid.
fn whole_blocks(data: &mut [u8]) -> Result<&mut [[u8; 16]], usize> {
    let len = data.len();
    match data.as_chunks_mut() {
        (blocks, []) if len >= MIN_LEN => Ok(blocks),
        _ => Err(len),
    }
}
