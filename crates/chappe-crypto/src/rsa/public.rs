//! Public keys and their fingerprints.

use alloc::{boxed::Box, string::String};
use core::fmt;

use rand_core::CryptoRng;
use rsa::pkcs1::der::{Decode as _, Document, pem::PemLabel as _};
use rsa::pkcs1::{ALGORITHM_ID, EncodeRsaPublicKey as _, LineEnding, RsaPublicKey, RsaPublicKeyRef, UintRef};
use rsa::pkcs8::SubjectPublicKeyInfoRef;
use sha1::{Digest, Sha1};

use super::{KeyError, PadError, pad};
use crate::backend::modexp::Modulus;

/// Identifier of an RSA key: the last 64 bits of the SHA-1 of its TL serialisation, as a little-endian long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(i64);

impl Fingerprint {
    /// Creates a fingerprint from its TL `long` in `resPQ`.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// Returns the TL `long` for `req_DH_params`.
    pub const fn to_raw(self) -> i64 {
        self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:#018x})", self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// A server's RSA key: a modulus of 2048 bits and an odd exponent above 1 (SEC-19).
#[derive(Clone)]
pub struct PublicKey {
    n: [u8; 256],
    /// Big-endian, without leading zeros.
    e: Box<[u8]>,
    fingerprint: Fingerprint,
    modulus: Modulus,
}

impl PublicKey {
    /// Reads a key in PEM form, `RSA PUBLIC KEY` (PKCS#1, what `help.getCdnConfig` gives) or `PUBLIC KEY` (SPKI).
    ///
    /// # Errors
    ///
    /// Fails if the text is not such a key, or the key violates SEC-19.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        // Not by the key type of `rsa`: it checks the key with big-number arithmetic, which adds 40 KB to a program.
        let (label, document) = Document::from_pem(pem.trim()).map_err(|_| KeyError::Malformed)?;
        let key = match label {
            RsaPublicKeyRef::PEM_LABEL => RsaPublicKeyRef::from_der(document.as_bytes()).ok(),
            SubjectPublicKeyInfoRef::PEM_LABEL => from_spki(document.as_bytes()),
            _ => None,
        };
        let RsaPublicKey { modulus, public_exponent } = key.ok_or(KeyError::Malformed)?;
        Self::from_components(modulus.as_bytes(), public_exponent.as_bytes())
    }

    /// Creates a key from modulus and public exponent, both big-endian. Leading zeros are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the modulus is even or has not exactly 2048 bits, or the exponent is not odd, above 1 and below
    /// the modulus (SEC-19).
    pub fn from_components(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (significant(n), significant(e));
        let n = match <[u8; 256]>::try_from(n) {
            Ok(n) if n[0] >= 0x80 => n,
            _ => return Err(KeyError::ModulusSize { bits: bit_length(n) }),
        };
        if n[255] & 1 == 0 {
            return Err(KeyError::EvenModulus);
        }
        let below_modulus = e.len() < n.len() || (e.len() == n.len() && *e < n[..]);
        if e.last().is_none_or(|low| low & 1 == 0) || e == [1] || !below_modulus {
            return Err(KeyError::Exponent);
        }
        Ok(Self { fingerprint: fingerprint(&n, e), modulus: Modulus::new(&n), n, e: e.into() })
    }

    /// Returns the fingerprint.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the modulus, big-endian.
    pub const fn modulus(&self) -> &[u8; 256] {
        &self.n
    }

    /// Returns the public exponent, big-endian without leading zeros.
    pub const fn exponent(&self) -> &[u8] {
        &self.e
    }

    /// Encodes the key in PKCS#1 PEM form, as servers publish it.
    ///
    /// # Errors
    ///
    /// Does not fail for a key of this size.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let number = |bytes| UintRef::new(bytes).map_err(|_| KeyError::Malformed);
        let key = RsaPublicKey { modulus: number(&self.n)?, public_exponent: number(&self.e)? };
        key.to_pkcs1_pem(LineEnding::LF).map_err(|_| KeyError::Malformed)
    }

    /// Encrypts at most 144 bytes with the padding scheme `RSA_PAD`.
    ///
    /// The result is always 256 bytes, left padded with zeros (SEC-24).
    ///
    /// # Errors
    ///
    /// Fails if the data is longer than [`MAX_DATA_LEN`](super::MAX_DATA_LEN) (SEC-23), or `rng` is broken.
    pub fn encrypt_pad(
        &self,
        data: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<[u8; 256], PadError> {
        let padded = pad::pad(data, &self.n, rng)?;
        Ok(self.raw_encrypt(&padded))
    }

    /// Returns the arithmetic modulo `n`.
    pub(super) const fn arithmetic(&self) -> &Modulus {
        &self.modulus
    }

    /// `message^e mod n`.
    pub(super) fn raw_encrypt(&self, message: &[u8; 256]) -> [u8; 256] {
        self.modulus.pow_public(message, &self.e)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.n, &self.e) == (&other.n, &other.e)
    }
}

impl Eq for PublicKey {}

/// Reads a `SubjectPublicKeyInfo` of an RSA key.
fn from_spki(der: &[u8]) -> Option<RsaPublicKeyRef<'_>> {
    let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
    let key = info.subject_public_key.as_bytes().filter(|_| info.algorithm == ALGORITHM_ID)?;
    RsaPublicKeyRef::from_der(key).ok()
}

/// Hashes the bare `rsa_public_key n:string e:string = RSAPublicKey`.
fn fingerprint(n: &[u8; 256], e: &[u8]) -> Fingerprint {
    let mut hasher = Sha1::new();
    for number in [n, e] {
        // A TL string: one length byte below 254, else 0xfe and three; zeros up to a multiple of four.
        let [low, middle, high, _] = (number.len() as u32).to_le_bytes();
        let prefix = [0xfe, low, middle, high];
        let prefix = if number.len() < 254 { &prefix[1..2] } else { &prefix[..] };
        hasher.update(prefix);
        hasher.update(number);
        hasher.update(&[0; 3][..(prefix.len() + number.len()).wrapping_neg() % 4]);
    }
    let hash: [u8; 20] = hasher.finalize().into();
    let [.., a, b, c, d, e, f, g, h] = hash;
    Fingerprint(i64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

fn significant(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|&&byte| byte == 0).count()..]
}

fn bit_length(significant: &[u8]) -> usize {
    significant.len() * 8 - significant.first().map_or(0, |byte| byte.leading_zeros() as usize)
}
