//! Options of the client.

use chappe_crypto::rsa::KeyRing;

use crate::{ApiMisuse, HandshakeError};
use chappe_types::{DcId, KeyKind};

/// The key that a client asks for, and the servers it trusts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The known public keys of servers. Production, test and CDN keys must not share a ring (SEC-18).
    pub keys: KeyRing,
    /// The datacenter to which the client connects.
    pub dc: DcId,
    /// How long the key lasts.
    pub kind: KeyKind,
}

impl ClientOptions {
    chappe_types::setters! {
        with_keys => keys: KeyRing,
        with_dc => dc: DcId,
        with_kind => kind: KeyKind,
    }
}

impl ClientOptions {
    /// Asks for a permanent key of `dc` and trusts `keys`.
    pub const fn new(keys: KeyRing, dc: DcId) -> Self {
        Self { keys, dc, kind: KeyKind::Permanent }
    }

    /// Asks for a permanent key of a public datacenter and trusts the published keys.
    pub fn production(dc: u16) -> Self {
        Self { keys: KeyRing::production(), dc: DcId::production(dc), kind: KeyKind::Permanent }
    }

    /// Asks for a permanent key of a datacenter of the test environment and trusts its keys.
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
    pub(crate) fn expires_in(&self) -> Result<Option<i32>, HandshakeError> {
        match self.kind {
            KeyKind::Permanent => Ok(None),
            KeyKind::Temporary { expires_in: seconds } => match i32::try_from(seconds) {
                Ok(seconds) if seconds > 0 => Ok(Some(seconds)),
                _ => Err(ApiMisuse::InvalidExpiry { seconds }.into()),
            },
        }
    }
}
