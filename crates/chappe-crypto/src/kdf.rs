//! `msg_key`, and the AES key and IV that follow from it.
//!
//! Spec: <https://core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector> (2.0) and
//! <https://core.telegram.org/mtproto/description_v1> (1.0, for the message that binds a temporary key and for
//! old secret chats only).

use core::fmt;

use zeroize::Zeroize;

use crate::{AuthKey, MsgKey, QuickAckToken, Side, backend::Backend, hash, wipe::wipe};

/// An AES-256 key and the 32-byte IV of IGE mode. Wiped on drop and redacted in `Debug`.
#[derive(Clone)]
pub struct AesKeyIv {
    /// The AES-256 key.
    pub key: [u8; 32],
    /// The IV: 16 bytes in place of the previous ciphertext block, then 16 in place of the previous plaintext block.
    pub iv: [u8; 32],
}

impl Drop for AesKeyIv {
    fn drop(&mut self) {
        wipe(&mut self.key);
        wipe(&mut self.iv);
    }
}

impl fmt::Debug for AesKeyIv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesKeyIv").finish_non_exhaustive()
    }
}

/// The SHA-256 that contains `msg_key` and the quick-ack token.
#[derive(Clone)]
pub struct MsgKeyLarge([u8; 32]);

impl MsgKeyLarge {
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns bytes 8 to 24.
    pub fn msg_key(&self) -> MsgKey {
        let bytes = self.0[8..24].try_into().expect("the range is 16 bytes wide");
        MsgKey::from_bytes(bytes)
    }

    /// Returns bytes 0 to 4, little-endian, with the highest bit set.
    ///
    /// Spec: <https://core.telegram.org/mtproto/mtproto-transports#quick-ack>.
    pub fn quick_ack(&self) -> QuickAckToken {
        let bytes = self.0[..4].try_into().expect("the range is 4 bytes wide");
        QuickAckToken::from_raw(u32::from_le_bytes(bytes))
    }
}

impl Drop for MsgKeyLarge {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for MsgKeyLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsgKeyLarge").finish_non_exhaustive()
    }
}

/// Returns `msg_key_large` of MTProto 2.0: the SHA-256 of 32 bytes of the key and of the whole plaintext,
/// header and padding included.
pub fn msg_key_large(auth_key: &AuthKey, from: Side, plaintext: &[u8]) -> MsgKeyLarge {
    let prefix = msg_key_prefix(auth_key, from);
    MsgKeyLarge(match plaintext.as_chunks() {
        (blocks, []) => Backend::detect().sha256_prefixed(prefix, blocks),
        _ => hash::sha256(&[prefix, plaintext]),
    })
}

/// Returns `msg_key` of MTProto 2.0: the middle 16 bytes of [`msg_key_large`].
pub fn msg_key_v2(auth_key: &AuthKey, from: Side, plaintext: &[u8]) -> MsgKey {
    msg_key_large(auth_key, from, plaintext).msg_key()
}

/// Returns `msg_key` of MTProto 1.0: the last 16 bytes of the SHA-1 of the plaintext **without** padding.
pub fn msg_key_v1(unpadded: &[u8]) -> MsgKey {
    let digest = hash::sha1(&[unpadded]);
    MsgKey::from_bytes(*digest.last_chunk().expect("a SHA-1 has more than 16 bytes"))
}

/// Derives key and IV of MTProto 2.0.
pub fn aes_v2(auth_key: &AuthKey, from: Side, msg_key: &MsgKey) -> AesKeyIv {
    aes_v2_with(Backend::detect(), auth_key, from, msg_key)
}

#[inline]
pub(crate) fn aes_v2_with(backend: Backend, auth_key: &AuthKey, from: Side, msg_key: &MsgKey) -> AesKeyIv {
    backend.kdf_v2(auth_key.as_bytes(), from.x(), msg_key.as_bytes())
}

/// Derives key and IV of MTProto 1.0. Secret chats use [`Side::Client`] in both directions.
pub fn aes_v1(auth_key: &AuthKey, from: Side, msg_key: &MsgKey) -> AesKeyIv {
    let (secret, x, msg_key) = (auth_key.as_bytes(), from.x(), msg_key.as_bytes());
    let mut a = hash::sha1(&[msg_key, &secret[x..x + 32]]);
    let mut b = hash::sha1(&[&secret[32 + x..48 + x], msg_key, &secret[48 + x..64 + x]]);
    let mut c = hash::sha1(&[&secret[64 + x..96 + x], msg_key]);
    let mut d = hash::sha1(&[msg_key, &secret[96 + x..128 + x]]);

    let mut out = AesKeyIv { key: [0; 32], iv: [0; 32] };
    out.key[..8].copy_from_slice(&a[..8]);
    out.key[8..20].copy_from_slice(&b[8..]);
    out.key[20..].copy_from_slice(&c[4..16]);
    out.iv[..12].copy_from_slice(&a[8..]);
    out.iv[12..20].copy_from_slice(&b[..8]);
    out.iv[20..24].copy_from_slice(&c[16..]);
    out.iv[24..].copy_from_slice(&d[..8]);
    for digest in [&mut a, &mut b, &mut c, &mut d] {
        digest.zeroize();
    }
    out
}

/// The 32 bytes of the key that are hashed in front of the plaintext.
pub(crate) fn msg_key_prefix(auth_key: &AuthKey, from: Side) -> &[u8; 32] {
    let at = 88 + from.x();
    auth_key.as_bytes()[at..at + 32].try_into().expect("the range is 32 bytes wide")
}
