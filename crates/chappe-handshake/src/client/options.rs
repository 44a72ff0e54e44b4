//! What a client asks for.

use chappe_crypto::rsa::KeyRing;

use crate::Error;
use chappe_types::{DcId, KeyKind};

/// What a client asks for, and whom it trusts.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The server's public keys that are known. Production, test and CDN keys do not belong into
    /// one ring (SEC-18).
    pub keys: KeyRing,
    /// The datacenter that is dialled.
    pub dc: DcId,
    /// Whether the key is to last.
    pub kind: KeyKind,
}

impl ClientOptions {
    /// Asks for a permanent key of a public datacenter, and trusts the published keys.
    pub fn production(dc: u16) -> Self {
        Self { keys: KeyRing::production(), dc: DcId::production(dc), kind: KeyKind::Permanent }
    }

    /// Asks for a permanent key of a datacenter of the test environment, and trusts its keys.
    pub fn test(dc: u16) -> Self {
        Self { keys: KeyRing::test(), dc: DcId::test(dc), kind: KeyKind::Permanent }
    }

    /// Asks for a temporary key instead.
    #[must_use]
    pub fn temporary(self, expires_in: u32) -> Self {
        Self { kind: KeyKind::Temporary { expires_in }, ..self }
    }
}

impl ClientOptions {
    /// Returns the value of the field `expires_in`, if a temporary key is asked for.
    pub(crate) fn expires_in(&self) -> Result<Option<i32>, Error> {
        match self.kind {
            KeyKind::Permanent => Ok(None),
            KeyKind::Temporary { expires_in: seconds } => match i32::try_from(seconds) {
                Ok(seconds) if seconds > 0 => Ok(Some(seconds)),
                _ => Err(Error::InvalidExpiry { seconds }),
            },
        }
    }
}
