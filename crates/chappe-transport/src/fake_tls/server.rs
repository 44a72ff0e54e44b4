//! The server's side of fake TLS: the checks of a hello and its answer.
//!
//! If a hello fails a check, forward the connection to the real site and never answer with an error (`SEC-149`).

use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use super::answer::AnswerProfile;
use super::{check_client_hello, sign_server_answer};
use crate::error::{MalformedStream, TransportError};
use crate::secret::{Domain, ProxySecret, SecretKey};

/// The beginning of a `ClientHello` record, before its length.
pub(crate) const CLIENT_HANDSHAKE: [u8; 3] = [0x16, 0x03, 0x01];

/// Length of an accepted session id.
pub(super) const SESSION_ID_LEN: usize = 32;

/// Numbers of extensions.
const SERVER_NAME: [u8; 2] = [0x00, 0x00];
const KEY_SHARE: [u8; 2] = [0x00, 0x33];

/// The hybrid group of X25519 and ML-KEM-768.
const X25519_ML_KEM_768: [u8; 2] = [0x11, 0xec];

/// Cipher suites of TLS 1.3, one of which must be offered.
const TLS13_SUITES: [[u8; 2]; 3] = [[0x13, 0x01], [0x13, 0x02], [0x13, 0x03]];

/// Accepted clock error of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeWindow {
    /// Seconds that the clock may be ahead.
    pub ahead: u32,
    /// Seconds that the clock may be behind.
    pub behind: u32,
}

impl TimeWindow {
    chappe_types::with!();
}

impl TimeWindow {
    /// The window of the official proxy: 3 seconds ahead, 10 minutes behind.
    pub const OFFICIAL: Self = Self { ahead: 3, behind: 600 };
}

/// The sites that a hello may ask for. The digest proves the secret in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelloNames {
    /// The domain of the secret, and no other.
    Secret,
    /// The domain of the secret, or none. Clients on iOS are reported to send none.
    #[default]
    SecretOrNone,
    /// One of these, the domain of the secret, or none.
    Listed(Vec<Domain>),
    /// Any, or none.
    Any,
}

impl HelloNames {
    fn allow(&self, name: Option<&[u8]>, domain: &Domain) -> bool {
        let is = |name: &[u8], domain: &Domain| name.eq_ignore_ascii_case(domain.as_str().as_bytes());
        match (self, name) {
            (Self::Secret, None) => false,
            (Self::Any, _) | (Self::SecretOrNone | Self::Listed(_), None) => true,
            (Self::Secret | Self::SecretOrNone, Some(name)) => is(name, domain),
            (Self::Listed(listed), Some(name)) => {
                is(name, domain) || listed.iter().any(|domain| is(name, domain))
            }
        }
    }
}

/// Why a `ClientHello` was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelloRefusal {
    /// It is malformed, too long, or followed by other bytes.
    Malformed,
    /// Its digest matches none of the secrets.
    UnknownSecret,
    /// Its clock is too far ahead.
    TooEarly,
    /// Its clock is too far behind.
    TooLate,
    /// Its random was seen before.
    Replayed,
    /// It asks for a site that is not allowed.
    WrongDomain,
    /// It offers no cipher suite of TLS 1.3.
    NoTls13,
}

impl fmt::Display for HelloRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "client hello cannot be read",
            Self::UnknownSecret => "client hello was made with no known secret",
            Self::TooEarly => "client hello comes from the future",
            Self::TooLate => "client hello is too old",
            Self::Replayed => "client hello was seen before",
            Self::WrongDomain => "client hello asks for another site",
            Self::NoTls13 => "client hello offers no tls 1.3",
        })
    }
}

impl core::error::Error for HelloRefusal {}

/// A `ClientHello` record whose structure was checked.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    record: &'a [u8],
    random: &'a [u8; 32],
    session_id: &'a [u8; SESSION_ID_LEN],
    suites: &'a [u8],
    server_name: Option<&'a [u8]>,
    offers_hybrid: bool,
}

impl<'a> ClientHello<'a> {
    /// Checks that the bytes are one whole record.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::ClientHello`].
    pub fn new_checked(record: &'a [u8]) -> Result<Self, TransportError> {
        parse(record).ok_or(TransportError::Malformed(MalformedStream::ClientHello))
    }

