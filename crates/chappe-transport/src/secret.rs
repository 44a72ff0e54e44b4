//! Secrets of MTProxy and the links that carry them.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation>; the text forms are those
//! of `tg://proxy` links.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::framing::Framing;

/// Length of the key inside every secret.
pub(crate) const KEY_LEN: usize = 16;

/// Longest domain of a fake-TLS secret, in bytes.
pub const MAX_DOMAIN_LEN: usize = 182;

/// First byte of a secret that demands padded intermediate framing.
const PADDED: u8 = 0xdd;

/// First byte of a secret that demands fake TLS.
const FAKE_TLS: u8 = 0xee;

/// Longest text that can hold a secret: hex of mark, key and domain.
const MAX_TEXT: usize = 2 * (1 + KEY_LEN + MAX_DOMAIN_LEN);

/// Why a secret or a link was refused (`SEC-146`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// The text is neither hexadecimal nor base64.
    Encoding,
    /// No secret has this length, or its first byte does not fit it.
    Length {
        /// Length in bytes once decoded, or of the text if that is too long to be looked at.
        len: usize,
    },
    /// The domain of a fake-TLS secret is empty, too long or not made of letters, digits, dots, hyphens and
    /// underscores.
    Domain,
    /// The text is not a proxy link, or a part of it is missing.
    Link,
    /// The port of a link is not a number from 1 to 65535.
    Port,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("neither hexadecimal nor base64"),
            Self::Length { len } => write!(f, "{len} bytes do not make a secret"),
            Self::Domain => f.write_str("domain is not usable"),
            Self::Link => f.write_str("not a proxy link"),
            Self::Port => f.write_str("port is not a number from 1 to 65535"),
        }
    }
}

impl core::error::Error for SecretError {}

/// The 16 bytes that client and proxy share. Wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; KEY_LEN]);

impl SecretKey {
    /// Takes the 16 bytes.
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A secret of MTProxy, or of a `dcOption` that has one.
#[derive(Clone)]
pub struct ProxySecret {
    key: SecretKey,
    kind: SecretKind,
}

/// What a secret demands of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretKind {
    /// 16 bytes: obfuscation with any framing.
    Plain,
    /// `dd` and 16 bytes: obfuscation with padded intermediate framing.
    Padded,
    /// `ee`, 16 bytes and a domain: the same inside fake TLS that claims to visit the domain.
    FakeTls {
        /// Name sent as SNI.
        domain: Domain,
    },
}

/// A host name of a fake-TLS secret: 1 to 182 bytes of ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// Checks a host name.
    ///
    /// # Errors
    ///
    /// [`SecretError::Domain`].
    pub fn new(name: &str) -> Result<Self, SecretError> {
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || name.len() > MAX_DOMAIN_LEN || !name.bytes().all(usable) {
            return Err(SecretError::Domain);
        }
        Ok(Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ProxySecret {
    /// Makes a plain secret of 16 bytes.
    pub const fn plain(key: [u8; KEY_LEN]) -> Self {
        Self { key: SecretKey(key), kind: SecretKind::Plain }
    }

    /// Makes a secret that demands padding.
    pub const fn padded(key: [u8; KEY_LEN]) -> Self {
        Self { key: SecretKey(key), kind: SecretKind::Padded }
    }

    /// Makes a secret that demands fake TLS.
    pub const fn fake_tls(key: [u8; KEY_LEN], domain: Domain) -> Self {
        Self { key: SecretKey(key), kind: SecretKind::FakeTls { domain } }
    }

    /// Reads a secret from hexadecimal digits, base64url or base64, tried in that order, padding or not.
    ///
    /// # Errors
    ///
    /// Says whether the text or what it encodes is wrong (`SEC-146`). No text makes it panic.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim_end_matches('=');
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(SecretError::Length { len: text.len() });
        }
        let encodings = [HEXLOWER_PERMISSIVE, BASE64URL_NOPAD, BASE64_NOPAD];
        let decoded = encodings.iter().find_map(|encoding| encoding.decode(text.as_bytes()).ok());
        Self::from_bytes(&Zeroizing::new(decoded.ok_or(SecretError::Encoding)?))
    }

    /// Reads a secret from its bytes, as `dcOption.secret` has them.
    ///
    /// # Errors
    ///
    /// [`SecretError::Length`] or [`SecretError::Domain`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let wrong = SecretError::Length { len: bytes.len() };
        if let Ok(key) = <[u8; KEY_LEN]>::try_from(bytes) {
            return Ok(Self::plain(key));
        }
        let (&mark, rest) = bytes.split_first().ok_or(wrong)?;
        let (key, domain) = rest.split_first_chunk::<KEY_LEN>().ok_or(wrong)?;
        match mark {
            PADDED if domain.is_empty() => Ok(Self::padded(*key)),
            FAKE_TLS if !domain.is_empty() => {
                let name = core::str::from_utf8(domain).map_err(|_| SecretError::Domain)?;
                Ok(Self::fake_tls(*key, Domain::new(name)?))
            }
            _ => Err(wrong),
        }
    }

    /// Returns the bytes of the secret, mark and domain included.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (mark, domain): (&[u8], &str) = match &self.kind {
            SecretKind::Plain => (&[], ""),
            SecretKind::Padded => (&[PADDED], ""),
            SecretKind::FakeTls { domain } => (&[FAKE_TLS], domain.as_str()),
        };
        Zeroizing::new([mark, self.key.as_bytes(), domain.as_bytes()].concat())
    }

    /// Returns the secret in hexadecimal digits.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER_PERMISSIVE.encode(&self.to_bytes()))
    }

    /// Returns the key that is mixed into the obfuscation.
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Returns what the secret demands.
    pub const fn kind(&self) -> &SecretKind {
        &self.kind
    }

    /// Returns the domain of a fake-TLS secret.
    pub const fn domain(&self) -> Option<&Domain> {
        match &self.kind {
            SecretKind::FakeTls { domain } => Some(domain),
            SecretKind::Plain | SecretKind::Padded => None,
        }
    }

    /// Says whether `framing` may be used with this secret.
    pub const fn allows(&self, framing: Framing) -> bool {
        match self.kind {
            SecretKind::Plain => framing.tag().is_some(),
            SecretKind::Padded | SecretKind::FakeTls { .. } => matches!(framing, Framing::PaddedIntermediate),
        }
    }
}

impl fmt::Debug for ProxySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySecret").field("kind", &self.kind).finish_non_exhaustive()
    }
}
