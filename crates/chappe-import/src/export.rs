//! What the writers of session strings share.

use core::fmt;
use std::net::IpAddr;

use base64ct::Encoding;
use chappe_handshake::Environment;
use zeroize::Zeroizing;

use crate::{ImportedSession, ServerAddress, User};

/// Why a session cannot be written in another library's form. No variant holds a part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportError {
    /// The form has the server's address, and the session has none.
    NoServer,
    /// The form has an IP address, and the server of the session is a name.
    NotAnAddress,
    /// The form has the user, and the session has none.
    NoUser,
    /// The form has one byte for the datacenter.
    Datacenter {
        /// Its id.
        id: u16,
    },
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer => f.write_str("the session has no address of a server"),
            Self::NotAnAddress => f.write_str("the server of the session is a name instead of an address"),
            Self::NoUser => f.write_str("the session has no user"),
            Self::Datacenter { id } => write!(f, "datacenter {id} does not fit into one byte"),
        }
    }
}

impl core::error::Error for ExportError {}

/// Longest host, as the importers accept it.
const MAX_HOST: usize = 255;

/// Most bytes in front of or behind a key: an address of 255, a user, and fields of fixed length.
const AROUND_KEY: usize = 384;

/// The bytes of a string. They are allocated at full size: a vector that grows leaves its old memory behind without wiping it.
pub(crate) struct Bytes(Zeroizing<Vec<u8>>);

impl Bytes {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(AROUND_KEY + 256)))
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends `bytes` of TL.
    pub(crate) fn put_tl(&mut self, bytes: &[u8]) -> &mut Self {
        let head = if bytes.len() < 254 {
            self.put(&[bytes.len() as u8]);
            1
        } else {
            let [a, b, c, _] = (bytes.len() as u32).to_le_bytes();
            self.put(&[254, a, b, c]);
            4
        };
        self.put(bytes);
        self.put(&[0; 3][..(head + bytes.len()).wrapping_neg() % 4])
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Encodes them behind a version, in time that depends only on their number.
    pub(crate) fn encode<E: Encoding>(&self, version: &str) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(version.len() + E::encoded_len(&self.0)));
        text.push_str(version);
        text.push_str(&Zeroizing::new(E::encode_string(&self.0)));
        text
    }
}

/// Returns the datacenter as one byte.
pub(crate) fn dc(session: &ImportedSession) -> Result<u8, ExportError> {
    u8::try_from(session.dc).map_err(|_| ExportError::Datacenter { id: session.dc })
}

pub(crate) fn server(session: &ImportedSession) -> Result<&ServerAddress, ExportError> {
    let server = session.server.as_ref().ok_or(ExportError::NoServer)?;
    if server.host.len() > MAX_HOST { Err(ExportError::NotAnAddress) } else { Ok(server) }
}

pub(crate) fn address(session: &ImportedSession) -> Result<(IpAddr, u16), ExportError> {
    let server = server(session)?;
    let address = server.host.parse().map_err(|_| ExportError::NotAnAddress)?;
    Ok((address, server.port))
}

pub(crate) fn user(session: &ImportedSession) -> Result<User, ExportError> {
    session.user.ok_or(ExportError::NoUser)
}

/// Returns whether the key belongs to the test environment. Without a record it belongs to production.
pub(crate) fn is_test(session: &ImportedSession) -> bool {
    session.environment == Some(Environment::Test)
}
