//! Files with a key for each datacenter and one account.

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_handshake::Environment;

use crate::{ImportError, ImportedSession, ServerAddress, User};

/// Most keys of one file. A client has one for each datacenter, of which there are a dozen with those for media.
pub(crate) const MAX_KEYS: usize = 100;

/// The keys of one account, and what the file says of it.
#[derive(Default)]
pub(crate) struct Keys {
    /// The datacenter of the account.
    pub(crate) main: Option<i64>,
    pub(crate) user: Option<User>,
    pub(crate) environment: Option<Environment>,
    pub(crate) api_id: Option<i32>,
    found: Vec<(u16, AuthKey, Option<ServerAddress>)>,
}

impl Keys {
    /// Adds the key of a datacenter, and compares it with its id if the file has one.
    pub(crate) fn push(
        &mut self,
        dc: i64,
        key: &[u8],
        id: Option<[u8; 8]>,
        server: Option<ServerAddress>,
    ) -> Result<(), ImportError> {
        if self.found.len() == MAX_KEYS {
            return Err(ImportError::Malformed { what: "number of keys" });
        }
        let (dc, key) = (crate::dc(dc)?, crate::auth_key(key)?);
        if id.is_some_and(|id| key.id() != AuthKeyId::from_bytes(id)) {
            return Err(ImportError::Malformed { what: "id of the key" });
        }
        self.found.push((dc, key, server));
        Ok(())
    }

    /// Returns a session for each key, that of the account's datacenter first. Only that one has the user.
    pub(crate) fn into_sessions(self) -> Result<Vec<ImportedSession>, ImportError> {
        if self.found.is_empty() {
            return Err(ImportError::NoKey);
        }
        let is_main = |dc: u16| self.main == Some(dc.into());
        let session = |(dc, auth_key, server): (u16, AuthKey, Option<ServerAddress>)| ImportedSession {
            dc,
            environment: self.environment,
            server,
            auth_key,
            user: self.user.filter(|_| is_main(dc)),
            api_id: self.api_id,
        };
        let mut sessions: Vec<_> = self.found.into_iter().map(session).collect();
        sessions.sort_by_key(|session| !is_main(session.dc));
        Ok(sessions)
    }
}
