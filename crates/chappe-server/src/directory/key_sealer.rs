//! Keys at rest.

use core::fmt;

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use chappe_crypto::AuthKeyId;
use chappe_crypto::hash::hmac_sha256;
use zeroize::Zeroizing;

use super::{DirectoryError, KeyRecord, SealedKey};

/// Seals keys for a directory: XChaCha20-Poly1305 with a key from outside.
///
/// The nonce is a MAC of the id and the record, so equal records have equal bytes. That makes compare-and-set work on
/// sealed keys, and makes every change of a directory repeatable. An observer of the store learns which records are equal,
/// and nothing else of their contents. The id is authenticated with the record: a record that is stored under another id is
/// not read.
///
/// A person who can write to the store can put back an older record of the same key, for example from a backup. Whoever may
/// do that is trusted.
#[derive(Clone)]
pub struct KeySealer(Option<Keys>);

#[derive(Clone)]
struct Keys {
    nonces: Zeroizing<[u8; 32]>,
    cipher: XChaCha20Poly1305,
}

/// In front of a record that is not sealed, and one that is.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

impl KeySealer {
    /// Seals with a secret, which should be random. All processes that share a directory need the same one.
    pub fn new(secret: &[u8; 32]) -> Self {
        let derived = |label: &[u8]| Zeroizing::new(hmac_sha256(secret, &[label]));
        let cipher = XChaCha20Poly1305::new((&*derived(b"chappe directory: records")).into());
        Self(Some(Keys { nonces: derived(b"chappe directory: nonces"), cipher }))
    }

    /// Does not seal: the store holds the keys themselves. For tests, and for stores that encrypt by themselves.
    pub const fn plain() -> Self {
        Self(None)
    }

    /// Encodes and seals a key.
    pub fn seal(&self, record: &KeyRecord) -> SealedKey {
        let (id, body) = (record.auth_key.id(), record.to_bytes());
        let bytes = match &self.0 {
            None => joined(&[&[PLAIN], &body]),
            Some(keys) => keys.seal(id, body),
        };
        SealedKey { id, permanent: record.bound_to(), expires_at: record.expires_at(), bytes }
    }

    /// Opens a sealed key.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unreadable`] if it was sealed otherwise, or changed.
    pub fn open(&self, key: &SealedKey) -> Result<KeyRecord, DirectoryError> {
        let record = match (&self.0, key.bytes.split_first()) {
            (None, Some((&PLAIN, body))) => KeyRecord::from_bytes(key.id, body),
            (Some(keys), Some((&SEALED, body))) => keys.open(key.id, body),
            _ => None,
        };
        record.ok_or(DirectoryError::Unreadable { id: key.id })
    }
}

impl Keys {
    fn seal(&self, id: AuthKeyId, mut body: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
        let mac = hmac_sha256(&self.nonces[..], &[id.as_bytes(), &body]);
        let nonce: [u8; NONCE_LEN] = core::array::from_fn(|at| mac[at]);
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), id.as_bytes(), (&mut body[..]).into())
            .expect("a record is shorter than the cipher's limit of 256 GiB");
        joined(&[&[SEALED], &nonce, &tag, &body])
    }

    fn open(&self, id: AuthKeyId, mut bytes: &[u8]) -> Option<KeyRecord> {
        let nonce: [u8; NONCE_LEN] = bytes.split_off(..NONCE_LEN)?.try_into().ok()?;
        let tag: [u8; TAG_LEN] = bytes.split_off(..TAG_LEN)?.try_into().ok()?;
        let mut body = Zeroizing::new(bytes.to_vec());
        self.cipher
            .decrypt_inout_detached(&nonce.into(), id.as_bytes(), (&mut body[..]).into(), &tag.into())
            .ok()?;
        KeyRecord::from_bytes(id, &body)
    }
}

fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(parts.concat())
}

impl fmt::Debug for KeySealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySealer").field("seals", &self.0.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key_record::tests::records;
    use super::*;

    #[test]
    fn a_sealed_key_shows_nothing_and_opens_with_the_same_secret_only() {
        let (sealer, other) = (KeySealer::new(&[1; 32]), KeySealer::new(&[2; 32]));
        for record in records() {
            let sealed = sealer.seal(&record);
            assert!(!sealed.bytes.windows(8).any(|part| part == &record.auth_key.as_bytes()[..8]));
            let opened = sealer.open(&sealed).expect("the same secret");
            assert_eq!(opened.auth_key.as_bytes(), record.auth_key.as_bytes());
            assert_eq!(sealer.seal(&opened), sealed, "equal records have equal bytes");
            for refusing in [&other, &KeySealer::plain()] {
                assert!(matches!(refusing.open(&sealed), Err(DirectoryError::Unreadable { .. })));
            }
            let plain = KeySealer::plain().seal(&record);
            assert!(KeySealer::plain().open(&plain).is_ok());
            assert!(sealer.open(&plain).is_err(), "a record that is not sealed may be anybody's");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_or_another_id_is_refused() {
        let sealer = KeySealer::new(&[1; 32]);
        let sealed = sealer.seal(&records()[0]);
        for bit in 0..sealed.bytes.len() * 8 {
            let mut changed = sealed.clone();
            changed.bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(&changed).is_err(), "bit {bit}");
        }
        let moved = SealedKey { id: AuthKeyId::from_raw(77), ..sealed };
        assert!(sealer.open(&moved).is_err());
    }
}
