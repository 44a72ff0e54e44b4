//! The protocol's hash functions, over concatenated byte strings.
//!
//! The protocol requires SHA-1 for key ids and for the key exchange. Nothing relies on its collision resistance.
//!
//! Spec: <https://core.telegram.org/mtproto/description>.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Returns the SHA-1 of the concatenated parts.
///
/// ```
/// use chappe_crypto::hash::sha1;
///
/// assert_eq!(sha1(&[b"ab", b"c"]), sha1(&[b"abc"]));
/// ```
pub fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Returns the SHA-256 of the concatenated parts.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Returns the HMAC-SHA-256 of the concatenated parts.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// The examples of FIPS 180-4 and case 2 of RFC 4231.
    #[test]
    fn the_published_examples_hold() {
        assert_eq!(sha1(&[b"a", b"bc"]), unhex("a9993e364706816aba3e25717850c26c9cd0d89d"));
        assert_eq!(
            sha256(&[b"abc"]),
            unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert_eq!(
            hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]),
            unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
    }
}
