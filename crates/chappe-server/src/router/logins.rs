//! Logins on their way from one datacenter to another.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chappe_carrier::lock;
use chappe_crypto::{AuthKeyId, ct};
use chappe_session::MonoTime;
use chappe_types::RpcError;
use zeroize::Zeroizing;

/// Exported logins that wait for their import. The oldest makes room.
const MAX_EXPORTED: usize = 4096;

/// How long an exported login can be imported.
const LIFETIME: Duration = Duration::from_secs(60);

/// Logins that were exported and not imported yet. The datacenters of one process share it by clones.
#[derive(Clone, Default)]
pub struct Logins(Arc<Mutex<VecDeque<Exported>>>);

struct Exported {
    user_id: i64,
    from: AuthKeyId,
    dc: u16,
    proof: Zeroizing<[u8; 32]>,
    at: MonoTime,
}

impl Logins {
    /// Makes an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Exports the login of a key. `proof`, which is random, imports it, once, within a minute, in the datacenter of this
    /// number.
    pub(super) fn export(
        &self,
        user_id: i64,
        from: AuthKeyId,
        dc: u16,
        proof: Zeroizing<[u8; 32]>,
        now: MonoTime,
    ) {
        let mut exported = lock(&self.0);
        exported.retain(|login| login.at + LIFETIME > now);
        if exported.len() == MAX_EXPORTED {
            exported.pop_front();
        }
        exported.push_back(Exported { user_id, from, dc, proof, at: now });
    }

    /// Takes an exported login out. Returns the key it was exported from. `dc` is the datacenter of the new key, if known.
    pub(super) fn import(
        &self,
        user_id: i64,
        proof: &[u8],
        dc: Option<u16>,
        now: MonoTime,
    ) -> Result<AuthKeyId, RpcError> {
        let mut exported = lock(&self.0);
        let is_meant = |login: &Exported| {
            login.user_id == user_id
                && ct::eq(&login.proof[..], proof)
                && login.at + LIFETIME > now
                && dc.is_none_or(|dc| dc == login.dc)
        };
        let place = exported.iter().position(is_meant);
        let login = place.and_then(|place| exported.remove(place));
        login.map(|login| login.from).ok_or_else(|| RpcError::new(400, "AUTH_BYTES_INVALID"))
    }
}

impl fmt::Debug for Logins {
    /// Omits the proofs (`SEC-05`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").field("exported", &lock(&self.0).len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: AuthKeyId = AuthKeyId::from_raw(5);

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_secs(seconds))
    }

    #[test]
    fn sec_157_an_exported_login_is_good_for_one_import_where_and_when_it_is_meant() {
        let logins = Logins::new();
        let proof = [3; 32];
        let export = || logins.export(7, FROM, 4, Zeroizing::new(proof), at(100));
        export();
        for (user, proof, dc, now) in [
            (8, &proof[..], Some(4), at(100)),
            (7, &proof[1..], Some(4), at(100)),
            (7, &proof[..], Some(2), at(100)),
            (7, &proof[..], Some(4), at(160)),
        ] {
            assert_eq!(logins.import(user, proof, dc, now).unwrap_err().message, "AUTH_BYTES_INVALID");
        }
        assert_eq!(logins.import(7, &proof, Some(4), at(159)), Ok(FROM));
        assert!(logins.import(7, &proof, Some(4), at(159)).is_err(), "good for one use");
        export();
        assert_eq!(logins.import(7, &proof, None, at(101)), Ok(FROM), "an old client names no datacenter");
    }

    #[test]
    fn exports_that_nobody_imports_are_bounded() {
        let logins = Logins::new();
        for _ in 0..MAX_EXPORTED + 10 {
            logins.export(7, FROM, 4, Zeroizing::default(), at(1));
        }
        assert_eq!(lock(&logins.0).len(), MAX_EXPORTED);
        logins.export(7, FROM, 4, Zeroizing::default(), at(61));
        assert_eq!(lock(&logins.0).len(), 1, "what is too old goes");
    }
}
