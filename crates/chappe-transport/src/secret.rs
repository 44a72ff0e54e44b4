//! Secrets of MTProxy.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation>. The text forms are those
//! of `tg://proxy` links.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::framing::Framing;

/// Length of the key inside every secret.
pub(crate) const KEY_LEN: usize = 16;

/// Maximum length of the domain of a fake-TLS secret in bytes.
pub const MAX_DOMAIN_LEN: usize = 182;

/// First byte of a secret that requires padded intermediate framing.
const PADDED: u8 = 0xdd;

/// First byte of a secret that requires fake TLS.
const FAKE_TLS: u8 = 0xee;

/// Maximum length of the text of a secret: hexadecimal mark, key and domain.
const MAX_TEXT: usize = 2 * (1 + KEY_LEN + MAX_DOMAIN_LEN);

/// Why a secret or a link was rejected (`SEC-146`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// The text is neither hexadecimal nor base64.
    Encoding,
    /// The length is invalid, or does not fit the first byte.
    Length {
        /// Decoded length in bytes, or the length of the text if it is too long to decode.
        len: usize,
    },
    /// The domain of a fake-TLS secret has a byte that is no letter, digit, dot, hyphen or underscore.
    Domain {
        /// Position of the byte in the domain.
        at: usize,
    },
    /// The domain of a fake-TLS secret is empty, or longer than [`MAX_DOMAIN_LEN`].
    DomainLength {
        /// Its length in bytes.
        len: usize,
    },
    /// The text is not a link to a proxy.
    Link,
    /// A part of the link is missing or empty.
    Missing {
        /// Its name.
        part: &'static str,
    },
    /// The server of a link is not a name or an address, or a part is not encoded correctly.
    Part {
        /// The name of the part.
        part: &'static str,
    },
    /// The port of a link is not a number from 1 to 65535.
    Port,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("neither hexadecimal nor base64"),
            Self::Length { len } => write!(
                f,
                "a secret has 16 bytes, 17 with dd in front, or more with ee in front, and this one has {len}"
            ),
            Self::Domain { at } => {
                write!(f, "byte {at} of the domain is not allowed in a host name")
            }
            Self::DomainLength { len } => {
                write!(f, "a domain has 1 to {MAX_DOMAIN_LEN} bytes, and this one has {len}")
            }
            Self::Link => f.write_str("not a proxy link"),
            Self::Missing { part } => write!(f, "the link has no {part}"),
            Self::Part { part } => write!(f, "the {part} of the link is malformed"),
            Self::Port => f.write_str("port is not a number from 1 to 65535"),
        }
    }
}

impl core::error::Error for SecretError {}

/// The key that client and proxy share: 16 bytes, wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; KEY_LEN]);

impl SecretKey {
    /// Creates a key from its 16 bytes.
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

/// A secret of MTProxy, or of a `dcOption`.
#[derive(Clone)]
pub struct ProxySecret {
    key: SecretKey,
    kind: SecretKind,
}

/// The transport that a secret requires.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretKind {
    /// 16 bytes: obfuscation with any framing.
    Plain,
    /// `dd` and 16 bytes: obfuscation with padded intermediate framing.
    Padded,
    /// `ee`, 16 bytes and a domain: the same inside fake TLS for that domain.
    FakeTls {
        /// The name in the SNI extension.
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
    /// [`SecretError::Domain`] or [`SecretError::DomainLength`].
    pub fn new(name: &str) -> Result<Self, SecretError> {
        Self::from_bytes(name.as_bytes())
    }

    fn from_bytes(name: &[u8]) -> Result<Self, SecretError> {
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || name.len() > MAX_DOMAIN_LEN {
            return Err(SecretError::DomainLength { len: name.len() });
        }
        if let Some(at) = name.iter().position(|byte| !usable(*byte)) {
            return Err(SecretError::Domain { at });
        }
        Ok(Self(name.iter().copied().map(char::from).collect()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ProxySecret {
    /// Returns a plain secret.
    pub const fn plain(key: [u8; KEY_LEN]) -> Self {
        Self { key: SecretKey(key), kind: SecretKind::Plain }
    }

    /// Returns a secret that requires padding.
    pub const fn padded(key: [u8; KEY_LEN]) -> Self {
        Self { key: SecretKey(key), kind: SecretKind::Padded }
    }

    /// Returns a secret that requires fake TLS.
    pub const fn fake_tls(key: [u8; KEY_LEN], domain: Domain) -> Self {
        Self { key: SecretKey(key), kind: SecretKind::FakeTls { domain } }
    }

    /// Parses a secret from hexadecimal digits, base64url or base64, tried in this order, with or without padding.
    ///
    /// What people put into the domain of a fake-TLS secret by mistake is removed where the meaning is plain: white space and
    /// zero bytes around the name, such as the line end of `echo`, and a port behind it.
    ///
    /// # Errors
    ///
    /// Fails if the text or its decoded bytes are invalid (`SEC-146`). No text makes it panic.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim().trim_end_matches('=');
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(SecretError::Length { len: text.len() });
        }
        let encodings = [HEXLOWER_PERMISSIVE, BASE64URL_NOPAD, BASE64_NOPAD];
        let decoded = encodings.iter().find_map(|encoding| encoding.decode(text.as_bytes()).ok());
        let mut bytes = Zeroizing::new(decoded.ok_or(SecretError::Encoding)?);
        if let [FAKE_TLS, rest @ ..] = &bytes[..]
            && let Some((_, domain)) = rest.split_first_chunk::<KEY_LEN>()
        {
            let (skipped, kept) = cleaned_domain(domain);
            let at = 1 + KEY_LEN;
            bytes.drain(at..at + skipped);
            bytes.truncate(at + kept);
        }
        Self::from_bytes(&bytes)
    }

    /// Parses the bytes of a secret, the form of `dcOption.secret`.
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
            FAKE_TLS if !domain.is_empty() => Ok(Self::fake_tls(*key, Domain::from_bytes(domain)?)),
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

    /// Returns the key, which the obfuscation uses.
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Returns the transport that the secret requires.
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

    /// Returns whether `framing` may be used with this secret.
    pub const fn allows(&self, framing: Framing) -> bool {
        match self.kind {
            SecretKind::Plain => framing.tag().is_some(),
            SecretKind::Padded | SecretKind::FakeTls { .. } => matches!(framing, Framing::PaddedIntermediate),
        }
    }
}

/// Returns how many bytes stand in front of the name in a domain as people write it, and the length of the name.
fn cleaned_domain(domain: &[u8]) -> (usize, usize) {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let skipped = domain.iter().take_while(|byte| is_blank(byte)).count();
    let name = &domain[skipped..];
    let blanks = name.iter().rev().take_while(|byte| is_blank(byte)).count();
    let name = &name[..name.len() - blanks];
    let port = name.iter().rposition(|byte| *byte == b':').filter(|colon| {
        let digits = &name[colon + 1..];
        (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
    });
    (skipped, port.unwrap_or(name.len()))
}

impl fmt::Debug for ProxySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySecret").field("kind", &self.kind).finish_non_exhaustive()
    }
}
