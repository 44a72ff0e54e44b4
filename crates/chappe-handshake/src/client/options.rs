//! What a client asks for.

use chappe_crypto::rsa::KeyRing;

use crate::{Dc, Error};

/// What a client asks for, and whom it trusts.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The server's public keys that are known. Production, test and CDN keys do not belong into
    /// one ring (SEC-18).
    pub keys: KeyRing,
    /// The datacenter that is dialled.
    pub dc: Dc,
    /// Whether the key is to last.
    pub kind: KeyKind,
}

/// How long a key is to last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Until it is destroyed.
    #[default]
    Permanent,
    /// For a number of seconds; it must be bound to a permanent key before it is of use.
    /// <https://core.telegram.org/api/pfs>
    Temporary {
        /// Lifetime in seconds, counted from the request. 86400 is usual.
        expires_in: u32,
    },
}

impl ClientOptions {
    /// Asks for a permanent key of a public datacenter, and trusts the published keys.
    pub fn production(dc: u16) -> Self {
        Self { keys: KeyRing::production(), dc: Dc::production(dc), kind: KeyKind::Permanent }
    }

    /// Asks for a permanent key of a datacenter of the test environment, and trusts its keys.
    pub fn test(dc: u16) -> Self {
        Self { keys: KeyRing::test(), dc: Dc::test(dc), kind: KeyKind::Permanent }
    }

    /// Asks for a temporary key instead.
    #[must_use]
    pub fn temporary(self, expires_in: u32) -> Self {
        Self { kind: KeyKind::Temporary { expires_in }, ..self }
    }
}

impl KeyKind {
    /// Returns the value of the field `expires_in`, if the key is temporary.
    pub(crate) fn expires_in(self) -> Result<Option<i32>, Error> {
        match self {
            Self::Permanent => Ok(None),
            Self::Temporary { expires_in: seconds } => match i32::try_from(seconds) {
                Ok(seconds) if seconds > 0 => Ok(Some(seconds)),
                _ => Err(Error::InvalidExpiry { seconds }),
            },
        }
    }
}
