//! The server's side of fake TLS: the checks of a hello and its answer.
//!
//! If a hello fails a check, forward the connection to the real site and never answer with an error (`SEC-149`).

use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use super::{APPLICATION_DATA, CHANGE_CIPHER_SPEC, RANDOM, SERVER_HANDSHAKE, key_share};
use super::{check_client_hello, sign_server_answer};
use crate::error::{MalformedStream, TransportError};
use crate::secret::{ProxySecret, SecretKey};

/// The beginning of a `ClientHello` record, before its length.
pub(crate) const CLIENT_HANDSHAKE: [u8; 3] = [0x16, 0x03, 0x01];

/// Length of an accepted session id.
const SESSION_ID_LEN: usize = 32;

/// Cipher suites of TLS 1.3, one of which must be offered.
const TLS13_SUITES: [[u8; 2]; 3] = [[0x13, 0x01], [0x13, 0x02], [0x13, 0x03]];

/// Number of bytes that imitate a certificate: 1 to 4 KiB.
const MIN_IMITATION: usize = 1024;
const MAX_IMITATION: usize = 4096;

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
    chappe_types::setters! {
        with_ahead => ahead: u32,
        with_behind => behind: u32,
    }
}

impl TimeWindow {
    /// The window of the official proxy: 3 seconds ahead, 10 minutes behind.
    pub const OFFICIAL: Self = Self { ahead: 3, behind: 600 };

    /// The window of tolerant proxies: 20 minutes ahead, 10 minutes behind.
    pub const TOLERANT: Self = Self { ahead: 1200, behind: 600 };
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
    /// It names another site than the secret.
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
        unix_time: u32,
        window: TimeWindow,
    ) -> Result<usize, HelloRefusal> {
        let matching = |(index, secret): (usize, &'_ ProxySecret)| {
            let domain = secret.domain()?.as_str();
            let name = self.server_name.is_some_and(|name| name.eq_ignore_ascii_case(domain.as_bytes()));
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

    /// Appends a server's whole answer: its hello, a change of ciphers, and random bytes in place of an encrypted
    /// certificate.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::ClientHello`] if no cipher suite of TLS 1.3 is offered.
    pub fn answer_into<R: CryptoRng + ?Sized>(
        &self,
        out: &mut Vec<u8>,
        key: &SecretKey,
        rng: &mut R,
    ) -> Result<(), TransportError> {
        let suite = self.tls13_suite().ok_or(TransportError::Malformed(MalformedStream::ClientHello))?;
        let from = out.len();
        put_server_hello(out, self.session_id, suite, &key_share::x25519(rng));
        out.extend_from_slice(&CHANGE_CIPHER_SPEC);
        let spread = (MAX_IMITATION - MIN_IMITATION) as u32;
        let len = MIN_IMITATION + (rng.next_u32() % (spread + 1)) as usize;
        out.extend_from_slice(&APPLICATION_DATA);
        out.extend_from_slice(&(len as u16).to_be_bytes());
        let random = out.len();
        out.resize(random + len, 0);
        rng.fill_bytes(&mut out[random..]);
        sign_server_answer(&mut out[from..], key, self.random)
    }
}

/// Appends the record of 127 bytes that servers of TLS 1.3 send, with a zero random.
fn put_server_hello(out: &mut Vec<u8>, session_id: &[u8; 32], suite: [u8; 2], share: &[u8; 32]) {
    out.extend_from_slice(&SERVER_HANDSHAKE);
    // Record, handshake type and length, version.
    out.extend_from_slice(&[0x00, 0x7a, 0x02, 0x00, 0x00, 0x76, 0x03, 0x03]);
    out.extend_from_slice(&[0; RANDOM.end - RANDOM.start]);
    out.push(SESSION_ID_LEN as u8);
    out.extend_from_slice(session_id);
    out.extend_from_slice(&suite);
    // No compression, 46 bytes of extensions: key_share of x25519, supported_versions 1.3.
    out.extend_from_slice(&[0x00, 0x00, 0x2e, 0x00, 0x33, 0x00, 0x24, 0x00, 0x1d, 0x00, 0x20]);
    out.extend_from_slice(share);
    out.extend_from_slice(&[0x00, 0x2b, 0x00, 0x02, 0x03, 0x04]);
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
    let mut server_name = None;
    while !extensions.is_empty() {
        let number = take(&mut extensions, 2)?;
        let body = take_prefixed(&mut extensions, 2)?;
        if number == [0x00, 0x00] {
            let mut names = exactly(body, 2)?.strip_prefix(&[0x00])?;
            server_name = Some(take_prefixed(&mut names, 2)?);
        }
    }
    Some(ClientHello { record, random, session_id, suites, server_name })
}

/// Removes `count` bytes from the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// Removes a big-endian length of `width` bytes and as many bytes from the front.
fn take_prefixed<'a>(bytes: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let len = take(bytes, width)?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
    take(bytes, len)
}

/// Like [`take_prefixed`], but fails if bytes remain.
fn exactly(mut bytes: &[u8], width: usize) -> Option<&[u8]> {
    let taken = take_prefixed(&mut bytes, width)?;
    bytes.is_empty().then_some(taken)
}
