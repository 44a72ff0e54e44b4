//! The result of an exchange.

use core::fmt;
use core::time::Duration;

use chappe_crypto::{AuthKey, ct};
use chappe_framing::{ServerSalt, UnixTime};
use zeroize::Zeroize;

/// The result of an exchange: a key, the first salt and the offset of the clocks.
///
/// Wiped when dropped; `Debug` does not show the key.
#[derive(Clone)]
pub struct Finished {
    /// The key: 256 bytes, leading zeros included. [`key`](Self::key) returns it with its id.
    pub auth_key: [u8; 256],
    /// Seconds by which the server's clock is ahead of ours; negative if it is behind.
    pub time_offset: i32,
    /// The first salt, which both sides compute (SEC-41).
    pub first_salt: i64,
    server_time: UnixTime,
    expires_at: Option<UnixTime>,
}

impl Finished {
    pub(super) fn new(
        key: &AuthKey,
        first_salt: ServerSalt,
        server_time: UnixTime,
        now: UnixTime,
        expires_in: Option<i32>,
    ) -> Self {
        let offset = i128::from(server_time.as_secs()) - i128::from(now.as_secs());
        // A wrong local clock is no error, however wrong, but the offset must fit the field.
        let time_offset = offset.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32;
        let lifetime = |seconds: i32| Duration::from_secs(u64::from(seconds.unsigned_abs()));
        Self {
            auth_key: *key.as_bytes(),
            time_offset,
            first_salt: first_salt.to_raw(),
            server_time,
            expires_at: expires_in.map(|seconds| server_time.saturating_add(lifetime(seconds))),
        }
    }

    /// Returns the key with its id.
    pub fn key(&self) -> AuthKey {
        AuthKey::from_bytes(self.auth_key)
    }

    /// Returns the first salt.
    pub const fn salt(&self) -> ServerSalt {
        ServerSalt::from_raw(self.first_salt)
    }

    /// Returns the server's time during the exchange.
    pub const fn server_time(&self) -> UnixTime {
        self.server_time
    }

    /// Returns when the key expires, by the server's clock, or `None` if it is permanent.
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        self.auth_key.zeroize();
        self.first_salt.zeroize();
    }
}

impl PartialEq for Finished {
    fn eq(&self, other: &Self) -> bool {
        ct::eq(&self.auth_key, &other.auth_key)
            && self.time_offset == other.time_offset
            && self.first_salt == other.first_salt
            && self.server_time == other.server_time
            && self.expires_at == other.expires_at
    }
}

impl Eq for Finished {}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished")
            .field("time_offset", &self.time_offset)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