    /// Returns the random: digest and time.
    pub const fn random(&self) -> &'a [u8; 32] {
        self.random
    }

    /// Returns the session id, which the answer repeats.
    pub const fn session_id(&self) -> &'a [u8; SESSION_ID_LEN] {
        self.session_id
    }

    /// Returns the requested host name.
    pub const fn server_name(&self) -> Option<&'a [u8]> {
        self.server_name
    }

    /// Returns the first offered cipher suite of TLS 1.3.
    pub fn tls13_suite(&self) -> Option<[u8; 2]> {
        let mut offered = self.suites.chunks_exact(2).filter_map(|suite| suite.first_chunk::<2>());
        offered.find(|suite| TLS13_SUITES.contains(suite)).copied()
    }

    /// Finds the secret of the hello and checks time, site and cipher suites (`SEC-149`).
    ///
    /// Returns its index in `secrets`. Only fake-TLS secrets are tried. The caller checks that the random is new, with a
    /// [`ReplayFilter`](crate::ReplayFilter) over its first 16 bytes (`SEC-145`).
    ///
    /// # Errors
    ///
    /// Returns which check failed. The client must not learn it.
    pub fn verify(
        &self,
        secrets: &[ProxySecret],
        names: &HelloNames,
        unix_time: u32,
        window: TimeWindow,
    ) -> Result<usize, HelloRefusal> {
        let matching = |(index, secret): (usize, &'_ ProxySecret)| {
            let domain = secret.domain()?;
            let name = names.allow(self.server_name, domain);
            check_client_hello(self.record, secret.key()).map(|claimed| (index, name, claimed))
        };
        let found = secrets.iter().enumerate().filter_map(matching);
        // Several sites may share a key.
        let (index, name, claimed) =
            found.max_by_key(|(_, name, _)| *name).ok_or(HelloRefusal::UnknownSecret)?;
        if claimed > unix_time.saturating_add(window.ahead) {
            return Err(HelloRefusal::TooEarly);
        }
        if claimed < unix_time.saturating_sub(window.behind) {
            return Err(HelloRefusal::TooLate);
        }
        if !name {
            return Err(HelloRefusal::WrongDomain);
        }
        self.tls13_suite().map(|_| index).ok_or(HelloRefusal::NoTls13)
    }

    /// Returns whether it has a share of the hybrid group of X25519 and ML-KEM-768.
    pub const fn offers_hybrid(&self) -> bool {
        self.offers_hybrid
    }

    /// Returns the first of `preferred` that it offers, or else the first that it offers of TLS 1.3.
    pub(crate) fn suite(&self, preferred: &[[u8; 2]]) -> Option<[u8; 2]> {
        let offers = |suite: &&[u8; 2]| {
            TLS13_SUITES.contains(suite)
                && self.suites.chunks_exact(2).any(|offered| offered == suite.as_slice())
        };
        preferred.iter().find(offers).copied().or_else(|| self.tls13_suite())
    }

    /// Appends a server's whole answer in this shape: its hello, a change of ciphers, and random bytes in place of an
    /// encrypted certificate.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::ClientHello`] if no cipher suite of TLS 1.3 is offered.
    pub fn answer_into<R: CryptoRng + ?Sized>(
        &self,
        out: &mut Vec<u8>,
        profile: &AnswerProfile,
        key: &SecretKey,
        rng: &mut R,
    ) -> Result<(), TransportError> {
        let from = out.len();
        profile.put(out, self, rng).ok_or(TransportError::Malformed(MalformedStream::ClientHello))?;
        sign_server_answer(&mut out[from..], key, self.random)
    }
}

fn parse(record: &[u8]) -> Option<ClientHello<'_>> {
    let body = record.strip_prefix(&CLIENT_HANDSHAKE)?;
    let handshake = exactly(body, 2)?.strip_prefix(&[0x01])?;
    let mut hello = exactly(handshake, 3)?.strip_prefix(&[0x03, 0x03])?;
    let random = take(&mut hello, 32)?.first_chunk()?;
    let session_id = take_prefixed(&mut hello, 1)?.try_into().ok()?;
    let suites = take_prefixed(&mut hello, 2)?;
    take_prefixed(&mut hello, 1)?;
    let mut extensions = exactly(hello, 2)?;
    let (mut server_name, mut offers_hybrid) = (None, false);
    while !extensions.is_empty() {
        let number = take(&mut extensions, 2)?;
        let body = take_prefixed(&mut extensions, 2)?;
        if number == SERVER_NAME {
            let mut names = exactly(body, 2)?.strip_prefix(&[0x00])?;
            server_name = Some(take_prefixed(&mut names, 2)?);
        } else if number == KEY_SHARE {
            let mut shares = exactly(body, 2)?;
            while !shares.is_empty() {
                offers_hybrid |= take(&mut shares, 2)? == X25519_ML_KEM_768;
                take_prefixed(&mut shares, 2)?;
            }
        }
    }
    Some(ClientHello { record, random, session_id, suites, server_name, offers_hybrid })
}

/// Removes `count` bytes from the front.
pub(super) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// Removes a big-endian length of `width` bytes and as many bytes from the front.
pub(super) fn take_prefixed<'a>(bytes: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let len = take(bytes, width)?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
    take(bytes, len)
}

/// Like [`take_prefixed`], but fails if bytes remain.
pub(super) fn exactly(mut bytes: &[u8], width: usize) -> Option<&[u8]> {
    let taken = take_prefixed(&mut bytes, width)?;
    bytes.is_empty().then_some(taken)
}
